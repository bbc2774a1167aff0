"""Milliseconds per image of table 3's ten image transforms: ours on a batch against Albumentations 2.0.8 image by image.

    python benchmarks/augmentation.py [--device auto] [--threads 2] [--rounds 40] [--batch 64] [--out FILE]

Both do the same work on the same images: the same ten transforms with the same probabilities and
magnitudes, uint8 (H, W, 3) in memory to uint8 (H, W, 3) in memory. The variants alternate within one
run. `ours` uses all threads on a batch; `albumentations` is one process whose OpenCV may use as many;
`albumentations, N processes` is its best on N cores, counted without the cost of sending results
back; the `1 thread` variants compare one core with one core.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations
import cv2
import numpy as np
import torch

from lesionlens.augment.policy import table_3
from lesionlens.augment.transform import augment
from lesionlens.core.artifact import write_json
from lesionlens.core.machine import cores, processor
from lesionlens.training.memory import keep_memory
from source_version import commit

SIZES = (224, 384)
WARM_UP = 4
worker: dict[str, Any] = {}


def smooth_images(count: int, size: int) -> np.ndarray:
    """Blotches of random colour, uint8, shape (count, size, size, 3)."""
    blotches = np.random.default_rng(0).integers(40, 220, (count, 12, 12, 3), dtype=np.uint8)
    return np.stack([cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC) for image in blotches])


def reference() -> albumentations.Compose:
    """Table 3 as an Albumentations pipeline."""
    mirror = cv2.BORDER_REFLECT_101
    deviations = (10**0.5 / 255, 50**0.5 / 255)
    affine = {"scale": (0.8, 1.2), "translate_percent": (-0.1, 0.1), "rotate": (-45, 45), "keep_ratio": True}
    return albumentations.Compose(
        [
            albumentations.HorizontalFlip(p=0.5),
            albumentations.VerticalFlip(p=0.5),
            albumentations.Affine(**affine, border_mode=mirror, p=0.9),
            albumentations.RandomBrightnessContrast(0.2, 0.2, p=0.7),
            albumentations.HueSaturationValue(10, 3, 20, p=0.7),
            albumentations.GaussNoise(std_range=deviations, p=0.5),
            albumentations.GaussianBlur(blur_limit=(3, 3), p=0.5),
            albumentations.MotionBlur(blur_limit=(3, 3), p=0.5),
            albumentations.GridDistortion(border_mode=mirror, p=0.2),
            albumentations.CoarseDropout(num_holes_range=(5, 8), p=0.3),
        ],
        seed=0,
    )


def start_worker(count: int, size: int) -> None:
    cv2.setNumThreads(1)
    keep_memory()
    worker.update(images=smooth_images(count, size), compose=reference())


def run_worker(_: int) -> None:
    for image in worker["images"]:
        worker["compose"](image=image)


class Variants:
    """The timed functions by name; each augments one batch and returns when it is done."""

    def __init__(self, batch: int, size: int, threads: int, pool: Pool, device: str):
        self.images = smooth_images(batch, size)
        self.batch = torch.from_numpy(self.images).permute(0, 3, 1, 2)
        self.on_device = self.batch.to(device)
        self.compose = reference()
        self.policy = table_3()
        self.pool = pool
        self.round = 0
        self.actions: dict[str, tuple[int, Callable[[], object]]] = {
            "ours": (threads, self.ours),
            "albumentations": (threads, self.albumentations),
            f"albumentations, {threads} processes": (threads, self.albumentations_processes),
        }
        if threads > 1:
            self.actions |= {"ours, 1 thread": (1, self.ours), "albumentations, 1 thread": (1, self.albumentations)}
        if device != "cpu":
            self.actions[f"ours, {device}"] = (threads, self.ours_on_device)

    def seeds(self) -> range:
        """Fresh seeds each round, so that every draw is timed."""
        self.round += 1
        return range(self.round * len(self.images), (self.round + 1) * len(self.images))

    def ours(self) -> object:
        """Table 3 on the whole batch."""
        return augment(self.batch, self.seeds(), self.policy)

    def ours_on_device(self) -> object:
        """The same on a GPU that holds the batch."""
        augment(self.on_device, self.seeds(), self.policy)
        return torch.cuda.synchronize()

    def albumentations(self) -> object:
        """One image after the other."""
        return [self.compose(image=image) for image in self.images]

    def albumentations_processes(self) -> object:
        """One process a core, each with its share of the batch."""
        return self.pool.map(run_worker, range(self.pool._processes), chunksize=1)  # type: ignore[attr-defined]


@contextmanager
def threads_set(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    yield
    torch.set_num_threads(before)


def measure(batch: int, size: int, threads: int, rounds: int, device: str) -> dict[str, dict[str, float]]:
    """Milliseconds per image of each variant, the variants taking turns."""
    share = -(-batch // threads)
    with multiprocessing.get_context("spawn").Pool(threads, start_worker, (share, size)) as pool:
        variants = Variants(batch, size, threads, pool, device)
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in variants.actions}
        for number in range(WARM_UP + rounds):
            for name, (limit, action) in variants.actions.items():
                with threads_set(limit):
                    start, cpu_start = time.perf_counter(), time.process_time()
                    action()
                    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
                if number >= WARM_UP:
                    times[name].append((1e3 * seconds / batch, 1e3 * cpu_seconds / batch))
    return {name: spread(np.array(pairs)) for name, pairs in times.items()}


def spread(times: np.ndarray) -> dict[str, float]:
    """Of wall-clock and CPU milliseconds, shape (rounds, 2); the CPU's hold also where other programs take turns."""
    return {
        "median_ms": round(float(np.median(times[:, 0])), 4),
        "p95_ms": round(float(np.quantile(times[:, 0], 0.95)), 4),
        "fastest_ms": round(float(times[:, 0].min()), 4),
        "median_cpu_ms": round(float(np.median(times[:, 1])), 4),
    }


