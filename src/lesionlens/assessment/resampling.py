"""Statistics with their percentiles over resamples of lesions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lesionlens.assessment.decisions.settings import Resampling as Resampling
from lesionlens.evaluation.intervals import CHUNK_ELEMENTS, Interval, bounds, lesion_weights
from lesionlens.evaluation.ratio_intervals import too_few


def lesion_percentiles(
    statistic: Callable[[np.ndarray], np.ndarray], lesion_ids: np.ndarray, resampling: Resampling, reason: str = ""
) -> Interval:
    """A statistic of N cases with its percentiles over resamples of lesions (Davison & Hinkley 1997, section 3.8).

    Args:
        statistic: takes weights of the cases, (B, N), and returns one value for each row, (B,).
        lesion_ids: lesion of each case, (N,).
        resampling: how.
        reason: why there is no interval; there is none below 20 lesions either.

    Example:
        >>> values = np.arange(40.0)
        >>> mean = lesion_percentiles(lambda weights: weights @ values / weights.sum(1), np.arange(40), Resampling())
        >>> mean.value, mean.method
        (19.5, 'lesion-bootstrap')
    """
    value = float(statistic(np.ones((1, len(lesion_ids))))[0])
    reason = reason or too_few(len(np.unique(lesion_ids))) or ("not defined for these images" if np.isnan(value) else "")
    if reason:
        return Interval(value, np.nan, np.nan, "", reason)
    rows = max(1, CHUNK_ELEMENTS // len(lesion_ids))
    drawn = [statistic(weights) for weights in lesion_weights(lesion_ids, resampling.resamples, resampling.seed, rows)]
    low, high = bounds(np.concatenate(drawn), resampling.confidence)
    return Interval(value, float(low), float(high), "lesion-bootstrap")
