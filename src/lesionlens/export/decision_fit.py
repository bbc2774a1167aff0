"""Choose the threshold of the third answer on the validation split."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lesionlens.bundle.decision import Decision, watched_codes
from lesionlens.core.errors import RecipeError
from lesionlens.core.labels import LabelSet
from lesionlens.evaluation.intervals import bounds, lesion_weights

SENSITIVITY = 0.95
SENSITIVITIES = (0.5, 0.999)
STEP = 1e-4  # thresholds are rounded down to it; as much as the runtimes may differ
RESAMPLES, CONFIDENCE = 2000, 0.95


def check_sensitivity(sensitivity: float) -> None:
    """Refuse a sensitivity that makes no sense.

    Raises:
        RecipeError: if it is out of range.
    """
    if not SENSITIVITIES[0] <= sensitivity <= SENSITIVITIES[1]:
        raise RecipeError(f"melanoma sensitivity {sensitivity}; it must be from {SENSITIVITIES[0]} to {SENSITIVITIES[1]}")


def fit_decision(
    probabilities: np.ndarray,
    truth: np.ndarray,
    lesion_ids: np.ndarray,
    labels: LabelSet,
    sensitivity: float = SENSITIVITY,
) -> Decision:
    """Choose the largest threshold that reaches a sensitivity.

    Of n watched images (melanomas) at most `allowed_misses(n, sensitivity)` may be neither called
    watched nor be "not sure": the threshold is that order statistic of their watched probability.
    So the expected sensitivity for a new one from the same source is at least what was asked for
    (conformal risk control, Angelopoulos et al. 2024, theorem 1), up to the dependence of images of
    one lesion; `validation` has its interval by lesion.

    Args:
        probabilities: calibrated, of the validation split, (N, K).
        truth: true class indices, (N,).
        lesion_ids: text, (N,).
        labels: the diagnoses.
        sensitivity: to reach.

    Raises:
        RecipeError: if the sensitivity is out of range.
    """
    check_sensitivity(sensitivity)
    watched = watched_codes(labels)
    if not watched:
        return Decision((), sensitivity, None, "none of its diagnoses is malignant")
    free = Decision(watched, sensitivity, threshold=0.0)
    indices = [labels.index(code) for code in watched]
    is_watched = np.isin(truth, indices)
    n_images, n_lesions = int(is_watched.sum()), len(np.unique(lesion_ids[is_watched]))
    if allowed_misses(n_lesions, sensitivity) < 0:
        reason = (
            f"{n_lesions} lesions with {free.name} in the validation split are too few for a sensitivity of {sensitivity:g}; "
            f"it takes {fewest(sensitivity)}"
        )
        return Decision(
            watched, sensitivity, None, reason, {"split": "validation", "n_watched": n_images, "n_lesions": n_lesions}
        )
    called = np.isin(probabilities.argmax(axis=1), indices)
    scores = np.where(called, 1.0, free.watched_probability(probabilities, labels))[is_watched]
    statistic = float(np.sort(scores)[allowed_misses(n_images, sensitivity)])
    decision = Decision(watched, sensitivity, round(math.floor(statistic / STEP + 1e-9) * STEP, 4))
    metrics = metrics_of(decision, probabilities, truth, lesion_ids, labels)
    return Decision(watched, sensitivity, decision.threshold, validation={"split": "validation", **metrics})


def allowed_misses(count: int, sensitivity: float) -> int:
    """Most misses among `count` images such that (misses + 1) / (count + 1) is at most 1 - sensitivity; -1 if none will do."""
    return math.floor((1 - sensitivity) * (count + 1) + 1e-9) - 1


def fewest(sensitivity: float) -> int:
    """Fewest images that allow a threshold at all: 19 for a sensitivity of 0.95."""
    return math.ceil(1 / (1 - sensitivity) - 1e-9) - 1


def metrics_of(
    decision: Decision, probabilities: np.ndarray, truth: np.ndarray, lesion_ids: np.ndarray, labels: LabelSet
) -> dict[str, Any]:
    """What a decision does to images whose truth is known.

    Args:
        decision: with a threshold.
        probabilities: (N, K).
        truth: class indices, (N,), some of them watched.
        lesion_ids: text, (N,).
        labels: the diagnoses.

    Returns:
        `n_images`, `n_watched`, `n_lesions` (watched ones); `sensitivity`, the share of watched
        images that are called watched or not sure; `called`, those called watched; `not_sure`, the share
        of all images; `accuracy_answered` and `balanced_accuracy_answered` of the images that get a
        diagnosis. Each of the last five with its 95 % interval by lesion.
    """
    indices = [labels.index(code) for code in decision.watched]
    is_watched, predicted = np.isin(truth, indices), probabilities.argmax(axis=1)
    unsure = decision.unsure(probabilities, labels)
    called = np.isin(predicted, indices)
    answered, right = ~unsure, predicted == truth

    def shares(weights: np.ndarray) -> dict[str, np.ndarray]:
        recalls = np.stack([_share(weights, right & answered & (truth == k), answered & (truth == k)) for k in np.unique(truth)])
        return {
            "sensitivity": _share(weights, is_watched & (called | unsure), is_watched),
            "called": _share(weights, is_watched & called, is_watched),
            "not_sure": _share(weights, unsure, np.ones(len(truth), dtype=bool)),
            "accuracy_answered": _share(weights, right & answered, answered),
            "balanced_accuracy_answered": _mean(recalls),
        }

    points = shares(np.ones((1, len(truth))))
    splits = [shares(weights) for weights in lesion_weights(lesion_ids, RESAMPLES, 0, 100)]
    found = {}
    for name, point in points.items():
        low, high = bounds(np.concatenate([split_name[name] for split_name in splits]), CONFIDENCE)
        found[name] = {key: _number(value) for key, value in (("value", point[0]), ("low", low), ("high", high))}
    counts = {"n_images": len(truth), "n_watched": int(is_watched.sum()), "n_lesions": len(np.unique(lesion_ids[is_watched]))}
    return {**counts, **found}


def _share(weights: np.ndarray, hits: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Weighted share of `hits` among `of`, (B,); NaN where there are none."""
    whole = weights @ of
    return np.asarray(np.divide(weights @ hits, whole, out=np.full(len(weights), np.nan), where=whole > 0))


def _mean(recalls: np.ndarray) -> np.ndarray:
    """Mean over the first axis of those that are defined; NaN where none is."""
    defined = ~np.isnan(recalls)
    count = defined.sum(axis=0)
    total = np.where(defined, recalls, 0).sum(axis=0)
    return np.asarray(np.divide(total, count, out=np.full(recalls.shape[1], np.nan), where=count > 0))


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)
