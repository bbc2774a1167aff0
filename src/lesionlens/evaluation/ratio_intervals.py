"""Intervals of ratios as they are printed: with method and counts, or with the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lesionlens.evaluation.intervals import Interval
from lesionlens.evaluation.proportions import Ratio

LEAST_LESIONS = 20


def too_few(n_lesions: int, which: str = "") -> str:
    """Why so many lesions give no interval; empty if they do.

    Args:
        n_lesions: behind the metric.
        which: words behind the number, for the reader.

    Example:
        >>> too_few(1, "with malignant images"), too_few(20)
        ('1 lesion with malignant images; an interval needs 20', '')
    """
    if n_lesions >= LEAST_LESIONS:
        return ""
    words = f"{n_lesions} lesion{'' if n_lesions == 1 else 's'} {which}".rstrip()
    return f"{words}; an interval needs {LEAST_LESIONS}"


def interval_or_reason(
    value: float, ends: tuple[float, float], method: str, reason: str, details: Mapping[str, float | None] | None = None
) -> Interval:
    """An interval; without bounds where there is a reason, or where they are not defined."""
    low, high = (float(end) for end in ends)
    if not reason and (np.isnan(low) or np.isnan(high)):
        reason = "not defined for these images"
    if reason:
        return Interval(value, np.nan, np.nan, "", reason, details or {})
    return Interval(value, low, high, method, "", details or {})


def ratio_intervals(
    ratio: Ratio, confidence: float, reasons: Sequence[str], values: np.ndarray | None = None, has_counts: bool = True
) -> tuple[Interval, ...]:
    """Intervals of M ratios, by Wilson or by Clopper and Pearson.

    Args:
        ratio: of hits among cases, by lesion.
        confidence: level, in (0, 1).
        reasons: why each has no interval, empty where it has one.
        values: of the ratios, (M,), if not the ratios' own.
        has_counts: whether `count` and `of` are told.
    """
    low, high = ratio.bounds(confidence)
    intervals = []
    for place, (value, reason) in enumerate(zip(ratio.value if values is None else values, reasons, strict=True)):
        counts = {"count": int(ratio.hits[place]), "of": int(ratio.cases[place])} if has_counts else {}
        method = "clopper-pearson" if ratio.is_extreme[place] else "wilson"
        intervals.append(interval_or_reason(float(value), (low[place], high[place]), method, reason, counts))
    return tuple(intervals)
