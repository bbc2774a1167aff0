"""Figures of subgroups, corruptions and human readers as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from lesionlens.reporting import svg
from lesionlens.reporting.plots import IntervalRow
from lesionlens.reporting.svg import Axis, Panel

ROW_HEIGHT = 22
LETTER = 6.6  # width of a letter of a row's label, about


@dataclass(frozen=True)
class ForestGroup:
    """Rows under one heading.

    Attributes:
        heading: above the rows.
        rows: with intervals.
    """

    heading: str
    rows: tuple[IntervalRow, ...]


def forest_plot(groups: Sequence[ForestGroup], label: str, overall: float | None, shares: bool = True) -> Markup:
    """Points with their intervals under headings, and a broken line at the value of all images together.

    Args:
        groups: headings with their rows; values in [0, 1].
        label: the horizontal axis, with its unit.
        overall: value of all images; None draws no line.
        shares: whether values are drawn in per cent.
    """
    lines: list[str | IntervalRow] = []
    for group in groups:
        lines += [group.heading, *group.rows]
    named = [entry.label for entry in lines if isinstance(entry, IntervalRow)]
    left = 14 + round(LETTER * max((len(name) for name in named), default=0))
    scale = 100 if shares else 1
    start = _start([entry.low for entry in lines if isinstance(entry, IntervalRow)])
    ticks = tuple((tick, f"{scale * tick:.3g}") for tick in svg.nice_ticks(start, 1.0, 4))
    height = ROW_HEIGHT * len(lines) + 46
    panel = Panel(360, height, Axis(start, 1.0, ticks, label), Axis(len(lines) - 0.5, -0.5, ()), left=left, top=6)
    parts = [] if overall is None else [svg.line(panel, (overall, -0.5), (overall, len(lines) - 0.5), "chance")]
    for place, entry in enumerate(lines):
        if isinstance(entry, str):
            parts.append(svg.text(2, panel.py(place) + 4, entry, "heading", anchor="start"))
        else:
            parts += _forest_row(panel, place, entry, scale)
    described = "; ".join(f"{group.heading}: " + ", ".join(_words(row, scale) for row in group.rows) for group in groups)
    return svg.drawing(panel, f"{label}: {described}", parts)


def _start(lows: Sequence[float]) -> float:
    """Where the axis starts: a round value below every lower end."""
    lowest = min(lows, default=0.0)
    return float(np.floor(max(0.0, lowest) * 10 + 1e-9) / 10) if lowest < 0.95 else 0.9


def _forest_row(panel: Panel, place: int, row: IntervalRow, scale: float) -> list[Markup]:
    return [
        svg.text(panel.left - 8, panel.py(place) + 4, row.label, "row", anchor="end"),
        svg.line(panel, (row.low, place), (row.high, place), f"whisker {row.css}"),
        svg.dot(panel, row.value, place, f"dot {row.css}", 4, _words(row, scale)),
    ]


def _words(row: IntervalRow, scale: float) -> str:
    digits = 1 if scale == 100 else 3
    value, low, high = (f"{scale * each:.{digits}f}" for each in (row.value, row.low, row.high))
    return f"{row.label} {value} ({low} to {high})"


@dataclass(frozen=True)
class StrengthCurve:
    """A metric against the strength of a corruption.

    Attributes:
        name: of the metric.
        css: CSS class of line and ribbon.
        values: clean, then strengths 1 to 5, in [0, 1].
        lows: lower ends; NaN without an interval.
        highs: upper ends, likewise.
    """

    name: str
    css: str
    values: tuple[float, ...]
    lows: tuple[float, ...] = ()
    highs: tuple[float, ...] = ()


def strength_panel(curves: Sequence[StrengthCurve], low: float, title: str) -> Markup:
    """Metrics against strength, from clean (0) to 5, with ribbons for their intervals.

    Args:
        curves: six values each.
        low: where the vertical axis starts, the same for all panels that stand side by side.
        title: of the corruption, for screen readers.
    """
    strengths = Axis(0, 5, tuple((s, "0" if not s else str(s)) for s in range(6)), "strength")
    ticks = tuple((tick, f"{100 * tick:.3g}") for tick in svg.nice_ticks(low, 1.0, 3))
    panel = Panel(220, 160, strengths, Axis(low, 1.0, ticks, "%"), left=44, right=10, top=8)
    parts = [svg.line(panel, (0, curve.values[0]), (5, curve.values[0]), "chance") for curve in curves[:1]]
    for curve in curves:
        if curve.lows and np.isfinite([*curve.lows, *curve.highs]).all():
            parts.append(ribbon(panel, range(6), [max(low, value) for value in curve.lows], curve.highs, f"ribbon {curve.css}"))
        parts.append(svg.path(panel, range(6), [max(low, value) for value in curve.values], f"line {curve.css}"))
    ends = "; ".join(f"{c.name} from {100 * c.values[0]:.1f} to {100 * c.values[-1]:.1f} %" for c in curves)
    return svg.drawing(panel, f"{title}, clean to strength 5: {ends}", parts)


def lowest_tenth(values: Sequence[float]) -> float:
    """A round start of a vertical axis below all values in [0, 1].

    >>> lowest_tenth([0.53, 0.8]), lowest_tenth([])
    (0.5, 0.0)
    """
    finite = [value for value in values if np.isfinite(value)]
    return min(0.9, float(np.floor(min(finite, default=0.0) * 10 + 1e-9) / 10))


def ribbon(panel: Panel, xs: Sequence[float], lows: Sequence[float], highs: Sequence[float], css: str) -> Markup:
    """An area between two lines."""
    above = [(panel.px(x), panel.py(y)) for x, y in zip(xs, highs, strict=True)]
    below = [(panel.px(x), panel.py(y)) for x, y in zip(xs, lows, strict=True)]
    places = " ".join(f"{svg.short(x)},{svg.short(y)}" for x, y in (*above, *reversed(below)))
    return Markup('<polygon class="{}" points="{}"/>').format(css, places)


def case_scatter(points: Sequence[tuple[float, float, bool]], cells: int = 10) -> Markup:
    """Readers against network, case by case: dots whose area grows with the number of cases in a cell of the plane.

    Args:
        points: share of readers who are right, probability that the network gives to the true diagnosis (both in [0, 1]), and
            whether the lesion is malignant.
        cells: on each side of the plane.
    """
    panel = Panel(320, 320, svg.share_axis("readers who are right, %"), svg.share_axis("probability of the true diagnosis, %"))
    counts: dict[tuple[int, int, bool], int] = {}
    for right, probability, malignant in points:
        cell = (min(cells - 1, int(right * cells)), min(cells - 1, int(probability * cells)), malignant)
        counts[cell] = counts.get(cell, 0) + 1
    largest = max(counts.values(), default=1)
    parts = [svg.line(panel, (0, 0), (1, 1), "chance")]
    for (x, y, malignant), number in sorted(counts.items(), key=lambda item: -item[1]):
        place = ((x + (0.68 if malignant else 0.32)) / cells, (y + 0.5) / cells)
        kind = "malignant" if malignant else "benign"
        radius = 1.5 + 8 * float(np.sqrt(number / largest))
        parts.append(svg.dot(panel, *place, "dot warm" if malignant else "dot plain", radius, f"{number} {kind}"))
    words = f"{len(points)} cases: share of readers who are right against the network's probability of the true diagnosis"
    return svg.drawing(panel, words, parts)
