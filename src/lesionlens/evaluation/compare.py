"""Paired comparison of two sets of predictions for the same images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lesionlens.core.errors import DataError
from lesionlens.evaluation.intervals import bounds, resample_metrics
from lesionlens.evaluation.predictions import Predictions
from lesionlens.evaluation.weighted_metrics import OVERALL, PER_CLASS, WeightedMetrics

CAUTION = (
    "McNemar's test takes images as independent; images of one lesion are not, so its p is too small where lesions "
    "have several images. Report the bootstrap p, which draws lesions."
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
    first: Predictions, second: Predictions, resamples: int = 2000, confidence: float = 0.95, seed: int = 0
) -> dict[str, Any]:
    """Differences (first minus second) of every metric, from the same resamples of lesions.

    Args:
        first: predictions of one split.
        second: of the same images, in any order.
        resamples: bootstrap resamples over lesions.
        confidence: level of the intervals, in (0, 1).
        seed: of the resamples.

    Returns:
        JSON-ready: `first` and `second` (name, protocol, leaks), `split n_images n_lesions resamples
        confidence resample_seed`, `metrics` and `per_class` (by code) with `first second difference
        low high p` for each, `mcnemar`, and `notes` for the reader. p is two-sided; for `ece`, `brier`
        and `nll` less is better. Undefined metrics are None.

    Raises:
        DataError: see `align`.
    """
    second = align(first, second)
    cases = [WeightedMetrics.of(each.logits, each.labels) for each in (first, second)]
    resampled = resample_metrics(cases, first.lesion_ids, resamples, seed)
    points = [each.metrics() for each in cases]
    rows = {name: _differences(name, points, resampled, confidence) for name in (*OVERALL, *PER_CLASS)}
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
        "mcnemar": {**mcnemar(*correct), "caution": CAUTION},
        "notes": notes(first, second),
    }


def _side(predictions: Predictions) -> dict[str, Any]:
    origin = predictions.origin
    return {"name": origin.name, "seed": origin.seed, "protocol": origin.protocol, "leaks": origin.leaks, "views": origin.views}


def _differences(
    name: str, points: list[dict[str, np.ndarray]], resampled: list[dict[str, np.ndarray]], confidence: float
) -> list[dict[str, float | None]]:
    one, other = (each[name].reshape(-1) for each in points)  # (1,) or (K,)
    gaps = (resampled[0][name] - resampled[1][name]).reshape(-1, len(one))  # (B, 1) or (B, K)
    low, high = bounds(gaps, confidence)
    columns = (one, other, one - other, low, high, bootstrap_p(gaps))
    keys = ("first", "second", "difference", "low", "high", "p")
    return [
        {key: None if math.isnan(number) else float(number) for key, number in zip(keys, row, strict=True)}
        for row in zip(*columns, strict=True)
    ]


def bootstrap_p(gaps: np.ndarray) -> np.ndarray:
    """Two-sided p of each column of resampled differences (B, K), shape (K,).

    Twice the smaller share of resamples on one side of zero, with one added to the counts
    (Davison & Hinkley 1997, section 4.4), so p is never 0. NaN where no resample is defined.
    """
    defined = np.isfinite(gaps).sum(0)
    smaller = np.minimum((gaps <= 0).sum(0), (gaps >= 0).sum(0))
    return np.where(defined > 0, np.minimum(1.0, 2 * (smaller + 1) / (defined + 1)), np.nan)


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
