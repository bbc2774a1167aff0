"""The protocol of the paper's tables 10 and 11: the whole test split in batches of 64, 100 times, on a GPU where there is one.

    python benchmarks/paper_speed.py [CHECKPOINT --index FILE --split FILE --store FOLDER] [--network convnext_tiny] [--size 384]
        [--images 1002] [--batch 64] [--runs 100] [--cpu-runs 1] [--threads 0] [--out FILE]

A run passes all images of the test split, in batches; every full batch is timed from uint8 pixels in memory to probabilities on
the host, copies included, after one run that is not counted. Variants take turns within a run. Without a checkpoint the
weights are random and the images are noise: time does not depend on either, and 1002 is the number of the paper's test images.

On the GPU: fp32, mixed precision and 30 % of the weights pruned (the paper's rows are of a P100). On the CPU: fp32 and dynamic
int8, `--cpu-runs` times, because 100 runs take days there. Without a GPU its rows are named in `left_out` and not measured.
"""

from __future__ import annotations

import argparse
import copy
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lesionlens.bundle.benchmark import machine, spread, versions
from lesionlens.compression.prune import prune_unstructured
from lesionlens.compression.quantize import dynamic_int8
from lesionlens.compression.runnable_variant import TorchClassifier
from lesionlens.core.artifact import write_json
from lesionlens.core.recipe import ModelRecipe
from lesionlens.data.dataset import Dataset
from lesionlens.data.image import NORMALISATIONS, InputSpec, centre_crop
from lesionlens.models.build import Normalise, build_network
from lesionlens.training.checkpoint import load_network
from lesionlens.training.precision import autocast, resolve_precision
from source_version import commit

N_CLASSES = 7
SPARSITY = 0.3
PAPER_MS = {
    "fp32": 642.27,
    "pruned 30 % unstructured": 420.9,
    "dynamic int8": 22382.76,
}
"""Milliseconds per batch of 64 in tables 10 and 11: on a P100, dynamic int8 on a CPU."""
PAPER_PROTOCOL = ("convnext_tiny", 384, 64)
CPU = "CPU"
NO_GPU = "no CUDA GPU on this machine"


