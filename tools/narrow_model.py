"""Narrow the weights of the model in model/ so that its int8 saturates on no processor, and measure it again.

    python tools/narrow_model.py --data FOLDER

The bundle in model/ was quantised before `compression.saturation` existed, and its checkpoint is not kept. So its int8 weights
are narrowed, its predictions for the validation and test splits are made again by each runtime, and compared with the stored
ones of fp32. What needs fp32's graph (correlation of maps) is left out. FOLDER holds the images of HAM10000. The results go
into the bundle, its card and benchmarks/results/model/compression.json. A model that `make_model.py` makes does not need it.
"""

from __future__ import annotations

import argparse
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np
import onnx

from lesionlens.bundle.bundle import RUNTIMES, Bundle, open_bundle
from lesionlens.bundle.engines import Limits, load_engine, version_of
from lesionlens.bundle.outputs import differences
from lesionlens.bundle.selftest import FLOAT, read_selftest
from lesionlens.bundle.variants import NewVariant, add_variant
from lesionlens.compression.evaluation import agreement, balanced_accuracy_of, metrics, verdict
from lesionlens.compression.saturation import narrow_weights
from lesionlens.core.artifact import read_json, write_json
from lesionlens.core.run import Run
from lesionlens.data.image import InputSpec, open_image, prepare
from lesionlens.evaluation.predictions import Predictions, read_predictions

ROOT = Path(__file__).resolve().parents[1]
MODEL, RESULTS = ROOT / "model", ROOT / "benchmarks" / "results" / "model" / "compression.json"
RESAMPLES, CONFIDENCE, LEAST_PROBABILITY = 2000, 0.95, 1e-30


def main() -> None:
    """Narrow, predict, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    bundle = open_bundle(MODEL / "src" / "lesionlens_model" / "bundle")
    (name,) = bundle.variants
    variant = bundle.variants[name]
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / variant.graphs[RUNTIMES[0]]
        model = onnx.load(bundle.path / graph.name)
        print(narrow_weights(model))
        onnx.save(model, str(graph))
        images = {path.stem: path for path in options.data.rglob("*.jpg")}
        test, validation = (measured(bundle, graph, images, split) for split in ("predictions", "validation_predictions"))
        first = validation[RUNTIMES[0]]
        loss = {**variant.metrics["validation_balanced_accuracy"], FLOAT: first["before"], name: first["after"]}
        facts = {"test": {runtime: row["metrics"] for runtime, row in test.items()}, "validation_balanced_accuracy": loss}
        comparison = on_selftest(bundle, graph, variant.comparison)
        new = NewVariant(name, [graph], variant.graphs, variant.precision, variant.tolerance, comparison, facts, True)
        after = add_variant(bundle.path, new)
    copyfile(after.path / "card.md", MODEL / "README.md")
    update_results(test, comparison, loss, after)


def measured(bundle: Bundle, graph: Path, images: dict[str, Path], split: str) -> dict[str, dict[str, Any]]:
    """For each runtime: metrics against fp32, agreement with it, and both balanced accuracies."""
    stored = read_predictions(getattr(Run.at(MODEL / "training"), split))
    reference = replace(stored, logits=(stored.logits / bundle.facts["temperature"]["value"]).astype(np.float32))
    with ThreadPoolExecutor(2) as pool:
        pixels = list(pool.map(partial(pixels_of, images, bundle.spec), reference.image_ids))
    rows = {}
    for runtime in RUNTIMES:
        engine = load_engine(runtime, graph, bundle.spec.size, "fp32", Limits())
        shares = np.concatenate([engine.run(image[None]).probabilities for image in pixels])
        logits = np.log(np.maximum(shares.astype(np.float64), LEAST_PROBABILITY)).astype(np.float32)
        rows[runtime] = row(replace(reference, logits=logits), reference)
        print(split, runtime, rows[runtime]["agreement"], rows[runtime]["before"], rows[runtime]["after"])
    return rows


def row(ours: Predictions, reference: Predictions) -> dict[str, Any]:
    """Metrics of int8, paired with those of fp32."""
    return {
        "metrics": metrics(ours, reference, RESAMPLES, CONFIDENCE),
        "agreement": agreement(ours, reference),
        "before": balanced_accuracy_of(reference),
        "after": balanced_accuracy_of(ours),
    }


def pixels_of(images: dict[str, Path], spec: InputSpec, image_id: str) -> np.ndarray:
    """One image as the network takes it, uint8 (S, S, 3)."""
    return np.ascontiguousarray(prepare(open_image(images[image_id]), spec))


def on_selftest(bundle: Bundle, graph: Path, before: dict[str, Any]) -> dict[str, Any]:
    """The comparison with fp32, on the images of the self-test, which hold its outputs."""
    selftest = read_selftest(bundle)
    expected, runtimes = selftest.expected[FLOAT], {}
    for runtime in RUNTIMES:
        found = load_engine(runtime, graph, bundle.spec.size, "fp32", Limits(0, len(selftest.images))).run(selftest.images)
        same = float((found.probabilities.argmax(1) == expected.probabilities.argmax(1)).mean())
        gaps = differences(found, expected)
        runtimes[runtime] = {"version": version_of(runtime), "largest_difference": gaps, "same_first": same}
    return {**before, "n_images": len(selftest.images), "runtimes": runtimes}


def update_results(test: dict[str, dict[str, Any]], comparison: dict[str, Any], loss: dict[str, Any], bundle: Bundle) -> None:
    """The rows of int8 in the results that docs/model.md is made from."""
    content = read_json(RESULTS)
    for each in content["rows"]:
        if each["variant"] == bundle.default_variant:
            new = test[each["runtime"]]
            name = f"{each['variant']} on {each['runtime']}"
            each |= {"metrics": new["metrics"], "agreement": new["agreement"], "comparison": comparison}
            each |= {"non_inferiority": verdict(name, new["metrics"], loss["allowed"]), "narrowed": True}
            each.pop("maps", None)
    lost = 100 * (loss[FLOAT] - loss[bundle.default_variant])
    why = (
        f"on the {loss['n_images']} validation images {bundle.default_variant} loses {lost:.2f} points of balanced accuracy "
        f"({loss[FLOAT]:.4f} to {loss[bundle.default_variant]:.4f}), where a loss of {100 * loss['allowed']:.2f} is allowed."
    )
    content["default"]["why"] = why
    content["verdicts"][bundle.default_variant] |= {**loss, "why": why}
    write_json(RESULTS, content)


if __name__ == "__main__":
    main()
