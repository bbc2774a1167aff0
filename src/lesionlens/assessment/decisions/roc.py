"""Points and areas of ROC curves for thousands of resamples at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, stdtrit

from lesionlens.evaluation.delong import PRIOR_LESIONS
from lesionlens.evaluation.intervals import CHUNK_ELEMENTS, Interval, bounds, lesion_weights

Statistic = Callable[[np.ndarray, np.ndarray], np.ndarray]  # of false and true positive rates, (B, T), gives (B,)
SLACK = 1e-9  # rates are sums of weights; a rate of exactly the stated value counts as reached
PERCENTILE, LOGIT = "bootstrap-percentile", "bootstrap-logit"
EDGE = 1e-3  # resampled shares are held between it and 1 minus it before the logit


@dataclass(frozen=True, eq=False)
class RocCurves:
    """The images of one question, sorted by descending score.

    Attributes:
        order: rows of the images, (N,).
        positive: whether each is positive, in that order, (N,).
        last: places of the last image of each run of equal scores, (T - 1,).
        thresholds: the scores at these places; an image at or above one is called positive, (T - 1,).
    """

    order: np.ndarray
    positive: np.ndarray
    last: np.ndarray
    thresholds: np.ndarray

    @classmethod
    def of(cls, truth: np.ndarray, scores: np.ndarray) -> RocCurves:
        """Sort images with `truth` bool (N,) and `scores` (N,)."""
        order = np.argsort(-scores, kind="stable")
        last = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
        return cls(order, truth[order], last, scores[order][last])

    def rates(self, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """False and true positive rates, (B, T), both from 0 to 1, for weights (B, N); NaN where a side has no weight."""
        weights = np.ones((1, len(self.order))) if weights is None else weights
        sorted_weights = weights[:, self.order]
        return self._rate(sorted_weights * ~self.positive), self._rate(sorted_weights * self.positive)

    def _rate(self, weights: np.ndarray) -> np.ndarray:
        rates = np.zeros((len(weights), len(self.last) + 1))
        np.cumsum(weights, axis=1, out=weights)
        total = weights[:, -1:].copy()
        with np.errstate(invalid="ignore"):
            rates[:, 1:] = weights[:, self.last] / total
        return rates

    def resampled(
        self, statistics: Mapping[str, Statistic], lesion_ids: np.ndarray, resamples: int, seed: int
    ) -> dict[str, Resampled]:
        """Statistics of the curve, for all images and for resamples of lesions.

        Args:
            statistics: by name.
            lesion_ids: of the images in their first order, (N,).
            resamples: number of resamples.
            seed: of the resamples.
        """
        chunk_rows = max(1, CHUNK_ELEMENTS // len(self.order))
        chunks = []
        for weights in lesion_weights(lesion_ids, resamples, seed, chunk_rows):
            rates = self.rates(weights)
            chunks.append([statistic(*rates) for statistic in statistics.values()])
        columns, rates = [np.concatenate(column) for column in zip(*chunks, strict=True)], self.rates()
        return {
            name: Resampled(float(statistic(*rates)[0]), column[~np.isnan(column)])
            for (name, statistic), column in zip(statistics.items(), columns, strict=True)
        }


@dataclass(frozen=True, eq=False)
class Resampled:
    """A statistic of all images and of resamples.

    Attributes:
        value: of all images.
        values: of the resamples in which it is defined, (B,).
    """

    value: float
    values: np.ndarray

    def percentile_interval(self, confidence: float = 0.95) -> Interval:
        """Percentiles of the resamples."""
        low, high = bounds(self.values, confidence)
        return Interval(self.value, float(low), float(high), PERCENTILE)

    def logit_interval(self, n_lesions: int, scale: float = 1.0, confidence: float = 0.95) -> Interval:
        """Student's interval on the logit scale with the standard deviation of the resamples.

        Percentiles of areas near their largest value cover too little (benchmarks/decision_coverage.py).

        Args:
            n_lesions: lesions that the statistic rests on; its degrees of freedom are as those of an AUC.
            scale: the largest value.
            confidence: level, in (0, 1).

        Returns:
            No bounds but a reason where all resamples are alike.
        """
        if not len(self.values) or np.ptp(self.values) == 0:
            return Interval(self.value, np.nan, np.nan, "", "every resample gives the same")
        value, *values = logit(np.clip(np.append(self.value, self.values) / scale, EDGE, 1 - EDGE))
        half = float(stdtrit(n_lesions - 1 + PRIOR_LESIONS, (1 + confidence) / 2)) * float(np.std(values, ddof=1))
        low, high = (scale * float(expit(value + sign * half)) for sign in (-1, 1))
        return Interval(self.value, min(low, self.value), max(high, self.value), LOGIT)


def sensitivity_at(specificity: float) -> Statistic:
    """The highest sensitivity of a threshold that reaches a specificity, without interpolation."""

    def statistic(false_positive: np.ndarray, true_positive: np.ndarray) -> np.ndarray:
        place = (false_positive <= 1 - specificity + SLACK).sum(axis=1) - 1
        return _at(true_positive, place, false_positive)

    return statistic


def specificity_at(sensitivity: float) -> Statistic:
    """The highest specificity of a threshold that reaches a sensitivity, without interpolation."""

    def statistic(false_positive: np.ndarray, true_positive: np.ndarray) -> np.ndarray:
        place = (true_positive < sensitivity - SLACK).sum(axis=1)
        return 1 - _at(false_positive, np.minimum(place, false_positive.shape[1] - 1), true_positive)

    return statistic


def _at(rates: np.ndarray, place: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Rates (B, T) at a place of each curve, (B,); NaN where they or the `others` are undefined."""
    found = np.take_along_axis(rates, np.maximum(place, 0)[:, None], axis=1)[:, 0]
    return np.where(np.isnan(rates[:, -1]) | np.isnan(others[:, -1]), np.nan, found)


def partial_auc(least_specificity: float) -> Statistic:
    """Area under the curve at or above a specificity, standardised to 0.5 for chance and 1 for a perfect ranking.

    McClish (1989); scikit-learn's `roc_auc_score(max_fpr=1 - least_specificity)`.
    """
    most = 1 - least_specificity

    def statistic(false_positive: np.ndarray, true_positive: np.ndarray) -> np.ndarray:
        least = most**2 / 2
        return np.asarray((1 + (_area(false_positive, true_positive, most) - least) / (most - least)) / 2)

    return statistic


def partial_auc_above(least_sensitivity: float) -> Statistic:
    """Area under the curve and above a sensitivity, in [0, 1 - least_sensitivity]; ISIC 2024 scored with 0.8."""

    def statistic(false_positive: np.ndarray, true_positive: np.ndarray) -> np.ndarray:
        return _area(1 - true_positive[:, ::-1], 1 - false_positive[:, ::-1], 1 - least_sensitivity)

    return statistic


def _area(x: np.ndarray, y: np.ndarray, most: float) -> np.ndarray:
    """Area under the polygon of ascending x and y, (B, T), from 0 to `most`, (B,)."""
    width, rise = np.diff(x, axis=1), np.diff(y, axis=1)
    inside = np.clip(most - x[:, :-1], 0, width)
    slope = np.divide(rise, width, out=np.zeros_like(rise), where=width > 0)
    return np.asarray((inside * (y[:, :-1] + slope * inside / 2)).sum(axis=1))
