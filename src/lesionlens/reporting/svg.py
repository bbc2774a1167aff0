"""Inline SVG: small, sharp on any screen, coloured by the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Axis:
    """One axis of a panel.

    Attributes:
        low: value at the start.
        high: value at the end, above `low`.
        ticks: (value, text) pairs.
        label: what the axis shows, with its unit.
    """

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    label: str = ""


@dataclass(frozen=True)
class Panel:
    """A plotting area with its margins, in SVG units (about one pixel on a phone).

    Attributes:
        width: of the whole drawing.
        height: of the whole drawing.
        x: horizontal axis.
        y: vertical axis.
        left: margin for the tick texts of `y`.
        right: margin.
        top: margin.
        bottom: margin for the tick texts and the label of `x`.
    """

    width: int
    height: int
    x: Axis
    y: Axis
    left: int = 46
    right: int = 12
    top: int = 12
    bottom: int = 40

    def px(self, value: float) -> float:
        """Horizontal place of a value."""
        share = (value - self.x.low) / (self.x.high - self.x.low)
        return self.left + share * (self.width - self.left - self.right)

    def py(self, value: float) -> float:
        """Vertical place of a value."""
        share = (value - self.y.low) / (self.y.high - self.y.low)
        return self.height - self.bottom - share * (self.height - self.top - self.bottom)


def drawing(panel: Panel, label: str, parts: Sequence[Markup]) -> Markup:
    """A whole figure: grid, axes and `parts`, with `label` as its text for screen readers."""
    opening = Markup('<svg class="figure" viewBox="0 0 {} {}" role="img" aria-label="{}">')
    shapes = [*_grid(panel), *parts, *_axis_texts(panel)]
    return opening.format(panel.width, panel.height, label) + Markup("").join(shapes) + Markup("</svg>")


def hidden(width: int, height: int, parts: Sequence[Markup]) -> Markup:
    """A drawing that repeats the text beside it and is hidden from screen readers."""
    opening = Markup('<svg class="figure" viewBox="0 0 {} {}" aria-hidden="true">').format(width, height)
    return opening + Markup("").join(parts) + Markup("</svg>")


def path(panel: Panel, xs: Sequence[float], ys: Sequence[float], css: str) -> Markup:
    """A line through the points; non-finite points break it.

    Points on the straight line between their neighbours are left out, which keeps a
    step curve over thousands of cases small.
    """
    commands = []
    for run in _finite_runs(xs, ys):
        corners = _corners([(panel.px(x), panel.py(y)) for x, y in run])
        commands.append("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in corners))
    return Markup('<path class="{}" d="{}"/>').format(css, "".join(commands))


def line(panel: Panel, start: tuple[float, float], end: tuple[float, float], css: str) -> Markup:
    """A straight line between two points, given as values."""
    (x1, y1), (x2, y2) = ((panel.px(x), panel.py(y)) for x, y in (start, end))
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(css, *map(short, (x1, y1, x2, y2)))


def dot(panel: Panel, x: float, y: float, css: str, radius: float = 3.5, title: str = "") -> Markup:
    """A point, with a tooltip."""
    shape = Markup('<circle class="{}" cx="{}" cy="{}" r="{}">').format(
        css, short(panel.px(x)), short(panel.py(y)), short(radius)
    )
    return shape + _title(title) + Markup("</circle>")


def bar(panel: Panel, x: tuple[float, float], y: tuple[float, float], css: str, title: str = "") -> Markup:
    """A rectangle between two values on each axis."""
    left, right = sorted(map(panel.px, x))
    top, bottom = sorted(map(panel.py, y))
    shape = Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}">')
    return shape.format(css, *map(short, (left, top, right - left, bottom - top))) + _title(title) + Markup("</rect>")


def diamond(panel: Panel, x: float, y: float, css: str, title: str = "", radius: float = 4.5) -> Markup:
    """A diamond around a point."""
    cx, cy = panel.px(x), panel.py(y)
    corners = ((cx, cy - radius), (cx + radius, cy), (cx, cy + radius), (cx - radius, cy))
    places = " ".join(f"{short(a)},{short(b)}" for a, b in corners)
    return Markup('<polygon class="{}" points="{}">').format(css, places) + _title(title) + Markup("</polygon>")


def _title(title: str) -> Markup:
    return Markup("<title>{}</title>").format(title) if title else Markup("")


def text(x: float, y: float, words: str, css: str = "tick", anchor: str = "middle") -> Markup:
    """Text at a place given in SVG units; `anchor` is start, middle or end."""
    return Markup('<text class="{}" x="{}" y="{}" text-anchor="{}">{}</text>').format(css, short(x), short(y), anchor, words)


def short(value: float) -> str:
    """A coordinate with one decimal at most."""
    return f"{value:.1f}".removesuffix(".0")


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round values within [low, high], in steps of 1, 2, 2.5 or 5 times a power of ten."""
    rough = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [place * step for place in range(first, last + 1)]


