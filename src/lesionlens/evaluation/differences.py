"""Paired differences of metrics, with intervals and p values.

The interval of a difference is recovered from the intervals of the two metrics and the correlation of their errors (MOVER,
Zou & Donner 2008; for proportions Newcombe 1998, method 10). Percentiles of resampled differences are not: where two
networks disagree in a handful of images of a diagnosis, they cover the truth in half of the cases.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist

import numpy as np

from lesionlens.evaluation.intervals import Interval

SMOOTH = ("auc", "macro_auc", "brier", "nll")  # every image changes them a little; the others count hits
NO_INTERVAL = {"ece": "the difference of two calibration errors has no interval of known coverage; compare brier and nll"}


def paired_difference(name: str, first: Interval, second: Interval, correlation: float) -> Interval:
    """Difference of two metrics of the same images, first minus second.

    Args:
        name: of the metric.
        first: the metric of the first network.
        second: of the second.
        correlation: of their errors, in [-1, 1].

    Returns:
        The difference; without bounds, and with the reason, if one of the two has none.
    """
    difference = first.value - second.value
    reason = NO_INTERVAL.get(name) or first.reason or second.reason
    if reason or np.isnan(first.low) or np.isnan(second.low):
        return Interval(difference, np.nan, np.nan, "", reason or "not defined for these images")
    share = math.sqrt(max(0.0, 1 - correlation) / 2) if name in SMOOTH else 1.0
    below_first, above_first = _half_widths(first, share)
    below_second, above_second = _half_widths(second, share)
    low = difference - _combined(below_first, above_second, correlation)
    high = difference + _combined(above_first, below_second, correlation)
    return Interval(difference, low, high, "mover-paired")


def _half_widths(interval: Interval, share: float) -> tuple[float, float]:
    """Lower and upper half of an interval, drawn to their mean as `share` falls from 1 to 0.

    The errors of two similar networks go far together and differ by little, and over a short way a skewed distribution
    is symmetric.
    """
    below, above = interval.value - interval.low, interval.high - interval.value
    mean = (below + above) / 2
    return mean + share * (below - mean), mean + share * (above - mean)


def _combined(one: float, other: float, correlation: float) -> float:
    return math.sqrt(max(0.0, one**2 + other**2 - 2 * correlation * one * other))


def correlation_of(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of the resampled values (B,) of two metrics; 1 if they are equal in every resample.

    It is 0 if only one of them varies, or neither does.
    """
    defined = ~(np.isnan(first) | np.isnan(second))
    first, second = first[defined], second[defined]
    if len(first) and np.array_equal(first, second):
        return 1.0
    if len(first) < 2 or first.std() == 0 or second.std() == 0:
        return 0.0
    return float(np.clip(np.corrcoef(first, second)[0, 1], -1, 1))


def p_of(interval: Interval, confidence: float) -> float:
    """Two-sided p of the hypothesis that a difference is 0, in agreement with its interval.

    The half of the interval on the side of 0 is taken as a normal quantile, so p is below 1 - confidence exactly
    if 0 lies outside. NaN without an interval.

    >>> round(p_of(Interval(0.1, 0.0, 0.2), 0.95), 3)
    0.05
    """
    if np.isnan(interval.low):
        return math.nan
    if interval.value == 0:
        return 1.0
    half = interval.value - interval.low if interval.value > 0 else interval.high - interval.value
    if half == 0:
        return 0.0
    normal = NormalDist()
    return 2 * normal.cdf(-normal.inv_cdf((1 + confidence) / 2) * abs(interval.value) / half)


def differences(
    intervals: tuple[Mapping[str, tuple[Interval, ...]], Mapping[str, tuple[Interval, ...]]],
    resampled: tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]],
    name: str,
) -> tuple[Interval, ...]:
    """Paired differences of one metric: one, or one for each class.

    Args:
        intervals: of both networks, see `metric_intervals`.
        resampled: of both, from the same resamples, see `resample_metrics`.
        name: of the metric.
    """
    columns = [values[name].reshape(len(values[name]), -1).T for values in resampled]
    return tuple(
        paired_difference(name, one, other, correlation_of(a, b))
        for one, other, a, b in zip(intervals[0][name], intervals[1][name], *columns, strict=True)
    )
