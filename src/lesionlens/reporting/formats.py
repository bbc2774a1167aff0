"""Numbers and words, formatted for readers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

NARROW = "\u202f"  # narrow no-break space, between a number and its unit
ABSENT = "–"
PLAIN = ("macro_auc", "auc", "brier", "nll")  # shown as they are; the rest are shares, shown in per cent

OVERALL = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy (macro recall)",
    "macro_precision": "Macro precision",
    "macro_specificity": "Macro specificity",
    "macro_f1": "Macro F1",
    "macro_auc": "Macro AUC",
    "ece": "Calibration error (ECE)",
    "brier": "Brier score",
    "nll": "Negative log-likelihood",
}
HEADLINE = ("balanced_accuracy", "macro_auc", "accuracy")
PER_CLASS = {"precision": "Precision", "recall": "Recall", "specificity": "Specificity", "f1": "F1", "auc": "AUC"}

PROTOCOLS = {
    "lesion": "lesion (grouped by lesion, stratified by diagnosis)",
    "lesion-kfold": "lesion-kfold (one fold of a cross-validation grouped by lesion)",
    "source": "source (tested on the images of one clinic or collection, lesions kept together)",
    "paper": "paper (stratified over images, lesions not kept together)",
    "official": "official (trained on HAM10000, tested on the ISIC 2018 test set)",
}


def defined(value: float | None) -> bool:
    """Whether a metric has a value: not None, not NaN."""
    return value is not None and math.isfinite(value)


def metric_text(name: str, value: float | None) -> str:
    """A metric by its name: shares in per cent with one decimal and no unit, AUC and losses with three decimals."""
    if value is None or not defined(value):
        return ABSENT
    return f"{value:.3f}" if name in PLAIN else f"{100 * value:.1f}"


def metric_unit(name: str) -> str:
    """The unit behind `metric_text`: a per cent sign with its space, or nothing."""
    return "" if name in PLAIN else f"{NARROW}%"


def metric_row(name: str, label: str, metric: Mapping[str, Any]) -> dict[str, Any]:
    """A metric as a row of a table: `label`, `value`, `unit` (empty where it is undefined), `interval` and its `method`.

    `has_interval` is false where `interval` is a count or a dash.
    """
    return {
        "label": label,
        "value": metric_text(name, metric["value"]),
        "unit": metric_unit(name) if defined(metric["value"]) else "",
        "interval": interval_text(name, metric),
        "has_interval": has_interval(metric),
        "method": metric.get("method", ""),
    }


def has_interval(metric: Mapping[str, Any]) -> bool:
    """Whether both ends of a metric's interval are known."""
    return defined(metric["low"]) and defined(metric["high"])


def interval_text(name: str, metric: Mapping[str, Any]) -> str:
    """Both ends of a metric's interval, for example `81.9–85.6`; without one a count, `7 of 12`, or a dash."""
    if not has_interval(metric):
        return f"{metric['count']} of {metric['of']}" if metric.get("of") else ABSENT
    return f"{metric_text(name, metric['low'])}–{metric_text(name, metric['high'])}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share in [0, 1] in per cent with its sign; a dash where it is undefined."""
    return ABSENT if share is None or not math.isfinite(share) else f"{100 * share:.{digits}f}{NARROW}%"


def count(value: int) -> str:
    """A whole number with thousands set apart."""
    return f"{value:,}"


def plural(value: int, one: str, many: str = "") -> str:
    """A number with its noun: `1 image`, `2,000 images`."""
    return f"{count(value)} {one if value == 1 else many or one + 's'}"


def duration_text(seconds: float) -> str:
    """A duration in the unit that suits it: `43 s`, `21 min`, `2 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f}{NARROW}s"
    minutes = round(seconds / 60)
    return f"{minutes}{NARROW}min" if minutes < 60 else f"{minutes // 60}{NARROW}h {minutes % 60:02d}{NARROW}min"


def size_text(n_bytes: int) -> str:
    """Bytes as kB or MB (powers of ten)."""
    return f"{n_bytes / 1e6:.1f}{NARROW}MB" if n_bytes >= 1e6 else f"{n_bytes / 1e3:.0f}{NARROW}kB"
