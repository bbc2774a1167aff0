import math
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from lesionlens.evaluation.calibration import reliability_bins
from lesionlens.reporting import plots
from lesionlens.reporting.plots import Curve, IntervalRow
from lesionlens.training.history import Epoch


def parsed(drawn) -> ElementTree.Element:
    root = ElementTree.fromstring(str(drawn))
    numbers = re.findall(
        r"-?\d+(?:\.\d+)?|nan|inf", " ".join(v for n in root.iter() for k, v in n.attrib.items() if k != "aria-label")
    )
    assert "nan" not in numbers
    assert "inf" not in numbers
    return root


def classes(root: ElementTree.Element) -> list[str]:
    return [node.attrib.get("class", "") for node in root.iter()]


def history(n: int) -> list[Epoch]:
    return [Epoch(e, 1e-4, 1.0 / e, 0.5, {"loss": 2.0 / e, "balanced_accuracy": None}, 1, 1, 0, True) for e in range(1, n + 1)]


@pytest.mark.parametrize("n", [1, 2, 100])
def test_training_panels_for_any_number_of_epochs(n):
    curves = plots.history_curves(history(n))
    for name, lines in curves.items():
        root = parsed(plots.training_panel(range(1, n + 1), lines, name, best=n, shares=name == "accuracy"))
        assert f"the best epoch is {n}" in root.attrib["aria-label"]


def test_an_undefined_figure_is_a_gap():
    (_, validation) = plots.history_curves(history(3))["accuracy"]
    assert all(math.isnan(value) for value in validation.values)


def test_interval_plot_has_a_row_for_each_diagnosis_and_a_diamond_for_each_reference():
    rows = [IntervalRow("mel", "k0", 0.6, 0.5, 0.7, 0.8), IntervalRow("nv", "k1", 0.9, 0.88, 0.92)]
    root = parsed(plots.interval_plot(rows, "recall, %", "paper"))
    assert [text.text for text in root.iter() if text.attrib.get("class") == "row"] == ["mel", "nv"]
    assert classes(root).count("reference") == 1
    assert "mel 60.0 % (50.0 to 70.0), paper 80.0 %" in root.attrib["aria-label"]


def test_interval_plot_places_by_hand():
    # Values of 0.5 and above start the axis at 50 %: 0.75 is in the middle of it.
    root = parsed(plots.interval_plot([IntervalRow("nv", "k1", 0.75, 0.5, 1.0)], "recall, %"))
    whisker = next(node for node in root.iter() if node.attrib.get("class") == "whisker k1")
    dot = next(node for node in root.iter() if node.attrib.get("class") == "dot k1")
    assert float(dot.attrib["cx"]) == pytest.approx((float(whisker.attrib["x1"]) + float(whisker.attrib["x2"])) / 2, abs=0.1)


def test_curves_of_a_perfect_ranking():
    root = parsed(plots.roc_panel(np.array([0, 0, 1.0]), np.array([0, 1.0, 1]), "k0", "melanoma"))
    line = next(node.attrib["d"] for node in root.iter() if node.attrib.get("class") == "line k0")
    assert line == "M44.0 136.0L44.0 8.0L165.0 8.0"


def test_precision_recall_shows_its_prevalence():
    root = parsed(plots.precision_recall_panel(np.array([0.1, 1.0]), np.array([1.0, 0.0]), 0.1, "k0", "melanoma"))
    assert "its share of the images, 10.0 %" in root.attrib["aria-label"]


def test_reliability_draws_filled_bins_only():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.55, 0.45]])
    bins = reliability_bins(probabilities, np.array([0, 0, 1]), 10)
    root = parsed(plots.reliability_panel(bins))
    assert classes(root).count("column") == sum(1 for b in bins if b.n) == 3
    assert "confidence 55 %, right 0 %, 1 images" in root.attrib["aria-label"]
    assert classes(parsed(plots.confidence_panel(bins))).count("column") == 3


def test_stacked_bar_lays_parts_end_to_end():
    root = parsed(plots.stacked_bar([("k0", 0.25), ("k0 faint", 0.5)]))
    places = [(float(node.attrib["x"]), float(node.attrib["width"])) for node in root if node.tag == "rect"]
    assert places == [(0, 30), (30, 60)]


def test_interval_bar_of_an_undefined_figure_is_empty():
    assert plots.interval_bar({"value": None, "low": None, "high": None}) == ""


def test_curve_names_are_escaped():
    drawn = plots.training_panel([1, 2], [Curve("<b>", "training", (1.0, 2.0))], "loss", None)
    assert "<b>" not in drawn
