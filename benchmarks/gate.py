"""The gate and the outcome "not sure": the choice of the distance, and the metrics on real images.

    python benchmarks/gate.py RUN [--bundle BUNDLE] [--data ../shared/data] [--count 150] [--out benchmarks/results/gate.json]

RUN is a finished run of HAM10000 (`lesionlens run`). The bundle is exported unless one is given; all its variants are
measured. The distance is selected on outliers that `outliers.py` makes from training images, never on the photographs
in `ood/` or on the test split, which are only reported.
"""

from __future__ import annotations

import argparse
import csv
import platform
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import beta

from gate_methods import NetworkOutputs, compare
from gate_photographs import held_out_kinds, tones
from lesionlens import __version__
from lesionlens.bundle.bundle import WEIGHTS_FILE, Bundle, open_bundle
from lesionlens.bundle.decision import Decision
from lesionlens.bundle.gate import CHECKS, Gate
from lesionlens.bundle.outcome import DIAGNOSIS, NOT_SURE, NOT_USABLE
from lesionlens.bundle.prediction import Failure, Prediction
from lesionlens.bundle.quality import measure_quality
from lesionlens.bundle.runtime import Predictor
from lesionlens.bundle.sources import image_paths
from lesionlens.core.artifact import write_json
from lesionlens.core.run import Run
from lesionlens.core.seeds import generator
from lesionlens.data.dataset import Dataset
from lesionlens.data.groups import groups_of
from lesionlens.data.image import centre_crop
from lesionlens.evaluation.evaluate import PredictionSettings, predict_split
from lesionlens.evaluation.intervals import bounds, lesion_weights
from lesionlens.evaluation.predict import predict_logits
from lesionlens.export.decision_fit import decision_metrics
from lesionlens.export.export import export
from lesionlens.export.gate_images import features_and_quality, stratified_ids
from lesionlens.training.checkpoint import load_network
from outliers import ALTERED, FOREIGN, SPOILT, draw_outliers

KNOWN = 2000
ROUNDS = 300


