"""The key figures of several data sets side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from lesionlens.assessment.external.binary import Cases, malignant_metrics, watched_metrics
from lesionlens.bundle.decision import Decision, watched_codes
from lesionlens.core.labels import LabelSet
from lesionlens.evaluation.calibration import softmax
from lesionlens.evaluation.predictions import Predictions
from lesionlens.evaluation.scores import score

OVERALL = ("accuracy", "balanced_accuracy", "macro_auc", "ece")
NOT_COMPUTED = {"value": None, "low": None, "high": None}


def key_figures(content: dict[str, Any]) -> dict[str, Any]:
    """The figures of one external set for a table of several, by image and, where that differs, by lesion.

    Args:
        content: of external.json.

    Returns:
        `image` and `lesion` (None if it would repeat `image`): see `figures_of`.
    """
    shares = _without_diagnosis(content["flow"])
    rows = {}
    for unit in ("image", "lesion"):
        scores = content[unit]
        rows[unit] = None if "full" not in scores else {**figures_of(scores), "without_diagnosis": shares}
    return rows


def figures_of(scores: dict[str, Any]) -> dict[str, Any]:
    """The figures of a table's row.

    Args:
        scores: `full` (content of scores.json), perhaps `restricted`, `melanoma` and `malignant`.

    Returns:
        `n_images` and `n_lesions` of the closed set, and by name figures with `value`, `low`, `high`, `method` or `reason`:
        `OVERALL`, `restricted_balanced_accuracy`, `melanoma_auc`, `melanoma_sensitivity` and `melanoma_specificity` at the
        frozen threshold, `refitted_sensitivity` and `refitted_specificity`, and `malignant_auc`.
    """
    full, fewer = scores["full"], scores.get("restricted", {})
    melanoma, malignant = scores["melanoma"], scores["malignant"]
    figures = {name: full["metrics"][name] for name in OVERALL}
    figures["restricted_balanced_accuracy"] = _of(fewer.get("metrics", fewer), "balanced_accuracy")
    figures["melanoma_auc"] = _of(melanoma, "auc")
    for row, name in (("frozen", "melanoma"), ("refitted", "refitted")):
        for rate in ("sensitivity", "specificity"):
            figures[f"{name}_{rate}"] = _of(melanoma.get(row, melanoma), rate)
    figures["malignant_auc"] = _of(malignant, "auc")
    thresholds = {row: melanoma.get(row, {}).get("threshold") for row in ("frozen", "refitted")}
    return {"n_images": full["n_images"], "n_lesions": full["n_lesions"], "thresholds": thresholds, "figures": figures}


def internal_row(
    predictions: Predictions, temperature: float, decision: Decision | None, resamples: int, confidence: float
) -> dict[str, Any]:
    """The row of the model's own test split, with the temperature and the threshold that are frozen.

    Args:
        predictions: of that split, by the same network; raw logits.
        temperature: divisor of the logits.
        decision: None if no threshold was fixed.
        resamples: of the bootstrap.
        confidence: level of the intervals.
    """
    logits = predictions.logits / temperature
    labels, codes = predictions.labels, watched_codes(predictions.label_set)
    watched = [predictions.label_set.index(code) for code in codes]
    cases = Cases(
        probabilities=softmax(logits),
        labels=labels,
        malignant=_of_class(predictions.label_set.malignant, labels),
        watched=_of_class([number in watched for number in range(len(predictions.label_set))], labels),
        clusters=predictions.lesion_ids,
        label_set=predictions.label_set,
    )
    scores = {
        "full": score(_calibrated(predictions, temperature), resamples, confidence),
        "restricted": {"reason": "the model's own classes"},
        "melanoma": watched_metrics(cases, decision, confidence),
        "malignant": malignant_metrics(cases, confidence),
    }
    return {"split": predictions.split, "leaks": predictions.origin.leaks, **figures_of(scores), "without_diagnosis": None}


def row_of_bundle(scores: dict[str, Any], labels: LabelSet) -> dict[str, Any]:
    """The row of the model's own test split as a bundle tells it, which is less than predictions do.

    Args:
        scores: of the bundle, in the format of scores.json.
        labels: the bundle's diagnoses.
    """
    absent = {"reason": "not among the scores of the bundle"}
    watched = watched_codes(labels)
    melanoma = {"auc": scores["per_class"][watched[0]]["auc"], **absent} if len(watched) == 1 else absent
    row = {"full": scores, "restricted": {"reason": "the model's own classes"}, "melanoma": melanoma, "malignant": absent}
    return {"split": scores["split"], "leaks": scores["leaks"], **figures_of(row), "without_diagnosis": None}


def _calibrated(predictions: Predictions, temperature: float) -> Predictions:
    return dataclasses.replace(predictions, logits=(predictions.logits / temperature).astype(np.float32))


def _of_class(values: Sequence[bool], labels: np.ndarray) -> np.ndarray:
    return np.asarray(np.array(values, dtype=bool)[labels])


def _of(scores: dict[str, Any], name: str) -> dict[str, Any]:
    """A figure, or why it is not computed."""
    if name in scores:
        return dict(scores[name])
    return {**NOT_COMPUTED, "reason": scores.get("reason", "not computed")}


def _without_diagnosis(flow: dict[str, Any]) -> dict[str, Any]:
    """Images that were to be diagnosed and were not, by cause."""
    causes = {name: flow[name] for name in ("unreadable", "refused", "not_sure")}
    return {**causes, "of": flow["diagnosed"] + sum(causes.values())}
