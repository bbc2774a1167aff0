"""All networks of a grid: parameters, MACs, whether they train, explain and export, and their CPU latency.

    python benchmarks/networks.py --out benchmarks/results/networks.json [--grid networks] [--latency] [--again]

Each network is tried on random pixels with random weights: one training step, heat maps, and a graph that must compute the
same as torch on every installed runtime. Parameters and MACs are of the grid's input size. What the file already holds is
not tried again unless `--again` says so, so it can be stopped at any time. `--latency` only measures torch in fp32, one
image, one network after the other; nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lesionlens.bundle.benchmark import machine, measure
from lesionlens.core.artifact import write_json
from lesionlens.core.errors import LesionLensError
from lesionlens.core.recipe import ModelRecipe, Recipe
from lesionlens.experiments.grid import load_grid
from lesionlens.experiments.network_check import count_network
from lesionlens.models.build import Normalise, build_network
from lesionlens.models.catalogue import IMAGENET_MEAN, IMAGENET_STD
from lesionlens.pipeline.network_trial import N_CLASSES, try_network
from source_version import commit

ROUNDS = 12
COMMAND = "python benchmarks/networks.py --out benchmarks/results/networks.json"


def tried(recipe: Recipe) -> dict[str, Any]:
    """What a network does, or why it does not."""
    model = replace(recipe.model, weights="none")
    try:
        trial = try_network(model).to_json()
    except LesionLensError as error:
        return {"trains_and_exports": False, "reason": str(error)}
    kept = ("size", "heat_map", "maps_in_bundle", "largest_difference")
    return {"trains_and_exports": True, **{f"trial_{key}" if key == "size" else key: trial[key] for key in kept}}


def latency(recipe: Recipe) -> dict[str, float]:
    """Milliseconds of one image in torch, fp32, channels_last."""
    size = recipe.input.size
    network = build_network(ModelRecipe(recipe.model.name, weights="none"), N_CLASSES, size).eval()
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    normalise = Normalise(IMAGENET_MEAN, IMAGENET_STD)

    def call(images: np.ndarray) -> object:
        with torch.inference_mode():
            pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
            return network(normalise(pixels).contiguous(memory_format=torch.channels_last))

    images = np.random.default_rng(0).integers(0, 256, (4, size, size, 3), np.uint8)
    return measure({"network": call}, images, (1,), ROUNDS)["network"]["1"]


def update(out: Path, fill: Callable[[Recipe, dict[str, Any]], dict[str, Any]], grid_name: str) -> None:
    """Go through the networks of the grid, writing after each."""
    grid = load_grid(grid_name)
    content = json.loads(out.read_text(encoding="utf-8")) if out.is_file() else {}
    rows: dict[str, Any] = content.get("networks", {})
    for row in grid.rows:
        recipe = grid.recipe(row)
        rows[row.name] = fill(recipe, rows.get(row.name, {}))
        print(row.name, rows[row.name], flush=True)
        ordered = {each.name: rows[each.name] for each in grid.rows if each.name in rows}
        write_json(out, {**content, "command": COMMAND, "n_classes": N_CLASSES, "networks": ordered})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--grid", default="networks")
    parser.add_argument("--latency", action="store_true")
    parser.add_argument("--again", action="store_true")
    options = parser.parse_args()

    def counts(recipe: Recipe, known: dict[str, Any]) -> dict[str, Any]:
        if known.get("trains_and_exports") and known.get("name") == recipe.model.name and not options.again:
            return known
        facts = {"name": recipe.model.name, "size": recipe.input.size, **count_network(recipe, N_CLASSES)}
        return {**facts, **tried(recipe), "commit": commit()}

    def times(recipe: Recipe, known: dict[str, Any]) -> dict[str, Any]:
        conditions = {"machine": machine(), "threads": torch.get_num_threads(), "commit": commit()}
        return {**known, "latency": {**latency(recipe), **conditions}}

    update(options.out, times if options.latency else counts, options.grid)


if __name__ == "__main__":
    main()