def compare_methods(dataset: Dataset, bundle: Bundle, count: int) -> dict[str, Any]:
    """The methods compared on made outliers; thresholds from the validation split."""
    network, info = load_network(bundle.path / WEIGHTS_FILE)
    index, store, spec = dataset.index, dataset.store, bundle.spec
    training = dataset.split.ids["train"]
    altered = sorted(generator("altered").choice(sorted(training), count, replace=False).tolist())
    known = stratified_ids(sorted(set(training) - set(altered)), index, KNOWN)
    engine = Predictor(bundle.path, variant="fp32", batch_size=8)

    def of_store(ids: tuple[str, ...]) -> NetworkOutputs:
        features, _ = features_and_quality(engine.run, ids, store, spec, lambda done: None)
        return NetworkOutputs(features, predict_logits(network, store.images, spec, rows=np.sort(store.rows(ids))))

    def of_pixels(images: np.ndarray) -> NetworkOutputs:
        features = [engine.run(images[start : start + 8]).features for start in range(0, len(images), 8)]
        frames = np.pad(images, ((0, 0), *2 * (((spec.frame - spec.size) // 2, -(-(spec.frame - spec.size) // 2)),), (0, 0)))
        return NetworkOutputs(np.concatenate(features), predict_logits(network, frames, spec))

    ordered = tuple(store.ids[row] for row in np.sort(store.rows(known)))
    labels = np.array([index.labels.index(index.by_id()[image_id].dx) for image_id in ordered])
    outliers = draw_outliers(np.ascontiguousarray(centre_crop(store.images[store.rows(altered)], spec.size)), count)
    outputs = {kind: of_pixels(images) for kind, images in outliers.items()}
    validation = of_store(dataset.split.ids["validation"])
    foreign = (*FOREIGN, *ALTERED)
    gate = Gate.from_bundle(bundle)
    assert gate is not None
    return {
        "outliers": {"count_of_each": count, "distance": foreign, "quality": tuple(SPOILT)},
        "known_images": len(known),
        "methods": compare(of_store(ordered), labels, validation, outputs, foreign),
        "whole_gate": {kind: _rejected_pixels(gate, outliers[kind], outputs[kind].features) for kind in outliers},
        "model": info.recipe.model.name,
    }


def _rejected_pixels(gate: Gate, images: np.ndarray, features: np.ndarray) -> dict[str, Any]:
    side = images.shape[1]
    gate_results = [gate.check((2 * side, 2 * side), image, row) for image, row in zip(images, features, strict=True)]
    return {"rejected": float(np.mean([not result.usable for result in gate_results])), "reasons": _reasons(gate_results)}


def reported_on(dataset: Dataset, bundle: Bundle, variant: str, data: Path) -> dict[str, Any]:
    """The metrics on real images: the test split, photographs, clinical close-ups, another source."""
    predictor = Predictor(bundle.path, variant=variant, batch_size=8, workers=2)
    index, split = dataset.index, dataset.split
    by_id, test = index.by_id(), split.ids["test"]
    group = dict(zip(index.ids, groups_of(index, split.pairs).astype(str), strict=True))
    good = _predictions(predictor, [index.image_path(by_id[image_id]) for image_id in test])
    metrics: dict[str, Any] = {"test": {**_counts(good), "kept": _kept(good, np.array([group[i] for i in test]))}}
    for name in ("ood/cutlery", "ood/clinical"):
        photographs = _predictions(predictor, list(image_paths([str(data / name)])))
        metrics[name] = {
            **_counts(photographs),
            "rejected": _exact(sum(p.outcome == NOT_USABLE for p in photographs), len(photographs)),
        }
    metrics["isic2017"] = _other_source(predictor, data / "isic2017")
    metrics["not_sure_on_test"] = _not_sure(good, test, dataset, predictor.decision, group)
    return {"runtime": predictor.runtime, **metrics}


def _predictions(predictor: Predictor, paths: list[Path]) -> list[Prediction]:
    results = list(predictor.attempt(paths))
    failed = [result.source for result in results if isinstance(result, Failure)]
    if failed:
        raise SystemExit(f"{len(failed)} images cannot be read, the first is {failed[0]}")
    return [result for result in results if isinstance(result, Prediction)]


def _counts(predictions: list[Prediction]) -> dict[str, Any]:
    outcomes = Counter(prediction.outcome for prediction in predictions)
    gate_results = [prediction.gate_result for prediction in predictions if prediction.gate_result is not None]
    return {
        "n_images": len(predictions),
        "outcomes": {o: outcomes[o] for o in (DIAGNOSIS, NOT_SURE, NOT_USABLE)},
        "reasons": _reasons(gate_results),
    }


def _reasons(gate_results: list[Any]) -> dict[str, int]:
    counted = Counter(code for result in gate_results for code in result.reasons)
    return {code: counted[code] for code in CHECKS}


def _kept(predictions: list[Prediction], lesions: np.ndarray) -> dict[str, float]:
    """Share of good images that are usable, with its 95 % interval by lesion."""
    usable = np.array([prediction.outcome != NOT_USABLE for prediction in predictions], dtype=np.float64)
    drawn = np.concatenate([weights @ usable / weights.sum(axis=1) for weights in lesion_weights(lesions, 2000, 0, 100)])
    low, high = bounds(drawn)
    return {"value": float(usable.mean()), "low": float(low), "high": float(high)}


def _exact(hits: int, count: int) -> dict[str, float]:
    """A share with its 95 % interval of Clopper and Pearson (1934)."""
    low = 0.0 if hits == 0 else float(beta.ppf(0.025, hits, count - hits + 1))
    high = 1.0 if hits == count else float(beta.ppf(0.975, hits + 1, count - hits))
    return {"value": hits / count, "low": low, "high": high}


def _other_source(predictor: Predictor, folder: Path) -> dict[str, Any]:
    """Another source's images: what is kept, by diagnosis, and what becomes of its melanomas."""
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as stream:
        dx_of = {row["image_id"]: row["dx"] for row in csv.DictReader(stream)}
    paths = {path.stem: path for path in image_paths([str(folder)])}
    predictions = dict(zip(dx_of, _predictions(predictor, [paths[image_id] for image_id in dx_of]), strict=True))
    by_dx = {dx: [predictions[i] for i, code in dx_of.items() if code == dx] for dx in sorted(set(dx_of.values()))}
    usable = [prediction for prediction in by_dx["mel"] if prediction.outcome != NOT_USABLE]
    detected = sum(prediction.outcome == NOT_SURE or prediction.first.code == "mel" for prediction in usable)
    whole = _counts(list(predictions.values()))
    return {
        **whole,
        "rejected": _exact(whole["outcomes"][NOT_USABLE], whole["n_images"]),
        "by_diagnosis": {dx: _counts(some) for dx, some in by_dx.items()},
        "melanoma_sensitivity_of_usable": {"n_images": len(usable), **_exact(detected, len(usable))},
    }


def _not_sure(
    predictions: list[Prediction], ids: tuple[str, ...], dataset: Dataset, decision: Decision | None, group: dict[str, str]
) -> dict[str, Any]:
    """Metrics of the outcome "not sure" on the test images that the gate lets through."""
    if decision is None or decision.threshold is None:
        return {}
    usable_rows = np.array([prediction.outcome != NOT_USABLE for prediction in predictions])
    labels, by_id = dataset.index.labels, dataset.index.by_id()
    probabilities = np.stack([prediction.probabilities for prediction in predictions])
    truth = np.array([labels.index(by_id[image_id].dx) for image_id in ids])
    lesions = np.array([group[image_id] for image_id in ids])
    usable = decision_metrics(decision, probabilities[usable_rows], truth[usable_rows], lesions[usable_rows], labels)
    melanomas = truth == labels.index("mel") if "mel" in labels else np.zeros(len(truth), dtype=bool)
    return {
        "threshold": decision.threshold,
        "usable_images": usable,
        "all_images_as_if_usable": decision_metrics(decision, probabilities, truth, lesions, labels),
        "melanomas_not_usable": int((melanomas & ~usable_rows).sum()),
        "accuracy_of_all_without_a_third_answer": float((probabilities.argmax(axis=1) == truth).mean()),
    }


def rules_compared(dataset: Dataset, bundle: Bundle, checkpoint: Path) -> dict[str, Any]:
    """Other one-threshold rules at the same sensitivity, on the validation split that the threshold is chosen on."""
    settings = PredictionSettings(split="validation", views=1)
    predictions = predict_split(checkpoint, dataset, settings)
    logits = predictions.logits / bundle.facts["temperature"]["value"]
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    mel = dataset.index.labels.index("mel")
    called, malignant = p.argmax(axis=1) == mel, np.array(dataset.index.labels.malignant)
    rules = {
        "melanoma (used)": p[:, mel],
        "malignant share": p[:, malignant].sum(axis=1),
        "1 - largest probability": 1 - p.max(axis=1),
    }
    sensitivity = bundle.facts["decision"]["sensitivity"]
    by_rule = {}
    for name, score in rules.items():
        scores = np.sort(np.where(called, np.inf, score)[predictions.labels == mel])
        misses = int((1 - sensitivity) * (len(scores) + 1) + 1e-9) - 1
        by_rule[name] = {"not_sure": float((~called & (score >= scores[misses])).mean()), "threshold": float(scores[misses])}
    return by_rule


def cost_ms(bundle: Bundle) -> dict[str, float]:
    """Processor time of one check, one thread, median and p95; and of the quality alone."""
    gate, random = Gate.from_bundle(bundle), generator("cost")
    assert gate is not None
    pixels = random.integers(0, 256, (bundle.spec.size, bundle.spec.size, 3), dtype=np.uint8)
    features = random.random(len(gate.gaussian.mean), dtype=np.float32)
    spent: dict[str, list[float]] = {"check": [], "quality": []}
    for _ in range(ROUNDS):
        for name, call in (
            ("check", lambda: gate.check((600, 450), pixels, features)),
            ("quality", lambda: measure_quality((600, 450), pixels)),
        ):
            start = time.thread_time()
            call()
            spent[name].append(1000 * (time.thread_time() - start))
    return {
        f"{name}_{k}": float(np.quantile(values, q))
        for name, values in spent.items()
        for k, q in (("median", 0.5), ("p95", 0.95))
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/gate.json"))
    options = parser.parse_args()
    run = Run.at(options.run)
    dataset, checkpoint = Dataset.of_run(run), run.best
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        bundle = open_bundle(options.bundle) if options.bundle else export(checkpoint, dataset, Path(folder) / "bundle")
        engine = Predictor(bundle.path, variant="fp32", batch_size=8)
        result = {
            "recipe": bundle.name,
            "bundle": bundle.id,
            "export_s": None if options.bundle else time.perf_counter() - started,
            "gate": bundle.facts["gate"],
            "decision": bundle.facts["decision"],
            "chosen_on_made_outliers": compare_methods(dataset, bundle, options.count),
            "photographs": held_out_kinds(dataset, bundle, engine),
            "tones": tones(dataset, bundle, engine),
            "rules_on_validation": rules_compared(dataset, bundle, checkpoint),
            "reported_by_variant": {name: reported_on(dataset, bundle, name, options.data) for name in bundle.variants},
            "cost_ms": cost_ms(bundle),
            "versions": {"lesionlens": __version__, "python": platform.python_version(), "numpy": np.__version__},
        }
    write_json(options.out, result)
    print(f"wrote {options.out}; put its tables into docs/gate.md with: python benchmarks/gate_tables.py")


if __name__ == "__main__":
    main()
