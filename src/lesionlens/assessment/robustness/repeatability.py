"""Whether photographs of one lesion, or views of one image, get the same prediction.

Agreement is the share of units (lesions, images) whose ratings are all alike, the mean share of alike pairs, and Fleiss' kappa
for unequal numbers of ratings, which takes off what chance would give where most lesions are nevi (Fleiss 1971; Gwet 2014,
chapter 2). The spread of the malignant probability is the within-subject standard deviation of Bland & Altman (BMJ 313:744,
1996); 95 % of two ratings of one unit differ by less than the repeatability coefficient, 1.96 sqrt(2) times as much.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from lesionlens.assessment.resampling import Resampling, lesion_percentiles
from lesionlens.assessment.shares import mean_share, proportion
from lesionlens.evaluation.intervals import Interval, bootstrap_t
from lesionlens.evaluation.proportions import Lesions
from lesionlens.evaluation.ratio_intervals import too_few

COEFFICIENT = 1.96 * math.sqrt(2)
USUAL = Resampling()
METHODS = {
    "wilson": "Wilson's score interval with the effective number of cases, by lesion",
    "clopper-pearson": "Clopper and Pearson's interval with the effective number of cases, where all are hits or none is",
    "lesion-bootstrap": "percentiles over resamples of lesions (Davison & Hinkley 1997, section 3.8)",
    "bootstrap-t": "studentised bootstrap of the variance over lesions, on the log scale",
}


@dataclass(frozen=True, eq=False)
class Ratings:
    """Repeated predictions: R ratings of U units.

    Attributes:
        unit: unit of each rating, int (R,), each in [0, U).
        predicted: class of each rating, int (R,).
        malignant: probability of a malignant diagnosis, (R,); empty if the label set has none.
        malignant_class: which classes are malignant, bool (K,).
        lesion: lesion of each unit, (U,).
    """

    unit: np.ndarray
    predicted: np.ndarray
    malignant: np.ndarray
    malignant_class: np.ndarray
    lesion: np.ndarray

    @classmethod
    def of(
        cls, probabilities: np.ndarray, unit_ids: np.ndarray, lesion_ids: np.ndarray, malignant: tuple[bool, ...]
    ) -> Ratings | None:
        """Ratings of the units that have two or more; None if there are none.

        Args:
            probabilities: of each rating, (R, K).
            unit_ids: unit of each rating, (R,).
            lesion_ids: lesion of each rating, (R,).
            malignant: which classes are malignant, K of them.
        """
        _, first, unit, counts = np.unique(unit_ids, return_index=True, return_inverse=True, return_counts=True)
        repeated = counts >= 2
        if not repeated.any():
            return None
        kept = repeated[unit]
        number = np.cumsum(repeated) - 1
        classes = np.array(malignant)
        share = probabilities[kept][:, classes].sum(1) if classes.any() else np.zeros(0)
        return cls(number[unit[kept]], probabilities[kept].argmax(1), share, classes, lesion_ids[first[repeated]])

    @property
    def counts(self) -> np.ndarray:
        """Ratings of each unit by class, (U, K)."""
        counts = np.zeros((len(self.lesion), len(self.malignant_class)))
        np.add.at(counts, (self.unit, self.predicted), 1)
        return counts


def repeatability(ratings: Ratings, resampling: Resampling = USUAL) -> dict[str, Any]:
    """Agreement and spread of repeated predictions, with intervals by lesion.

    Args:
        ratings: of units with two or more each.
        resampling: of the intervals.

    Returns:
        JSON-ready: `n_units`, `n_ratings`, `n_lesions`, `methods`, and `metrics` with `all_alike`, `pairs_alike`, `kappa`,
        `malignancy_alike` (share of units that are always or never called malignant), `spread` (standard deviation of the
        malignant probability) and `coefficient`, each with interval; the last three only with a malignant diagnosis.
    """
    counts, lesions = ratings.counts, Lesions.of(ratings.lesion)
    every = np.ones(len(counts), bool)
    alike = counts.max(1) == counts.sum(1)
    metrics = {
        "all_alike": proportion(alike, every, lesions, confidence=resampling.confidence),
        "pairs_alike": mean_share(_alike_pairs(counts), lesions, resampling.confidence),
        "kappa": _kappa_interval(counts, ratings.lesion, resampling),
    }
    if len(ratings.malignant):
        called = counts[:, ratings.malignant_class].sum(1)
        metrics["malignancy_alike"] = proportion(
            (called == 0) | (called == counts.sum(1)), every, lesions, confidence=resampling.confidence
        )
        spread = spread_interval(ratings, resampling)
        metrics["spread"] = spread
        value, low, high = (COEFFICIENT * each for each in (spread.value, spread.low, spread.high))
        metrics["coefficient"] = Interval(value, low, high, spread.method, spread.reason)
    return {
        "n_units": len(counts),
        "n_ratings": len(ratings.unit),
        "n_lesions": len(lesions),
        "methods": METHODS,
        "metrics": {name: interval.to_json() for name, interval in metrics.items()},
    }


def _alike_pairs(counts: np.ndarray) -> np.ndarray:
    """Share of pairs of ratings that agree, for each unit, (U,)."""
    n = counts.sum(1)
    return np.asarray((counts * (counts - 1)).sum(1) / (n * (n - 1)))


def fleiss_kappa(counts: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Agreement beyond chance, 1 at best and 0 at chance; NaN where every rating is of one class.

    Args:
        counts: ratings of each unit by class, (U, K), two or more for each unit; the numbers may differ.
        weights: of the units, (B, U); one row of ones if None.

    Returns:
        One value for each row of the weights, (B,).
    """
    weights = np.ones((1, len(counts))) if weights is None else weights
    total = weights.sum(1)
    observed = weights @ _alike_pairs(counts) / total
    classes = weights @ (counts / counts.sum(1, keepdims=True)) / total[:, None]
    expected = np.square(classes).sum(1)
    chance = 1 - expected
    return np.asarray(np.divide(observed - expected, chance, out=np.full(len(total), np.nan), where=chance > 1e-12))


def _kappa_interval(counts: np.ndarray, lesion_ids: np.ndarray, resampling: Resampling) -> Interval:
    value = fleiss_kappa(counts)[0]
    reason = "every prediction is of one diagnosis" if np.isnan(value) else "all agree" if value == 1 else ""
    return lesion_percentiles(lambda weights: fleiss_kappa(counts, weights), lesion_ids, resampling, reason)


def spread_interval(ratings: Ratings, resampling: Resampling = USUAL) -> Interval:
    """Within-unit standard deviation of the malignant probability, pooled over units by their degrees of freedom."""
    n = np.bincount(ratings.unit)
    means = np.bincount(ratings.unit, ratings.malignant) / n
    squares = np.bincount(ratings.unit, np.square(ratings.malignant - means[ratings.unit]))
    value = math.sqrt(squares.sum() / (n - 1).sum())
    lesions = Lesions.of(np.repeat(ratings.lesion, n - 1))
    if reason := too_few(len(lesions)):
        return Interval(value, np.nan, np.nan, "", reason)
    low, high = bootstrap_t(
        np.repeat(squares / (n - 1), n - 1), lesions, resampling.resamples, resampling.confidence, resampling.seed
    )
    if np.isnan(low):
        return Interval(value, np.nan, np.nan, "", "the spread does not differ between lesions")
    return Interval(value, math.sqrt(low), math.sqrt(high), "bootstrap-t")
