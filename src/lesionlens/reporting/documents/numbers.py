"""Numbers with their intervals, as the documents write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lesionlens.reporting.formats import PLAIN

Number = Mapping[str, Any]


def share(metric: Number, digits: int = 1) -> str:
    """A share in per cent with its interval; without one its counts, without a value the reason.

    >>> share({"value": 0.5, "low": 0.4, "high": 0.6})
    '50.0 % (40.0 to 60.0)'
    >>> share({"value": 1.0, "low": None, "high": None, "count": 3, "of": 3})
    '100.0 % (3 of 3, no interval)'
    >>> share({"value": None, "low": None, "high": None, "reason": "no images"})
    'undefined (no images)'
    """
    return _text(metric, 100, digits, " %")


def plain(metric: Number, digits: int = 3) -> str:
    """A number with its interval, as `share` does.

    >>> plain({"value": 0.91234, "low": 0.9, "high": 0.95})
    '0.912 (0.900 to 0.950)'
    """
    return _text(metric, 1, digits, "")


def metric_number(name: str, metric: Number) -> str:
    """A metric of scores.json by its name: AUC and losses plain, the others in per cent."""
    return plain(metric) if name in PLAIN or "auc" in name else share(metric)


def stated_share(value: float) -> str:
    """A stated share in per cent, without digits that it does not have.

    >>> stated_share(0.95), stated_share(0.713)
    ('95 %', '71.3 %')
    """
    return f"{round(100 * value, 6):g} %"


def p_text(p: float | None) -> str:
    """A p value in words.

    >>> p_text(0.0004), p_text(0.0432), p_text(None)
    ('p below 0.001', 'p = 0.043', 'not tested')
    """
    return "not tested" if p is None else "p below 0.001" if p < 0.001 else f"p = {p:.3f}"


def _text(metric: Number, scale: float, digits: int, unit: str) -> str:
    value, low, high = (metric.get(name) for name in ("value", "low", "high"))
    if value is None:
        return f"undefined ({metric['reason']})" if metric.get("reason") else "undefined"
    shown = f"{scale * value:.{digits}f}{unit}"
    if low is None or high is None:
        counts = f"{metric['count']} of {metric['of']}, " if metric.get("of") else ""
        return f"{shown} ({counts}no interval)"
    return f"{shown} ({scale * low:.{digits}f} to {scale * high:.{digits}f})"
