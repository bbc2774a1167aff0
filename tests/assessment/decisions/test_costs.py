"""Referral by costs: the Bayes rule is the cheapest for calibrated probabilities."""

import numpy as np
import pytest

from lesionlens.assessment.decisions.cases import Cases, Target
from lesionlens.assessment.decisions.costs import RULES, bayes_threshold, bundle_referrals, referral_costs
from lesionlens.assessment.decisions.settings import Resampling
from lesionlens.bundle.decision import Decision
from lesionlens.core.labels import HAM10000
from lesionlens.evaluation.calibration import softmax

MELANOMA, HOW = Target("melanoma", ("mel",)), Resampling(200)
DECISION = Decision(("mel",), 0.95, 0.1)


@pytest.fixture
def cases(draw):
    split = draw(3000, seed=1)
    return Cases.of(softmax(split.logits), split.labels, split.lesion_ids, HAM10000)


def costs_of(cases, decision=DECISION, costs=(50.0, 1.0), weights=None):
    weights = np.ones(len(cases)) if weights is None else weights
    return referral_costs(MELANOMA, cases, bundle_referrals(MELANOMA, cases, decision), costs, weights, HOW)


def test_the_threshold_by_hand():
    assert bayes_threshold(99, 1) == 0.01
    assert bayes_threshold(1, 1) == 0.5


def test_costs_are_counted(cases):
    found = costs_of(cases)
    truth, p = MELANOMA.truth(cases), MELANOMA.scores(cases)
    called = p >= 1 / 51
    paid = 50 * (truth & ~called).mean() + (~truth & called).mean()
    assert found["rules"]["bayes"]["cost"]["value"] == pytest.approx(paid)
    assert found["rules"]["bayes"]["referred"] == pytest.approx(called.mean())
    assert found["rules"]["none"]["cost"]["value"] == pytest.approx(50 * truth.mean())
    assert found["rules"]["all"]["cost"]["value"] == pytest.approx((~truth).mean())
    bundle = (cases.probabilities.argmax(axis=1) == 4) | (p >= 0.1)
    assert found["rules"]["bundle"]["missed"] == pytest.approx((truth & ~bundle).mean())
    saved = found["rules"]["bundle"]["cost"]["value"] - found["rules"]["bayes"]["cost"]["value"]
    assert found["saving"]["value"] == pytest.approx(saved)


@pytest.mark.parametrize("costs", [(50.0, 1.0), (10.0, 1.0), (1.0, 1.0)])
def test_the_bayes_rule_is_the_cheapest_threshold(cases, costs):
    truth, p = MELANOMA.truth(cases), MELANOMA.scores(cases)

    def paid(threshold):
        called = p >= threshold
        return costs[0] * (truth & ~called).mean() + costs[1] * (~truth & called).mean()

    best = min(paid(threshold) for threshold in np.linspace(0.005, 0.9, 180))
    bayes = costs_of(cases, costs=costs)["rules"]["bayes"]["cost"]["value"]
    assert bayes <= best * 1.15  # calibrated probabilities, 3,000 lesions: sampling noise


def test_referring_all_or_none_is_exact(cases):
    rules = costs_of(cases)["rules"]
    assert list(rules) == list(RULES)
    for name in ("all", "none"):
        assert rules[name]["cost"]["low"] is None
        assert rules[name]["cost"]["reason"] == "exact at this prevalence"


def test_a_rule_without_a_miss_has_room_for_one(draw):
    split = draw(300, seed=3)
    sure = Cases.of(np.eye(7)[split.labels] * 0.9 + 0.1 / 7, split.labels, split.lesion_ids, HAM10000)
    cost = costs_of(sure)["rules"]["bayes"]["cost"]
    truth = MELANOMA.truth(sure)
    assert cost["value"] == 0
    assert cost["high"] > 50 * truth.mean() / truth.sum()  # more than one miss among the melanomas


def test_a_split_of_one_side_has_no_costs(draw):
    split = draw(50, shares=[1, 1, 1, 1, 0, 1, 1])
    cases = Cases.of(softmax(split.logits), split.labels, split.lesion_ids, HAM10000)
    assert costs_of(cases) == {"reason": "all images of the test split are of one side for melanoma"}
