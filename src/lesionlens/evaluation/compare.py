"""Paired comparison of two sets of predictions for the same images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lesionlens.core.errors import DataError
from lesionlens.evaluation.differences import differences, p_of
from lesionlens.evaluation.intervals import Interval, resample_metrics
from lesionlens.evaluation.metric_intervals import METHODS, metric_intervals
from lesionlens.evaluation.multiplicity import Hypotheses, holm
from lesionlens.evaluation.predictions import Predictions
from lesionlens.evaluation.weighted_metrics import OVERALL, PER_CLASS, WeightedMetrics

CAUTION = (
    "McNemar's test takes images as independent; images of one lesion are not, so its p is too small where lesions "
    "have several images. Report the p of accuracy, whose interval is by lesion."
)


def align(first: Predictions, second: Predictions) -> Predictions:
    """`second` in the order of `first`, after a check that both cover the same images.

    Raises:
        DataError: if the splits, diagnoses, images, labels or lesions differ.
    """
    if first.split != second.split:
        raise DataError(f"one file predicts the {first.split} split, the other {second.split}; compare predictions of one split")
    if first.codes != second.codes:
        raise DataError(f"diagnoses differ: {' '.join(first.codes)} against {' '.join(second.codes)}; they must be the same")
    only = np.setxor1d(first.image_ids, second.image_ids)
    if len(only):
        raise DataError(
            f"{len(only)} images are in one file only (first: {only[0]}); a paired comparison needs the same test images. "
            "Evaluate both checkpoints on one split"
        )
    order = np.argsort(second.image_ids)[np.searchsorted(np.sort(second.image_ids), first.image_ids)]
    second = second.take(order)
    for name in ("labels", "lesion_ids"):
        differing = np.flatnonzero(getattr(first, name) != getattr(second, name))
        if len(differing):
            row = differing[0]
            raise DataError(
                f"{name} of {len(differing)} images differ (image {first.image_ids[row]}: {getattr(first, name)[row]} against "
                f"{getattr(second, name)[row]}); make both files from one index and one split"
            )
    return second


def compare(
    first: Predictions,
    second: Predictions,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
    hypotheses: Hypotheses | None = None,
) -> dict[str, Any]:
    """Differences (first minus second) of every metric, paired by lesion.

    Args:
        first: predictions of one split.
        second: of the same images, in any order.
        resamples: bootstrap resamples over lesions, which tell how the errors of the two are correlated.
        confidence: level of the intervals, in (0, 1).
        seed: of the resamples.
        hypotheses: the primary metric and the family of secondary ones.

    Returns:
        JSON-ready: `first` and `second` (name, protocol, leaks), `split n_images n_lesions resamples
        confidence resample_seed`, `metrics` and `per_class` (by code) with `first second difference
        low high p`, and the `method` of the interval or the `reason` why there is none; `hypotheses`: `primary`, `family`,
        and Holm's adjusted p by metric of the family (`holm`); `mcnemar`, and `notes` for the reader. p is two-sided; for
        `ece` (debiased), `brier` and `nll` less is better. p outside the hypotheses is exploratory. Undefined metrics are
        None.

    Raises:
        DataError: see `align`.
    """
    second, hypotheses = align(first, second), hypotheses or Hypotheses()
    cases = [WeightedMetrics.of(each.logits, each.labels) for each in (first, second)]
    sides = [metric_intervals(each, first.lesion_ids, resamples, confidence, seed) for each in cases]
    if np.array_equal(first.logits, second.logits):
        gaps = {name: tuple(Interval(0.0, 0.0, 0.0, "identical") for _ in of_classes) for name, of_classes in sides[0].items()}
    else:
        one, other = resample_metrics(cases, first.lesion_ids, resamples, seed)
        gaps = {name: differences((sides[0], sides[1]), (one, other), name) for name in sides[0]}
    rows = {name: _rows(sides, gaps[name], name, confidence) for name in (*OVERALL, *PER_CLASS)}
    correct = [each.predicted == each.labels for each in (first, second)]
    return {
        **{key: _side(each) for key, each in (("first", first), ("second", second))},
        "split": first.split,
        "n_images": len(first),
        "n_lesions": len(np.unique(first.lesion_ids)),
        "resamples": resamples,
        "confidence": confidence,
        "resample_seed": seed,
        "metrics": {name: rows[name][0] for name in OVERALL},
        "per_class": {code: {name: rows[name][c] for name in PER_CLASS} for c, code in enumerate(first.codes)},
        "hypotheses": tested(hypotheses, {name: rows[name][0]["p"] for name in OVERALL}),
        "methods": {name: METHODS[name] for name in sorted({each.method for row in gaps.values() for each in row} - {""})},
        "mcnemar": {**mcnemar(*correct), "caution": CAUTION},
        "notes": notes(first, second),
    }


def tested(hypotheses: Hypotheses, p_values: dict[str, float | None]) -> dict[str, Any]:
    """The declared hypotheses with the adjusted p of the family, JSON-ready."""
    adjusted = holm([p_values[name] for name in hypotheses.family])
    return {
        "primary": hypotheses.primary,
        "family": list(hypotheses.family),
        "holm": dict(zip(hypotheses.family, adjusted, strict=True)),
    }


def _side(predictions: Predictions) -> dict[str, Any]:
    origin = predictions.origin
    return {"name": origin.name, "seed": origin.seed, "protocol": origin.protocol, "leaks": origin.leaks, "views": origin.views}


def _rows(
    sides: list[dict[str, tuple[Interval, ...]]], gaps: tuple[Interval, ...], name: str, confidence: float
) -> list[dict[str, Any]]:
    rows = []
    for first, second, gap in zip(sides[0][name], sides[1][name], gaps, strict=True):
        numbers = {
            "first": first.value,
            "second": second.value,
            "difference": gap.value,
            "low": gap.low,
            "high": gap.high,
            "p": p_of(gap, confidence),
        }
        texts = {"method": gap.method, "reason": gap.reason}
        rows.append(
            {
                **{key: None if math.isnan(number) else float(number) for key, number in numbers.items()},
                **{key: text for key, text in texts.items() if text},
            }
        )
    return rows


def mcnemar(first_right: np.ndarray, second_right: np.ndarray) -> dict[str, Any]:
    """Exact McNemar test of which classifier is right, image by image.

    Args:
        first_right: bool (N,).
        second_right: bool (N,), the same images.

    Returns:
        `first_only` and `second_only`: images that only one gets right; `p`: two-sided, binomial.
    """
    first_only, second_only = int((first_right & ~second_right).sum()), int((second_right & ~first_right).sum())
    n, fewer = first_only + second_only, min(first_only, second_only)
    tail = math.fsum(math.exp(_log_choose(n, k) - n * math.log(2)) for k in range(fewer + 1))
    return {"first_only": first_only, "second_only": second_only, "p": min(1.0, 2 * tail)}


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def notes(first: Predictions, second: Predictions) -> list[str]:
    """Caveats of the comparison."""
    caveats = []
    for name, each in (("first", first), ("second", second)):
        if each.origin.leaks:
            caveats.append(
                f"The {name} ({each.origin.name}) was trained under protocol {each.origin.protocol!r}, which leaks lesions "
                "into training: its metrics are too good."
            )
    splits = [each.origin.hashes.get("split", "") for each in (first, second)]
    if splits[0] != splits[1]:
        caveats.append("The two were trained on different splits, so they saw different training images.")
    return caveats
