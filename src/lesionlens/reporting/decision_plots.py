"""The figures of the report's decisions: reliability with bands, decision curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from lesionlens.reporting import svg
from lesionlens.reporting.svg import Axis, Panel

PER = 1000  # images; net benefit is shown for so many


def reliability_panel(bins: Sequence[dict[str, Any]], name: str, css: str) -> Markup:
    """Observed share against predicted probability of one diagnosis, with the band of each bin; the diagonal is calibration.

    Args:
        bins: as in decisions.json; bins without a band are drawn hollow.
        name: of the diagnosis.
        css: class that gives its colour.
    """
    axes = svg.share_axis("predicted, %", ticks=3), svg.share_axis("observed, %", ticks=3)
    panel = Panel(176, 176, *axes, left=44, right=11, top=8)
    parts, words = [svg.line(panel, (0, 0), (1, 1), "chance")], []
    for each in bins:
        observed, predicted = each["observed"], each["predicted"]
        label = f"predicted {100 * predicted:.0f} %, observed {100 * observed['value']:.0f} % of {each['n']}"
        words.append(label)
        if observed["low"] is not None:
            ends = (predicted, observed["low"]), (predicted, observed["high"])
            parts.append(svg.line(panel, *ends, f"whisker {css}"))
            label += f" ({100 * observed['low']:.0f} to {100 * observed['high']:.0f})"
            parts.append(svg.dot(panel, predicted, observed["value"], f"dot {css}", 3.5, label))
        else:
            parts.append(svg.dot(panel, predicted, observed["value"], f"hollow {css}", 2.5, label))
    return svg.drawing(panel, f"Reliability of the probability of {name}: {'; '.join(words)}", parts)


def decision_curve_panel(curve: dict[str, Any], name: str, marked: float | None = None) -> Markup:
    """Net benefit of the network with its band, of referring everybody, and of referring nobody.

    Args:
        curve: as in decisions.json.
        name: of the question.
        marked: a threshold to mark, such as that of stated costs; None marks none.
    """
    thresholds = curve["thresholds"]
    network, low, high = ([PER * (each[key] or 0.0) for each in curve["network"]] for key in ("value", "low", "high"))
    has_band = curve["network"][0]["low"] is not None
    y = _benefit_axis([*network, *(high if has_band else []), *(PER * value for value in curve["all"])])
    panel = Panel(360, 250, _threshold_axis(thresholds), y, left=22 + 7 * max(len(words) for _, words in y.ticks))
    everybody = [PER * value if PER * value >= y.low else float("nan") for value in curve["all"]]
    parts = []
    if has_band:
        band = [max(y.low, value) for value in low + high[::-1]]
        parts.append(svg.path(panel, [*thresholds, *thresholds[::-1]], band, "between"))
    if marked is not None and thresholds[0] <= marked <= thresholds[-1]:
        parts.append(svg.line(panel, (marked, y.low), (marked, y.high), "best"))
    parts.append(svg.line(panel, (0, 0), (thresholds[-1], 0), "baseline"))
    parts.append(svg.path(panel, thresholds, everybody, "line training"))
    parts.append(svg.path(panel, thresholds, [max(y.low, value) for value in network], "line"))
    ends = f"from {network[0]:.1f} at {100 * thresholds[0]:g} % to {network[-1]:.1f} at {100 * thresholds[-1]:g} %"
    return svg.drawing(panel, f"Decision curve for {name}: net benefit per {PER:,} images {ends}", parts)


def _benefit_axis(values: Sequence[float]) -> Axis:
    """From a fifth of the highest value below zero, so that the line of referring everybody is seen to cross it."""
    highest = max(*values, 1.0)
    ticks = svg.nice_ticks(0, highest, 4)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else highest
    top = ticks[-1] if ticks[-1] >= highest else ticks[-1] + step
    places = [*ticks, top] if top > ticks[-1] else ticks
    return Axis(-0.2 * top, top, tuple((tick, svg.number(tick)) for tick in places), f"net benefit per {PER:,} images")


def _threshold_axis(thresholds: Sequence[float]) -> Axis:
    ticks = svg.nice_ticks(0, thresholds[-1], 5)
    return Axis(0, thresholds[-1], tuple((tick, f"{100 * tick:.3g}") for tick in ticks), "refer from a probability of, %")