@dataclass(frozen=True)
class Variant:
    """A network on one device.

    Attributes:
        name: as in `PAPER_MS`, where the paper has it.
        device: where it computes.
        classifier: from uint8 images (N, S, S, 3) on its device to probabilities.
        precision: `fp32`, or `auto` for the device's mixed precision.
        runs: how often it passes the test split.
    """

    name: str
    device: torch.device
    classifier: nn.Module
    precision: str
    runs: int

    def batch_ms(self, images: np.ndarray) -> float:
        """Milliseconds from pixels to probabilities, both in the memory of the host."""
        start = time.perf_counter()
        precision = resolve_precision(self.precision, self.device)
        with torch.inference_mode(), autocast(self.device, precision):
            self.classifier(torch.from_numpy(images).to(self.device)).float().cpu()  # the copy back waits for the device
        return 1000 * (time.perf_counter() - start)

    def run(self, images: np.ndarray, batch: int) -> list[float]:
        """Milliseconds of each full batch of one pass over `images`; an incomplete last one is passed, not timed."""
        times = [self.batch_ms(images[start : start + batch]) for start in range(0, len(images), batch)]
        return times[: len(images) // batch]


def variants(network: nn.Module, normalise: nn.Module, options: argparse.Namespace) -> tuple[list[Variant], dict[str, str]]:
    """The variants of this machine, and why others are left out."""
    network = network.eval()
    half = prune_unstructured(network, SPARSITY)
    on_gpu = [("fp32", network, "fp32"), ("mixed precision", network, "auto"), ("pruned 30 % unstructured", half, "fp32")]
    cpu = torch.device("cpu")
    rows = [
        Variant(name, cpu, TorchClassifier(each, normalise).eval(), "fp32", options.cpu_runs)
        for name, each in (("fp32", network), ("dynamic int8", dynamic_int8(network)))
    ]
    if not torch.cuda.is_available():
        return rows, {f"{name} on GPU": NO_GPU for name, _, _ in on_gpu}
    gpu = torch.device("cuda", 0)
    measured = [
        Variant(name, gpu, classifier_on(gpu, each, normalise), precision, options.runs) for name, each, precision in on_gpu
    ]
    return [*measured, *rows], {}


def classifier_on(device: torch.device, network: nn.Module, normalise: nn.Module) -> nn.Module:
    """A classifier of a copy of the network, on `device`."""
    classifier: nn.Module = TorchClassifier(copy.deepcopy(network), copy.deepcopy(normalise)).eval().to(device)
    return classifier.to(memory_format=torch.channels_last)


def measure(rows: list[Variant], images: np.ndarray, batch: int) -> list[dict[str, Any]]:
    """Times of every variant: they take turns, and the first run of each is not counted."""
    times: dict[int, list[float]] = {number: [] for number in range(len(rows))}
    for turn in range(1 + max(row.runs for row in rows)):
        for number, row in enumerate(rows):
            if turn <= row.runs:
                passed = row.run(images if turn else images[:batch], batch)
                times[number] += passed if turn else []
    return [_row(row, times[number], len(images), batch) for number, row in enumerate(rows)]


def _row(row: Variant, times: list[float], n_images: int, batch: int) -> dict[str, Any]:
    seconds = spread(times)
    del seconds["images_per_s"]  # of a batch, not of an image
    return {
        "variant": row.name,
        "device": torch.cuda.get_device_name(row.device) if row.device.type == "cuda" else CPU,
        "runs": row.runs,
        "images": n_images,
        "batch_ms": {**seconds, "mean_ms": float(np.mean(times)), "std_ms": float(np.std(times))},
        "image_ms": float(np.mean(times)) / batch,
        "paper_batch_ms": None,
    }


def paper_ms(row: dict[str, Any]) -> float | None:
    """The paper's time of a row, if it measured it on the same kind of device: dynamic int8 on a CPU, the others on a GPU."""
    return PAPER_MS.get(row["variant"]) if (row["device"] == CPU) == (row["variant"] == "dynamic int8") else None


def workload(options: argparse.Namespace) -> tuple[nn.Module, nn.Module, np.ndarray, dict[str, Any]]:
    """Network, normalisation, test images uint8 (N, S, S, 3), and where they come from."""
    if options.checkpoint is None:
        torch.manual_seed(0)
        network = build_network(ModelRecipe(options.network, weights="none"), N_CLASSES, options.size, pretrained=False)
        shape = (options.images, options.size, options.size, 3)
        images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        return network, Normalise(*NORMALISATIONS["imagenet"]), images, {"network": options.network, "images": "noise"}
    network, info = load_network(options.checkpoint)
    dataset = Dataset.open(options.index, options.split, options.store)
    images = _test_images(dataset, info.spec)
    facts = {"network": info.recipe.model.name, "images": f"test split ({dataset.split.protocol})"}
    return network, Normalise(info.spec.mean, info.spec.std), images, facts


def _test_images(dataset: Dataset, spec: InputSpec) -> np.ndarray:
    rows = dataset.store.rows(dataset.ids("test"))
    return np.ascontiguousarray(centre_crop(dataset.store.images[rows], spec.size))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, nargs="?", help="best.safetensors; needs --index, --split and --store")
    for name in ("index", "split", "store"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--network", default="convnext_tiny")
    numbers = {"size": 384, "images": 1002, "batch": 64, "runs": 100, "cpu-runs": 1, "threads": 0}
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.checkpoint is not None and not (options.index and options.split and options.store):
        parser.error("a checkpoint needs the images of its test split: --index, --split and --store")
    if options.threads:
        torch.set_num_threads(options.threads)
    network, normalise, images, facts = workload(options)
    if len(images) < options.batch:
        parser.error(f"{len(images)} images make no full batch of {options.batch}; give --images or a smaller --batch")
    rows, left_out = variants(network, normalise, options)
    protocol = {**facts, "size": int(images.shape[1]), "batch": options.batch, "threads": torch.get_num_threads()}
    measured = measure(rows, images, options.batch)
    if (protocol["network"].partition(".")[0], protocol["size"], protocol["batch"]) == PAPER_PROTOCOL:
        measured = [{**row, "paper_batch_ms": paper_ms(row)} for row in measured]
    result = {
        "protocol": protocol,
        "rows": measured,
        "left_out": left_out,
        "machine": machine(),
        "versions": versions(),
        "commit": commit(),
    }
    for row in measured:
        paper = f", in the paper {row['paper_batch_ms']:.2f}" if row["paper_batch_ms"] else ""
        times = f"{row['batch_ms']['mean_ms']:.2f} ms a batch, {row['image_ms']:.3f} ms an image"
        print(f"{row['variant']} on {row['device']}: {times}{paper}")
    for name, reason in left_out.items():
        print(f"{name}: left out, {reason}")
    if options.out is not None:
        write_json(options.out, result)


if __name__ == "__main__":
    main()
