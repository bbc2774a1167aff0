"""Positive and negative predictive values at a stated prevalence."""

from __future__ import annotations

import numpy as np

from lesionlens.evaluation.intervals import Interval

MOVER = "mover"


def predictive_values(sensitivity: Interval, specificity: Interval, prevalence: float) -> dict[str, Interval]:
    """Predictive values by Bayes' rule, with intervals from those of sensitivity and specificity.

    PPV = p / (p + r (1 - p)) with r = (1 - specificity) / sensitivity, and NPV with r = (1 - sensitivity) / specificity
    in the same way. The interval of a ratio of two proportions comes from theirs (MOVER, Donner & Zou 2012, equation 8),
    which also serves where one of them is 0 or 1.

    Args:
        sensitivity: with its interval.
        specificity: with its interval, of other lesions.
        prevalence: share of positive lesions, in (0, 1).

    Returns:
        `ppv` and `npv`; without bounds where sensitivity or specificity has none, NaN where nothing is called so.

    >>> values = predictive_values(Interval(0.9, 0.8, 0.95), Interval(0.8, 0.75, 0.85), 0.1)
    >>> [round(values[name].value, 3) for name in ("ppv", "npv")]
    [0.333, 0.986]
    """
    return {
        "ppv": _value(_complement(specificity), sensitivity, prevalence),
        "npv": _value(_complement(sensitivity), specificity, 1 - prevalence),
    }


def _complement(share: Interval) -> Interval:
    return Interval(1 - share.value, 1 - share.high, 1 - share.low, share.method, share.reason)


def _value(wrong: Interval, right: Interval, prior: float) -> Interval:
    """prior / (prior + r (1 - prior)) with r = wrong / right."""
    if not right.value > 0:
        never = "never called" if not wrong.value > 0 else ""
        return Interval(np.nan if never else 0.0, np.nan, np.nan, "", never or "no interval where every call is wrong")

    def posterior(ratio: float) -> float:
        return prior / (prior + ratio * (1 - prior))

    value = posterior(wrong.value / right.value)
    reason = wrong.reason or right.reason
    if reason:
        return Interval(value, np.nan, np.nan, "", reason)
    low, high = _ratio_bounds(wrong, right)
    return Interval(value, posterior(high), posterior(low), MOVER)


def _ratio_bounds(top: Interval, bottom: Interval) -> tuple[float, float]:
    """Bounds of top / bottom from those of two independent proportions; the upper one is infinite where bottom may be 0."""
    product = top.value * bottom.value
    low = _root(product, top.low, bottom.high, top.value, bottom.value, -1)
    high = _root(product, top.high, bottom.low, top.value, bottom.value, 1)
    return (0.0 if np.isnan(low) else max(0.0, low)), (np.inf if np.isnan(high) else high)


def _root(product: float, end: float, other_end: float, top: float, bottom: float, sign: int) -> float:
    scale = other_end * (2 * bottom - other_end)
    if scale <= 0:
        return float("nan")
    inside = product**2 - end * other_end * (2 * top - end) * (2 * bottom - other_end)
    return float((product + sign * np.sqrt(max(0.0, inside))) / scale)
