"""Area under the ROC curve with an interval for cases that come in lesions."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy.special import expit, logit, stdtrit

from lesionlens.evaluation.proportions import Lesions, clopper_pearson
from lesionlens.evaluation.ranking import Ranking

PRIOR_LESIONS = 3.0  # weight of Hanley and McNeil's variance, in lesions; chosen by benchmarks/coverage.py


@dataclass(frozen=True, eq=False)
class ClusteredAuc:
    """AUC of one class with what its interval is made of.

    Attributes:
        value: AUC in [0, 1]; NaN if all cases are on one side.
        influence: what each lesion adds to the deviation of the AUC from its mean, (L,).
        variance: of Obuchowski (1997), DeLong's for clusters; 0 with fewer than two lesions on a side.
        n_positive: lesions with images of the class.
        n_negative: lesions with other images.
    """

    value: float
    influence: np.ndarray
    variance: float
    n_positive: int
    n_negative: int

    @property
    def freedom(self) -> int:
        """One less than the lesions of the smaller side."""
        return min(self.n_positive, self.n_negative) - 1

    @property
    def steady_variance(self) -> float:
        """The variance, drawn towards that of Hanley and McNeil (1982) by the weight of `PRIOR_LESIONS` lesions.

        With few lesions of a class and an AUC near 1, DeLong's variance rests on the few lesions that are ranked badly; a
        sample that happens to have none makes it far too small. A perfect ranking counts half a lesion as wrong.
        """
        smaller = self.freedom + 1
        value = min(max(self.value, 0.5 / (smaller + 0.5)), smaller / (smaller + 0.5)) if self._is_perfect else self.value
        prior = hanley_mcneil(value, self.n_positive, self.n_negative)
        return (self.freedom * self.variance + PRIOR_LESIONS * prior) / (self.freedom + PRIOR_LESIONS)

    @property
    def _is_perfect(self) -> bool:
        return self.value in (0.0, 1.0)

    def bounds(self, confidence: float = 0.95) -> tuple[float, float]:
        """Interval on the logit scale, with Student's quantile, inside [0, 1].

        A perfect ranking gets the exact interval of a proportion: as if each lesion of the smaller side were a case that is
        ranked right.

        Args:
            confidence: level, in (0, 1).

        Returns:
            Lower and upper bound; NaN where the AUC is.
        """
        if np.isnan(self.value):
            return np.nan, np.nan
        if self._is_perfect:
            low, high = clopper_pearson(np.asarray(self.value), np.asarray(self.freedom + 1.0), confidence)
            return float(low), float(high)
        quantile = stdtrit(self.freedom + PRIOR_LESIONS, (1 + confidence) / 2)
        return logit_bounds(self.value, self.steady_variance, float(quantile))


def logit_bounds(value: float, variance: float, quantile: float) -> tuple[float, float]:
    """Interval of a value in (0, 1) that is symmetric on the logit scale (delta method)."""
    half = quantile * np.sqrt(variance) / (value * (1 - value))
    return float(expit(logit(value) - half)), float(expit(logit(value) + half))


def hanley_mcneil(value: float, n_positive: int, n_negative: int) -> float:
    """Variance of an AUC by Hanley & McNeil (1982, equation 1 with their exponential approximation).

    >>> round(hanley_mcneil(0.893, 51, 58) ** 0.5, 4)
    0.0325
    """
    both_above = value / (2 - value)
    above_both = 2 * value**2 / (1 + value)
    pairs = n_positive * n_negative
    excess = (n_positive - 1) * (both_above - value**2) + (n_negative - 1) * (above_both - value**2)
    return (value * (1 - value) + excess) / pairs


def clustered_auc(ranking: Ranking, lesions: Lesions) -> ClusteredAuc:
    """AUC and its variance by Obuchowski (1997, equations 4 to 9).

    Each image of the class has a component: the share of other images that it outranks; each other image
    the share of images of the class that outrank it. Their sums over lesions give the variance, with the covariance of
    the two sides for lesions that have images on both.

    Args:
        ranking: scores of the class against the rest.
        lesions: lesions of the same images.
    """
    n_images = len(ranking.positives) + len(ranking.negatives)
    value, positive, negative = ranking.components()
    if np.isnan(value):
        return ClusteredAuc(np.nan, np.full(len(lesions), np.nan), 0.0, 0, 0)
    sums, counts = [], []
    for rows, component in ((ranking.positives, positive), (ranking.negatives, negative)):
        deviation, member = np.zeros(n_images), np.zeros(n_images)
        deviation[rows], member[rows] = (component - value) / len(rows), 1
        sums.append(lesions.totals(deviation))
        counts.append(int((lesions.totals(member) > 0).sum()))
    variance = 0.0
    if min(counts) > 1:
        variance = sum(n / (n - 1) * float(each @ each) for each, n in zip(sums, counts, strict=True))
        variance += 2 * len(lesions) / (len(lesions) - 1) * float(sums[0] @ sums[1])
    return ClusteredAuc(value, sums[0] + sums[1], max(0.0, variance), *counts)


def mean_auc_bounds(aucs: list[ClusteredAuc], confidence: float = 0.95) -> tuple[float, float]:
    """Interval of the mean of several classes' AUC, on the logit scale.

    Their variances are `steady_variance`, their correlations those of the lesions' influences.

    Args:
        aucs: of the classes that are averaged, each defined, for the same lesions.
        confidence: level, in (0, 1).
    """
    value = float(np.mean([each.value for each in aucs]))
    if value in (0.0, 1.0):  # no influence to correlate: the intervals of the classes are combined as independent
        ends = np.array([each.bounds(confidence) for each in aucs])
        below, above = np.sqrt(np.square(ends - value).sum(0)) / len(aucs)
        return value - float(below), value + float(above)
    deviations = np.sqrt([each.steady_variance for each in aucs])
    variance = deviations @ correlations(np.stack([each.influence for each in aucs])) @ deviations / len(aucs) ** 2
    return logit_bounds(value, float(variance), NormalDist().inv_cdf((1 + confidence) / 2))


def correlations(influences: np.ndarray) -> np.ndarray:
    """Correlations (M, M) of estimates whose influences of the same lesions are the rows (M, L); 0 where there is no spread."""
    products = influences @ influences.T
    scale = np.sqrt(np.diagonal(products))
    outer = np.outer(scale, scale)
    correlation = np.divide(products, outer, out=np.zeros_like(products), where=outer > 0)
    np.fill_diagonal(correlation, 1.0)
    return np.asarray(correlation)
