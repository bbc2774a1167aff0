"""The metrics of the ISIC challenges, as their official scorer defines them (isic-challenge-scoring 5.6, task 3).

They differ from this package's own in four ways. Each diagnosis is called where its probability is above 0.5, so an image
may have no diagnosis. The balanced accuracy takes the first choice, and an image with two equal largest probabilities has
none. The area above a sensitivity of 80 % is not scaled: a perfect ranking has 1, chance 0.18. And the
scorer sets a ratio without cases to 1. Here such a ratio is named in `set_to_one`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lesionlens.core.errors import DataError
from lesionlens.core.labels import LabelSet
from lesionlens.evaluation.ranking import auc, average_precision

SENSITIVITY = 0.8
CALLED_ABOVE = 0.5
RATIOS = ("accuracy", "sensitivity", "specificity", "dice", "ppv", "npv")
RANKED = ("auc", "auc_sens_80", "ap")
PER_CATEGORY = (*RATIOS, *RANKED)
ONE_SIDED = "all images are on one side"


def official_metrics(probabilities: np.ndarray, labels: np.ndarray, label_set: LabelSet) -> dict[str, Any]:
    """Every metric of the official scorer for task 3, under its names.

    Args:
        probabilities: (N, K), each in [0, 1].
        labels: true class indices, (N,).
        label_set: the K diagnoses.

    Returns:
        `aggregate.balanced_accuracy`, `per_category` (by code, each of `PER_CATEGORY`; None where a diagnosis has no
        images or all of them), `macro_average` over the defined values, `set_to_one` (codes by metric whose value the scorer
        sets to 1, for want of cases) and `reasons` (by code, why a metric is None).

    Raises:
        DataError: if the shapes do not match, or there are no images.

    Example:
        >>> from lesionlens.core.labels import LabelSet, MEL, NV
        >>> scores = official_metrics(np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([0, 1]), LabelSet("two", (MEL, NV)))
        >>> scores["aggregate"]["balanced_accuracy"], scores["per_category"]["mel"]["auc_sens_80"]
        (1.0, 1.0)
    """
    if probabilities.shape != (len(labels), len(label_set)) or not len(labels):
        raise DataError(f"probabilities {probabilities.shape} and labels {labels.shape}; they must be (N, K) and (N,), N over 0")
    set_to_one: dict[str, list[str]] = {}
    per_category, reasons = {}, {}
    for number, code in enumerate(label_set.codes):
        truth, scores = labels == number, probabilities[:, number]
        ratios, free = _ratios(truth, scores > CALLED_ABOVE)
        per_category[code] = {**ratios, **_ranked(truth, scores)}
        for name in free:
            set_to_one.setdefault(name, []).append(code)
        if truth.all() or not truth.any():
            reasons[code] = ONE_SIDED if truth.all() else "no images of this diagnosis"
    return {
        "aggregate": {"balanced_accuracy": balanced_multiclass_accuracy(probabilities, labels)},
        "per_category": per_category,
        "macro_average": {name: _mean([row[name] for row in per_category.values()]) for name in PER_CATEGORY},
        "set_to_one": set_to_one,
        "reasons": reasons,
    }


def balanced_multiclass_accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean recall of the first choice over the diagnoses with images; an image with a tie for the first choice is wrong.

    Args:
        probabilities: (N, K).
        labels: true class indices, (N,).
    """
    largest = probabilities.max(axis=1, keepdims=True)
    is_decided = (probabilities == largest).sum(axis=1) == 1
    right = is_decided & (probabilities.argmax(axis=1) == labels)
    return float(np.mean([right[labels == number].mean() for number in np.unique(labels)]))


def area_above_sensitivity(truth: np.ndarray, scores: np.ndarray, sensitivity: float = SENSITIVITY) -> float:
    """Area under the part of the ROC curve at or above a sensitivity, down to the axis, not scaled.

    The curve is cut where a straight line between its points crosses the sensitivity.

    Args:
        truth: which images show the diagnosis, bool (N,), some and not all.
        scores: higher means more likely, (N,).
        sensitivity: in (0, 1].
    """
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)  # of each run of equal scores
    hits = np.cumsum(truth[order])[last]
    tpr = np.concatenate([[0.0], hits / hits[-1]])
    fpr = np.concatenate([[0.0], (last + 1 - hits) / (len(order) - hits[-1])])
    first = int(np.searchsorted(tpr, sensitivity, side="left"))
    before, after = tpr[first - 1], tpr[first]
    start = fpr[first - 1] + (fpr[first] - fpr[first - 1]) * (sensitivity - before) / (after - before)
    rates, sensitivities = np.concatenate([[start], fpr[first:]]), np.concatenate([[sensitivity], tpr[first:]])
    return float((np.diff(rates) * (sensitivities[1:] + sensitivities[:-1]) / 2).sum())


def _ranked(truth: np.ndarray, scores: np.ndarray) -> dict[str, float | None]:
    if truth.all() or not truth.any():
        return dict.fromkeys(RANKED)
    values = (auc(truth, scores), area_above_sensitivity(truth, scores), average_precision(truth, scores))
    return dict(zip(RANKED, values, strict=True))


def _ratios(truth: np.ndarray, called: np.ndarray) -> tuple[dict[str, float], list[str]]:
    """Ratios of counts, and the names of those without cases, which are 1."""
    tp, tn = int((truth & called).sum()), int((~truth & ~called).sum())
    fp, fn = int((~truth & called).sum()), int((truth & ~called).sum())
    terms = ((tp + tn, len(truth)), (tp, tp + fn), (tn, tn + fp), (2 * tp, 2 * tp + fp + fn), (tp, tp + fp), (tn, tn + fn))
    named = dict(zip(RATIOS, terms, strict=True))
    ratios = {name: hits / cases if cases else 1.0 for name, (hits, cases) in named.items()}
    return ratios, [name for name, (_, cases) in named.items() if not cases]


def _mean(values: list[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None
