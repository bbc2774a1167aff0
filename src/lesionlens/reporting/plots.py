"""The report's figures as inline SVG: curves, intervals, ROC and precision-recall, reliability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from lesionlens.evaluation.calibration import ReliabilityBin
from lesionlens.reporting import svg
from lesionlens.reporting.svg import Axis, Panel
from lesionlens.training.history import Epoch


@dataclass(frozen=True)
class IntervalRow:
    """One row of an interval plot; values in [0, 1].

    Attributes:
        label: what the row shows.
        css: CSS class that gives its colour.
        value: the point.
        low: lower end of its interval.
        high: upper end of its interval.
        reference: a value drawn beside it as a hollow diamond; None draws none.
    """

    label: str
    css: str
    value: float
    low: float
    high: float
    reference: float | None = None


@dataclass(frozen=True)
class Curve:
    """One line of a training panel.

    Attributes:
        name: for the legend.
        css: CSS class of the line.
        values: one per epoch; NaN where unknown.
    """

    name: str
    css: str
    values: tuple[float, ...]


def training_panel(epochs: Sequence[int], curves: Sequence[Curve], label: str, best: int | None, shares: bool = False) -> Markup:
    """Training curves over the epochs, the best epoch marked.

    Args:
        epochs: epoch numbers, ascending, shape (E,).
        curves: lines to draw, E values each.
        label: the vertical axis, with its unit.
        best: epoch to mark; None marks none.
        shares: whether the values are shares in [0, 1], drawn in per cent.
    """
    values = [value for curve in curves for value in curve.values]
    y = _share_axis_for(values, label) if shares else svg.axis_for(values, label)
    panel = Panel(360, 250, _epoch_axis(epochs), y, left=22 + 7 * max(len(words) for _, words in y.ticks))
    parts = []
    if best is not None:
        parts.append(svg.line(panel, (best, y.low), (best, y.high), "best"))
    for curve in curves:
        parts.append(svg.path(panel, epochs, curve.values, f"line {curve.css}"))
        if len(epochs) == 1 and np.isfinite(curve.values[0]):
            parts.append(svg.dot(panel, epochs[0], curve.values[0], f"dot {curve.css}"))
    if best is not None:
        finals = [(curve, curve.values[list(epochs).index(best)]) for curve in curves if curve.css == "validation"]
        parts += [svg.dot(panel, best, value, "dot validation") for _, value in finals if np.isfinite(value)]
    return svg.drawing(panel, _describe_curves(epochs, curves, label, best, shares), parts)


def interval_plot(rows: Sequence[IntervalRow], label: str, reference_name: str = "") -> Markup:
    """Points with their intervals, one row each, labels at the left; values in [0, 1] are drawn in per cent."""
    lowest = min([row.low for row in rows] + [row.reference for row in rows if row.reference is not None], default=0.0)
    start = 0.5 if lowest >= 0.5 else 0.0
    left = 14 + 7 * max((len(row.label) for row in rows), default=0)
    height = 26 * len(rows) + 50
    ticks = tuple((value, f"{100 * value:.0f}") for value in svg.nice_ticks(start, 1.0, 4))
    panel = Panel(360, height, Axis(start, 1.0, ticks, label), Axis(len(rows) - 0.5, -0.5, ()), left=left, top=6)
    parts = [part for place, row in enumerate(rows) for part in _interval_row(panel, place, row, reference_name)]
    described = "; ".join(_describe_row(row, reference_name) for row in rows)
    return svg.drawing(panel, f"{label}: {described}", parts)


def interval_bar(metric: Mapping[str, float | None]) -> Markup:
    """A thin track from 0 to 1 with the interval and the point on it; empty where the metric is undefined.

    Args:
        metric: `value`, `low`, `high` in [0, 1] or None.
    """
    value, low, high = (metric[key] for key in ("value", "low", "high"))
    if value is None:
        return Markup("")
    panel = Panel(160, 12, Axis(0, 1, ()), Axis(0, 1, ()), left=4, right=4, top=0, bottom=0)
    parts = [svg.line(panel, (0, 0.5), (1, 0.5), "track")]
    if low is not None and high is not None:
        parts.append(svg.line(panel, (low, 0.5), (high, 0.5), "span"))
    parts.append(svg.dot(panel, value, 0.5, "dot accent", 3.5))
    return svg.hidden(160, 12, parts)


def roc_panel(fpr: np.ndarray, tpr: np.ndarray, css: str, name: str) -> Markup:
    """One diagnosis's ROC curve, one against the rest, with the line of chance.

    Args:
        fpr: 1 - specificity at each threshold, shape (T,), ascending, in [0, 1].
        tpr: sensitivity at each threshold, shape (T,).
        css: CSS class that gives the colour.
        name: the diagnosis, for screen readers.
    """
    panel = _square("1 − specificity", "sensitivity")
    parts = [svg.line(panel, (0, 0), (1, 1), "chance"), svg.path(panel, fpr.tolist(), tpr.tolist(), f"line {css}")]
    return svg.drawing(panel, f"ROC curve of {name}, in per cent; the broken line is chance", parts)


def precision_recall_panel(precision: np.ndarray, recall: np.ndarray, prevalence: float, css: str, name: str) -> Markup:
    """One diagnosis's precision-recall curve, with its prevalence as the line of chance.

    Args:
        precision: at each threshold, shape (T,), in [0, 1].
        recall: at each threshold, shape (T,).
        prevalence: share of the diagnosis among the cases.
        css: CSS class that gives the colour.
        name: the diagnosis, for screen readers.
    """
    panel = _square("recall", "precision")
    chance = svg.line(panel, (0, prevalence), (1, prevalence), "chance")
    curve = svg.path(panel, recall.tolist(), precision.tolist(), f"line {css}")
    words = f"Precision-recall curve of {name}, in per cent; the broken line is its share of the images, {100 * prevalence:.1f} %"
    return svg.drawing(panel, words, [chance, curve])


def reliability_panel(bins: Sequence[ReliabilityBin]) -> Markup:
    """Accuracy against confidence per bin; the broken diagonal is perfect calibration."""
    panel = Panel(360, 330, svg.share_axis("confidence, %"), svg.share_axis("right, %"))
    filled = [b for b in bins if b.n]
    parts, described = [], []
    for b in filled:
        words = f"confidence {100 * b.confidence:.0f} %, right {100 * b.accuracy:.0f} %, {b.n} images"
        parts.append(svg.bar(panel, (b.low, b.high), (0, b.accuracy), "column", words))
        parts.append(svg.line(panel, (b.confidence, b.accuracy), (b.confidence, b.confidence), "gap"))
        described.append(words)
    parts.append(svg.line(panel, (0, 0), (1, 1), "chance"))
    parts += [svg.dot(panel, b.confidence, b.accuracy, "dot accent") for b in filled]
    return svg.drawing(panel, "Reliability diagram: " + "; ".join(described), parts)


def confidence_panel(bins: Sequence[ReliabilityBin]) -> Markup:
    """Histogram of confidence: share of the images in each bin."""
    total = max(sum(b.n for b in bins), 1)
    y = _share_axis_for([0.0, *(b.n / total for b in bins)], "images, %")
    panel = Panel(360, 140, svg.share_axis("confidence, %"), y)
    parts = [svg.bar(panel, (b.low, b.high), (0, b.n / total), "column", f"{b.n} images") for b in bins if b.n]
    return svg.drawing(panel, "Histogram of confidence: share of the images in each bin", parts)


def stacked_bar(shares: Sequence[tuple[str, float]]) -> Markup:
    """A thin bar of adjacent segments, beside the numbers that it shows.

    Args:
        shares: (CSS class, share of the full width in [0, 1]) of each segment.
    """
    panel = Panel(120, 10, Axis(0, 1, ()), Axis(0, 1, ()), left=0, right=0, top=0, bottom=0)
    start, parts = 0.0, []
    for css, share in shares:
        parts.append(svg.bar(panel, (start, start + share), (0, 1), css))
        start += share
    return svg.hidden(120, 10, parts)


def history_curves(history: Sequence[Epoch]) -> dict[str, tuple[Curve, ...]]:
    """The curves of the three training panels: `loss`, `accuracy`, `learning_rate`."""

    def validation(metric: str) -> tuple[float, ...]:
        values = (epoch.validation.get(metric) for epoch in history)
        return tuple(float("nan") if value is None else value for value in values)

    training_loss = tuple(epoch.training_loss for epoch in history)
    training_accuracy = tuple(epoch.training_accuracy for epoch in history)
    rates = tuple(epoch.learning_rate for epoch in history)
    return {
        "loss": (Curve("training", "training", training_loss), Curve("validation", "validation", validation("loss"))),
        "accuracy": (
            Curve("training, accuracy", "training", training_accuracy),
            Curve("validation, balanced accuracy", "validation", validation("balanced_accuracy")),
        ),
        "learning_rate": (Curve("learning rate", "rate", rates),),
    }


def _square(x_label: str, y_label: str) -> Panel:
    return Panel(176, 176, svg.share_axis(x_label, ticks=3), svg.share_axis(y_label, ticks=3), left=44, right=11, top=8)


def _epoch_axis(epochs: Sequence[int]) -> Axis:
    first, last = min(epochs), max(epochs)
    if first == last:
        return Axis(first - 0.5, last + 0.5, ((first, str(first)),), "epoch")
    whole = [int(tick) for tick in svg.nice_ticks(first, last, 6) if float(tick).is_integer()]
    apart = 0.6 * (whole[1] - whole[0]) if len(whole) > 1 else 0
    ticks = [first, *(tick for tick in whole if tick - first > apart)]
    return Axis(first, last, tuple((tick, str(tick)) for tick in ticks), "epoch")


def _share_axis_for(values: Sequence[float], label: str) -> Axis:
    finite = [min(max(value, 0.0), 1.0) for value in values if np.isfinite(value)] or [0.0, 1.0]
    low = np.floor(min(finite) * 10 + 1e-9) / 10
    high = min(1.0, np.ceil(max(finite) * 10 - 1e-9) / 10)
    low, high = (low, high) if high > low else (max(0.0, high - 0.1), max(high, 0.1))
    return Axis(low, high, tuple((tick, f"{100 * tick:.3g}") for tick in svg.nice_ticks(low, high, 4)), label)


def _interval_row(panel: Panel, place: int, row: IntervalRow, reference_name: str) -> list[Markup]:
    label = svg.text(panel.left - 8, panel.py(place) + 4, row.label, "row", anchor="end")
    whisker = svg.line(panel, (row.low, place), (row.high, place), f"whisker {row.css}")
    parts = [label, whisker, svg.dot(panel, row.value, place, f"dot {row.css}", 4.5, _describe_row(row, ""))]
    if row.reference is not None:
        parts.append(svg.diamond(panel, row.reference, place, "reference", f"{reference_name} {100 * row.reference:.1f} %"))
    return parts


def _describe_row(row: IntervalRow, reference_name: str) -> str:
    words = f"{row.label} {100 * row.value:.1f} % ({100 * row.low:.1f} to {100 * row.high:.1f})"
    return words if row.reference is None or not reference_name else f"{words}, {reference_name} {100 * row.reference:.1f} %"


def _describe_curves(epochs: Sequence[int], curves: Sequence[Curve], label: str, best: int | None, shares: bool) -> str:
    ends = "; ".join(_describe_ends(curve, *((100, " %") if shares else (1, ""))) for curve in curves)
    marked = "" if best is None else f"; the best epoch is {best}"
    return f"{label} over epochs {min(epochs)} to {max(epochs)}: {ends}{marked}"


def _describe_ends(curve: Curve, scale: float, unit: str) -> str:
    known = [value for value in curve.values if np.isfinite(value)]
    if not known:
        return f"{curve.name} undefined"
    return f"{curve.name} from {scale * known[0]:.3g}{unit} to {scale * known[-1]:.3g}{unit}"
