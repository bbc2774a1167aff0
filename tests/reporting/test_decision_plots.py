"""Figures of decisions: what is drawn, and what a screen reader hears."""

import re

from lesionlens.reporting.decision_plots import decision_curve_panel, reliability_panel

BINS = [
    {"low": 0, "high": 0.1, "n": 90, "predicted": 0.02, "observed": {"value": 0.03, "low": 0.01, "high": 0.08}},
    {"low": 0.5, "high": 0.6, "n": 4, "predicted": 0.55, "observed": {"value": 0.5, "low": None, "high": None, "reason": "few"}},
]


def curve(has_band=True):
    values = [0.1, 0.08, 0.05]
    network = [{"value": v, "low": v - 0.02 if has_band else None, "high": v + 0.02 if has_band else None} for v in values]
    return {"thresholds": [0.01, 0.1, 0.5], "network": network, "all": [0.09, 0.01, -0.8], "gain": network, "useful": []}


def test_bins_with_a_band_are_filled_and_others_hollow():
    drawn = str(reliability_panel(BINS, "Melanoma", "k4"))
    assert drawn.count('class="dot k4"') == 1
    assert drawn.count('class="hollow k4"') == 1
    assert drawn.count('class="whisker k4"') == 1
    assert "Reliability of the probability of Melanoma: predicted 2 %, observed 3 % of 90" in drawn
    assert "(1 to 8)" in drawn


def test_the_curve_has_three_lines_a_band_and_the_mark():
    drawn = str(decision_curve_panel(curve(), "Melanoma", marked=0.02))
    for css in ("between", "best", "baseline", "line training", "line"):
        assert f'class="{css}"' in drawn
    assert "net benefit per 1,000 images from 100.0 at 1 % to 50.0 at 50 %" in drawn


def test_without_intervals_there_is_no_band_and_a_mark_outside_is_not_drawn():
    drawn = str(decision_curve_panel(curve(has_band=False), "Melanoma", marked=0.7))
    assert "between" not in drawn
    assert "best" not in drawn


def test_everything_stays_inside_the_drawing():
    drawn = str(decision_curve_panel(curve(), "Melanoma"))
    places = [float(y) for y in re.findall(r"[ML]-?[\d.]+ (-?[\d.]+)", drawn)]
    assert places
    assert all(0 <= y <= 250 for y in places)


def test_a_network_without_benefit_can_be_drawn():
    flat = curve()
    for each in flat["network"]:
        each.update(value=-0.5, low=-0.9, high=-0.1)
    places = [float(y) for y in re.findall(r"[ML]-?[\d.]+ (-?[\d.]+)", str(decision_curve_panel(flat, "Melanoma")))]
    assert all(0 <= y <= 250 for y in places)
