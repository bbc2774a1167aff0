"""Decision curves by counting."""

import numpy as np
import pytest

from lesionlens.assessment.decisions.cases import Cases, Target
from lesionlens.assessment.decisions.net_benefit import THRESHOLDS, decision_curve, net_benefit
from lesionlens.core.labels import HAM10000
from lesionlens.evaluation.calibration import softmax

MELANOMA = Target("melanoma", ("mel",))


@pytest.fixture
def cases(draw):
    split = draw(600, seed=1)
    return Cases.of(softmax(split.logits), split.labels, split.lesion_ids, HAM10000)


def test_the_curve_is_vickers_and_elkins_count(cases):
    curve = decision_curve(MELANOMA, cases, np.ones(len(cases)))
    truth, scores = MELANOMA.truth(cases), MELANOMA.scores(cases)
    for threshold, network, everybody in zip(THRESHOLDS, curve["network"], curve["all"], strict=True):
        called, odds = scores >= threshold, threshold / (1 - threshold)
        expected = ((truth & called).sum() - odds * (~truth & called).sum()) / len(cases)
        assert network["value"] == pytest.approx(expected, abs=1e-12)
        assert everybody == pytest.approx(truth.mean() - odds * (1 - truth.mean()))
        assert network["low"] <= network["value"] <= network["high"]


def test_the_gain_is_over_the_better_of_all_and_none(cases):
    curve = decision_curve(MELANOMA, cases, np.ones(len(cases)))
    for network, everybody, gain in zip(curve["network"], curve["all"], curve["gain"], strict=True):
        assert gain["value"] == pytest.approx(network["value"] - max(everybody, 0), abs=1e-12)


def test_a_network_that_knows_nothing_is_nowhere_useful(draw):
    split = draw(600)
    shares = np.bincount(split.labels, minlength=7) / len(split)
    cases = Cases.of(np.tile(shares, (len(split), 1)), split.labels, split.lesion_ids, HAM10000)
    assert decision_curve(MELANOMA, cases, np.ones(len(split)))["useful"] == []


def test_useful_ranges(cases):
    curve = decision_curve(MELANOMA, cases, np.ones(len(cases)))
    for low, high in curve["useful"]:
        inside = [(low <= t <= high) for t in curve["thresholds"]]
        assert all(gain["low"] > 0 for gain, within in zip(curve["gain"], inside, strict=True) if within)


def test_a_clinics_prevalence_is_in_the_curve(cases):
    truth = MELANOMA.truth(cases)
    weights = np.where(truth, 0.02 / truth.mean(), 0.98 / (1 - truth.mean()))
    curve = decision_curve(MELANOMA, cases, weights)
    assert curve["prevalence"] == pytest.approx(0.02)
    sensitivity, alarms = (MELANOMA.scores(cases)[side] >= 0.1 for side in (truth, ~truth))
    place = curve["thresholds"].index(0.1)
    assert curve["network"][place]["value"] == pytest.approx(net_benefit(sensitivity.mean(), alarms.mean(), 0.02, 0.1))


def test_a_split_of_one_side_has_no_curve(draw):
    split = draw(50, shares=[1, 1, 1, 1, 0, 1, 1])
    cases = Cases.of(softmax(split.logits), split.labels, split.lesion_ids, HAM10000)
    assert decision_curve(MELANOMA, cases, np.ones(len(split))) == {
        "reason": "all images of the test split are of one side for melanoma"
    }
