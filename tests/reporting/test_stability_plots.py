"""Forests, small multiples and scatters: places worked out by hand, and words for screen readers."""

import numpy as np
import pytest
from tests.reporting.test_plots import classes, parsed

from lesionlens.reporting.plots import IntervalRow
from lesionlens.reporting.stability_plots import (
    ForestGroup,
    StrengthCurve,
    case_scatter,
    forest_plot,
    lowest_tenth,
    strength_panel,
)

GROUPS = (
    ForestGroup("Sex", (IntervalRow("female", "plain", 0.8, 0.7, 0.9), IntervalRow("male", "plain", 0.75, 0.6, 0.85))),
    ForestGroup("Age", (IntervalRow("0 to 29", "plain", 0.9, 0.8, 0.95),)),
)


def test_a_forest_has_headings_rows_and_the_line_of_all_images() -> None:
    root = parsed(forest_plot(GROUPS, "accuracy, %", 0.78))
    texts = {kind: [t.text for t in root.iter() if t.attrib.get("class") == kind] for kind in ("heading", "row")}
    assert texts == {"heading": ["Sex", "Age"], "row": ["female", "male", "0 to 29"]}
    assert classes(root).count("whisker plain") == classes(root).count("dot plain") == 3
    assert classes(root).count("chance") == 1
    assert "Sex: female 80.0 (70.0 to 90.0), male 75.0 (60.0 to 85.0); Age" in root.attrib["aria-label"]


def test_a_forest_starts_below_its_lowest_interval_and_areas_are_no_per_cent() -> None:
    root = parsed(forest_plot(GROUPS, "AUC", None, shares=False))
    ticks = [t.text for t in root.iter() if t.attrib.get("class") == "tick"]
    assert ticks[0] == "0.6"
    assert "chance" not in classes(root)
    assert "female 0.800 (0.700 to 0.900)" in root.attrib["aria-label"]
    whisker = next(node for node in root.iter() if node.attrib.get("class") == "whisker plain")
    dot = next(node for node in root.iter() if node.attrib.get("class") == "dot plain")
    middle = (float(whisker.attrib["x1"]) + float(whisker.attrib["x2"])) / 2
    assert float(dot.attrib["cx"]) == pytest.approx(middle, abs=0.1)  # 0.8 is in the middle of 0.7 and 0.9


def test_a_panel_has_a_ribbon_only_with_intervals_and_a_line_at_the_clean_value() -> None:
    values = (0.9, 0.85, 0.8, 0.7, 0.6, 0.5)
    with_ends = StrengthCurve(
        "balanced accuracy", "plain", values, tuple(v - 0.05 for v in values), tuple(v + 0.05 for v in values)
    )
    without = StrengthCurve("sensitivity", "warm", values, (np.nan,) * 6, (np.nan,) * 6)
    root = parsed(strength_panel([with_ends, without], 0.4, "Hair"))
    assert [name for name in classes(root) if name.startswith("ribbon")] == ["ribbon plain"]
    assert classes(root).count("chance") == 1
    assert root.attrib["aria-label"] == (
        "Hair, clean to strength 5: balanced accuracy from 90.0 to 50.0 %; sensitivity from 90.0 to 50.0 %"
    )


@pytest.mark.parametrize(("values", "low"), [([0.53, 0.81], 0.5), ([0.99], 0.9), ([1.0], 0.9), ([np.nan], 0.0), ([], 0.0)])
def test_where_small_multiples_start(values: list[float], low: float) -> None:
    assert lowest_tenth(values) == pytest.approx(low)


def test_a_scatter_counts_cases_in_cells() -> None:
    points = [(0.55, 0.95, True)] * 9 + [(0.05, 0.05, False), (1.0, 1.0, False)]
    root = parsed(case_scatter(points))
    dots = [node for node in root.iter() if node.attrib.get("class", "").startswith("dot")]
    assert sorted(node[0].text for node in dots) == ["1 benign", "1 benign", "9 malignant"]
    radii = {node[0].text: float(node.attrib["r"]) for node in dots}
    assert radii["9 malignant"] == pytest.approx(9.5)  # the largest; areas grow with counts
    assert radii["1 benign"] == pytest.approx(1.5 + 8 / 3, abs=0.1)
