"""How many steps deletion and insertion curves need: the area at each number of steps against a fine reference.

    python benchmarks/curve_steps.py CHECKPOINT --index FILE --split FILE --store FOLDER
        [--images 32] [--reference 240] [--out FILE]

The curves of some validation images are measured once, with `--reference` steps; every divisor of it from 5 on is a curve with
fewer steps. `error` is the mean area over the reference's mean area, less 1; `worst_image` is the largest absolute error of
one image's area, in units of the area (0 to 1).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from lesionlens.core.artifact import write_json
from lesionlens.data.dataset import Dataset
from lesionlens.explanation.attribution import build_explainer
from lesionlens.explanation.curves import area
from lesionlens.explanation.explain import images_to_explain
from lesionlens.explanation.explain_images import explain_images
from lesionlens.explanation.explanations import CURVES, ORDERS, ExplainedModel
from lesionlens.explanation.settings import ExplainSettings
from lesionlens.training.checkpoint import load_network
from source_version import commit

FEWEST = 5


def errors(curve: np.ndarray) -> dict[str, dict[str, float]]:
    """Errors of the area by number of steps, for curves of all steps (N, S + 1)."""
    steps, reference = curve.shape[1] - 1, area(curve)
    result = {}
    for count in (count for count in range(FEWEST, steps) if steps % count == 0):
        coarse = area(curve[:, :: steps // count])
        error = float(coarse.mean() / reference.mean() - 1)
        result[str(count)] = {"error": error, "worst_image": float(np.abs(coarse - reference).max())}
    return result


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Errors of both curves in both orders."""
    dataset = Dataset.open(options.index, options.split, options.store)
    network, info = load_network(options.checkpoint)
    settings = ExplainSettings(
        split="validation",
        limit=options.images,
        masks=False,
        random_networks=0,
        curve_images=options.images,
        curve_steps=options.reference,
        device="cpu",
    )
    explained = images_to_explain(dataset, settings)
    model = ExplainedModel(network, build_explainer(network, info.spec.size), info.spec)
    explanations = explain_images(model, explained, settings)
    return {
        "model": info.recipe.model.name,
        "input_size": info.spec.size,
        "images": len(explained),
        "reference_steps": options.reference,
        "curves": {name: {order: errors(explanations.curves[name][order]) for order in ORDERS} for name in CURVES},
        "commit": commit(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    for name in ("index", "split", "store"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--reference", type=int, default=240)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    result = measure(options)
    for name, orders in result["curves"].items():
        for steps, values in orders["map"].items():
            print(f"{name:9} {steps:>4} steps: area {values['error']:+7.2%}, worst image {values['worst_image']:.4f}")
    if options.out is not None:
        write_json(options.out, result)


if __name__ == "__main__":
    main()
