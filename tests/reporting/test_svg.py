import itertools
import math
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionlens.reporting import svg
from lesionlens.reporting.svg import Axis, Panel

UNIT = Panel(110, 110, Axis(0, 1, ()), Axis(0, 1, ()), left=10, right=0, top=0, bottom=10)


def test_places_by_hand():
    assert [UNIT.px(0), UNIT.px(0.5), UNIT.px(1)] == [10, 60, 110]
    assert [UNIT.py(0), UNIT.py(0.5), UNIT.py(1)] == [100, 50, 0]


def test_path_leaves_out_points_on_a_straight_line():
    drawn = svg.path(UNIT, [0, 0.25, 0.5, 0.75, 1], [0, 0.25, 0.5, 0.25, 0], "line")
    assert drawn == '<path class="line" d="M10.0 100.0L60.0 50.0L110.0 100.0"/>'


def test_path_keeps_a_turn_back():
    assert svg.path(UNIT, [0, 1, 0.5], [0, 0, 0], "line").count("L") == 2


def test_path_breaks_where_a_value_is_missing():
    drawn = svg.path(UNIT, [0, 0.5, 1], [0, math.nan, 1], "line")
    assert drawn.count("M") == 2
    assert "nan" not in drawn


@settings(max_examples=60)
@given(st.floats(-1e3, 1e3), st.floats(1e-6, 1e6), st.integers(2, 8))
def test_ticks_are_round_and_within(low, span, wanted):
    high = low + span
    if high - low < 1e-6 * max(abs(low), 1):
        return
    ticks = svg.nice_ticks(low, high, wanted)
    assert all(low - 1e-6 * span <= tick <= high + 1e-6 * span for tick in ticks)
    assert len(ticks) <= wanted + 1
    steps = {round((b - a) / (ticks[1] - ticks[0]), 4) for a, b in itertools.pairwise(ticks)}
    assert steps <= {1.0}


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.25, "0.25"), (1e-4, "10⁻⁴"), (5e-6, "5·10⁻⁶"), (2.5e-5, "2.5·10⁻⁵"), (2000, "2000")]
)
def test_tick_texts(value, text):
    assert svg.number(value) == text


def test_ticks_of_one_axis_are_written_alike():
    assert [text for _, text in svg.axis_for([1e-3], "rate").ticks] == ["0", "2.5·10⁻⁴", "5·10⁻⁴", "7.5·10⁻⁴", "10⁻³"]


@pytest.mark.parametrize("values", [[], [math.nan], [0.0], [3.0, 3.0], [1e-5, 3e-4], [0.61, 1.93], [-2.0, -2.0]])
def test_axes_hold_their_values(values):
    axis = svg.axis_for(values, "loss")
    assert axis.low < axis.high
    assert all(axis.low <= value <= axis.high for value in values if math.isfinite(value))
    assert all(axis.low - 1e-9 <= tick <= axis.high + 1e-9 for tick, _ in axis.ticks)


def test_texts_are_escaped():
    hostile = '<script>"&'
    panel = Panel(100, 100, Axis(0, 1, ((0, hostile),), hostile), Axis(0, 1, (), hostile))
    drawn = svg.drawing(panel, hostile, [svg.dot(panel, 0, 0, "dot", title=hostile), svg.text(0, 0, hostile)])
    assert "<script>" not in drawn
    root = ElementTree.fromstring(drawn)
    assert root.attrib["aria-label"] == hostile
    assert [node.text for node in root.iter() if node.text].count(hostile) == 5
