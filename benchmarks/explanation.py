"""Closed-form Grad-CAM against captum's, and the faithfulness of a trained network's maps on its test split.

    python benchmarks/explanation.py CHECKPOINT --index FILE --split FILE --store FOLDER
        [--parity-images 100] [--curve-images 200] [--random-networks 3] [--rounds 20] [--out FILE]

`parity` compares the maps of all classes on images of the test split, as a share of each image's
largest value. `timing` alternates the network alone, the network with the maps of all classes, and
captum's LayerGradCam for one class, batch 1. `faithfulness` is the command `explain` on the whole
test split: energy inside the lesion mask and pointing game with intervals by lesion, beside networks
with random weights, a blob at the centre, and another image's map.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from captum.attr import LayerGradCam
from torch import Tensor, nn

from lesionlens.core.artifact import write_json
from lesionlens.data.dataset import Dataset
from lesionlens.explanation.attribution import SpatialThenHead, build_explainer
from lesionlens.explanation.cam import ExplainedNetwork
from lesionlens.explanation.explain import explain, images_to_explain
from lesionlens.explanation.explain_images import load_images
from lesionlens.explanation.explanations import ExplainedModel
from lesionlens.explanation.settings import ExplainSettings
from lesionlens.training.checkpoint import load_network
from source_version import commit

BATCH = 10


def captum_maps(network: nn.Module, images: Tensor, n_classes: int) -> Tensor:
    """Maps of all classes (N, K, h, w), one backward pass for each class."""
    staged = SpatialThenHead(network)
    method = LayerGradCam(staged, staged.stages)
    maps = [method.attribute(images, target=c, relu_attributions=True).detach() for c in range(n_classes)]
    return torch.cat(maps, dim=1)


def parity(network: nn.Module, images: Tensor, n_classes: int) -> dict[str, Any]:
    """Largest differences between both, relative to the range of each image's maps."""
    explained, gaps = ExplainedNetwork(network), []
    for batch in torch.split(images, BATCH):
        with torch.no_grad():
            ours = explained(batch)[2]
        theirs = captum_maps(network, batch, n_classes)
        gaps.append((ours - theirs).abs().amax((1, 2, 3)) / theirs.amax((1, 2, 3)))
    relative = torch.cat(gaps).numpy()
    return {
        "images": len(images),
        "classes": n_classes,
        "map_shape": list(ours.shape[2:]),
        "largest_difference_of_range": float(relative.max()),
        "median_difference_of_range": float(np.median(relative)),
        "images_within_1e-4": int((relative <= 1e-4).sum()),
    }


def timing(network: nn.Module, image: Tensor, rounds: int) -> dict[str, Any]:
    """Milliseconds for one image, variants alternating."""
    explained, staged = ExplainedNetwork(network), SpatialThenHead(network)
    method = LayerGradCam(staged, staged.stages)

    def run_plain(model: nn.Module) -> None:
        with torch.inference_mode():
            model(image)

    variants: dict[str, Callable[[], object]] = {
        "network": lambda: run_plain(network),
        "network_with_all_maps": lambda: run_plain(explained),
        "captum_one_class": lambda: method.attribute(image, target=0, relu_attributions=True),
    }
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(rounds + 3):
        for name, action in variants.items():
            start = time.perf_counter()
            action()
            if turn >= 3:
                seconds[name].append(time.perf_counter() - start)
    spread = {
        name: {"median_ms": 1000 * float(np.median(each)), "p95_ms": 1000 * float(np.quantile(each, 0.95))}
        for name, each in seconds.items()
    }
    return {"batch": 1, "rounds": rounds, "threads": torch.get_num_threads(), **spread}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    for name in ("index", "split", "store"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--parity-images", type=int, default=100)
    parser.add_argument("--curve-images", type=int, default=200)
    parser.add_argument("--random-networks", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--keep", type=Path, help="folder to keep maps and gallery in")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    dataset = Dataset.open(options.index, options.split, options.store)
    network, info = load_network(options.checkpoint)
    settings = ExplainSettings(limit=options.parity_images, device="cpu")
    explained = images_to_explain(dataset, settings)
    subject = ExplainedModel(network, build_explainer(network, info.spec.size), info.spec)
    images = load_images(explained, np.arange(len(explained)), subject)
    settings = dataclasses.replace(settings, limit=0, random_networks=options.random_networks, curve_images=options.curve_images)
    with tempfile.TemporaryDirectory() as folder:
        maps_folder = options.keep or Path(folder)
        faithfulness = explain(options.checkpoint, dataset, maps_folder, settings)
    result = {
        "model": info.recipe.model.name,
        "input_size": info.spec.size,
        "epoch": info.epoch,
        "parity": parity(network, images, len(info.labels)),
        "timing": timing(network, images[:1], options.rounds),
        "faithfulness": faithfulness,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "captum", "timm", "numpy")},
        },
        "commit": commit(),
    }
    print(json.dumps({key: result[key] for key in ("parity", "timing")}, indent=2))
    if options.out is not None:
        write_json(options.out, result)


if __name__ == "__main__":
    main()