def facts(options: argparse.Namespace, device: str) -> dict[str, Any]:
    packages = {"torch": torch, "numpy": np, "albumentations": albumentations, "opencv": cv2}
    return {
        "what": "milliseconds per image of the ten image transforms of table 3, uint8 to uint8",
        "command": f"python {Path(__file__).parent.name}/{Path(__file__).name} --threads {options.threads} "
        f"--rounds {options.rounds} --batch {options.batch}",
        "machine": {
            "cpu": processor(),
            "cores": cores(),
            "load": round(os.getloadavg()[0], 2),
            "gpu": torch.cuda.get_device_name() if device != "cpu" else None,
        },
        "versions": {"python": platform.python_version(), **{name: module.__version__ for name, module in packages.items()}},
        "commit": commit("--dirty"),
        "batch": options.batch,
        "threads": options.threads,
        "rounds": options.rounds,
        "policy": table_3().hash,
    }


def ratios(times: dict[str, dict[str, float]]) -> dict[str, float]:
    """How many times faster ours is, by medians."""
    pairs = {"same threads": ("albumentations", "ours")}
    for name in times:
        if name == "ours, 1 thread":
            pairs["1 thread"] = ("albumentations, 1 thread", name)
        if name.startswith("albumentations, ") and name.endswith("processes"):
            pairs["same number of processes"] = (name, "ours")
        if name.startswith("ours, cuda"):
            pairs["gpu against one process"] = ("albumentations", name)
    result = {name: round(times[theirs]["median_ms"] / times[own]["median_ms"], 2) for name, (theirs, own) in pairs.items()}
    theirs, own = pairs.get("1 thread", pairs["same threads"])
    return {**result, "CPU time of 1 thread": round(times[theirs]["median_cpu_ms"] / times[own]["median_cpu_ms"], 2)}


def available_device(device: str) -> str:
    if device != "cpu" and not torch.cuda.is_available():
        print("no CUDA device here: the GPU variant is skipped")
        return "cpu"
    return "cpu" if device == "cpu" else "cuda"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    device = available_device(options.device)
    keep_memory()  # as training does; both sides of the comparison have it
    result = facts(options, device)
    for size in SIZES:
        times = measure(options.batch, size, options.threads, options.rounds, device)
        result[f"size {size}"] = {"ms_per_image": times, "times_faster": ratios(times)}
    print(json.dumps(result, indent=2))
    if options.out:
        write_json(options.out, result)


if __name__ == "__main__":
    main()
