"""Calibration on test before and after recalibration."""

import numpy as np
import pytest

from lesionlens.assessment.decisions.linear_map import LinearMap, temperature_map
from lesionlens.assessment.decisions.recalibrated_metrics import recalibrated_metrics
from lesionlens.assessment.decisions.settings import Resampling
from lesionlens.evaluation.calibration import expected_calibration_error, log_softmax, softmax

SAME = LinearMap(np.eye(7), np.zeros(7))


def metrics_of(split, **maps):
    return recalibrated_metrics(log_softmax(split.logits), split.labels, split.lesion_ids, maps, Resampling(100))


def test_a_map_that_changes_nothing_changes_nothing(draw):
    found = metrics_of(draw(300), same=SAME)
    for name in ("nll", "brier", "ece"):
        assert found["same"][name]["value"] == pytest.approx(found["none"][name]["value"], abs=1e-9)


def test_the_plain_error_is_guos_and_the_temperature_lowers_it(draw):
    split = draw(900, sharpness=2.5)
    fitted = temperature_map(log_softmax(split.logits), split.labels)
    found = metrics_of(split, temperature=fitted)
    assert found["none"]["ece"]["plain"] == pytest.approx(expected_calibration_error(softmax(split.logits), split.labels))
    assert found["temperature"]["ece"]["value"] < found["none"]["ece"]["value"]
    assert found["none"]["ece"]["p"] < 0.05 < found["temperature"]["ece"]["p"]


def test_few_lesions_have_no_interval(draw):
    found = metrics_of(draw(10))["none"]
    assert all(found[name]["low"] is None for name in ("nll", "brier", "ece"))
    assert found["ece"]["reason"] == "10 lesions (in all); an interval needs 20"
    assert found["ece"]["plain"] >= 0