def number(value: float, powers: bool = False) -> str:
    """A tick's text: plain, or with a power of ten if `powers` or for very small or large values."""
    if value == 0 or (1e-3 <= abs(value) < 1e5 and not powers):
        return f"{value:.6g}"
    mantissa, _, exponent = f"{value:.3e}".partition("e")
    digits = mantissa.rstrip("0").rstrip(".")
    ten = "10" + str(int(exponent)).translate(SUPERSCRIPTS)
    return ten if digits == "1" else f"{digits}·{ten}"


def axis_for(values: Sequence[float], label: str, zero: bool = True, count: int = 4) -> Axis:
    """An axis that holds all finite `values`, from zero if `zero`, with round ticks."""
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = (min(0.0, *finite) if zero else min(finite)), max(finite)
    if high <= low:
        low, high = (low - 1, low + 1) if low else (0.0, 1.0)
    ticks = nice_ticks(low, high, count)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else high - low
    low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    powers = max(abs(low), abs(high)) < 0.01  # one notation for all ticks of an axis
    return Axis(low, high, tuple((tick, number(tick, powers)) for tick in nice_ticks(low, high, count)), label)


def share_axis(label: str, ticks: int = 5, low: float = 0.0) -> Axis:
    """An axis from `low` to 1, ticks in per cent."""
    places = [low + (1 - low) * place / (ticks - 1) for place in range(ticks)]
    return Axis(low, 1.0, tuple((place, f"{100 * place:.3g}") for place in places), label)


def _grid(panel: Panel) -> list[Markup]:
    x, y = panel.x, panel.y
    lines = [line(panel, (x.low, value), (x.high, value), "grid") for value, _ in y.ticks]
    lines += [line(panel, (value, y.low), (value, y.high), "grid") for value, _ in x.ticks]
    return lines


def _axis_texts(panel: Panel) -> list[Markup]:
    x, y = panel.x, panel.y
    base = panel.height - panel.bottom
    words = [text(panel.px(value), base + 15, label) for value, label in x.ticks]
    words += [text(panel.left - 6, panel.py(value) + 4, label, anchor="end") for value, label in y.ticks]
    if x.label:
        words.append(text((panel.px(x.low) + panel.px(x.high)) / 2, panel.height - 5, x.label, "axis"))
    if y.label:
        place, middle = 12, (panel.py(y.low) + panel.py(y.high)) / 2
        turned = Markup('<text class="axis" x="{0}" y="{1}" text-anchor="middle" transform="rotate(-90 {0} {1})">{2}</text>')
        words.append(turned.format(place, short(middle), escape(y.label)))
    return words


def _finite_runs(xs: Sequence[float], ys: Sequence[float]) -> list[list[tuple[float, float]]]:
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in zip(xs, ys, strict=True):
        if math.isfinite(x) and math.isfinite(y):
            runs[-1].append((float(x), float(y)))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _corners(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    kept: list[tuple[float, float]] = []
    for place, point in enumerate(points):
        if 0 < place < len(points) - 1 and _straight(kept[-1], point, points[place + 1]):
            continue
        kept.append(point)
    return kept


def _straight(before: tuple[float, float], point: tuple[float, float], after: tuple[float, float]) -> bool:
    (ax, ay), (bx, by), (cx, cy) = before, point, after
    area = abs((bx - ax) * (cy - ay) - (cx - ax) * (by - ay))
    onward = (bx - ax) * (cx - bx) + (by - ay) * (cy - by) >= 0
    return onward and area <= 0.05 * max(math.hypot(cx - ax, cy - ay), 1.0)
