import copy

import pytest
from tests.reporting.documents.conftest import decisions

from lesionlens.reporting.documents import assessed_decisions


@pytest.fixture
def content():
    return copy.deepcopy(decisions())


def test_the_section_has_every_operating_point(content):
    text = assessed_decisions.section(content)
    assert "| Melanoma | specificity 71.3 % | 0.2500 | 90.0 % (50.0 to 99.0) | 72.0 % (60.0 to 90.0) |" in text
    assert "| Melanoma | specificity 95 % | none: too few lesions | | |" in text
    assert "| Melanoma | sensitivity 95 % | 0.2500 | 94.0 % (50.0 to 99.0) | 60.0 % (60.0 to 90.0) |" in text
    assert "- Malignant or benign: no benign image." in text
    assert "58 dermatologists reached a sensitivity of 86.6 %" in text
    assert "Melanoma: better than referring all or none at thresholds 0.02 to 0.4." in text
    assert (
        'Threshold of "not sure" 0.0700 (at least 95 % on average): on test 96.0 % (90.0 to 99.0) are found or "not sure"' in text
    )
    assert "for mel 80.0 % (60.0 to 90.0); 1.50 diagnoses in a set on average" in text


def test_answers_are_sentences(content):
    text = assessed_decisions.answer(content)
    assert text.startswith("Melanoma, specificity 71.3 % chosen on validation: sensitivity 90.0 % (50.0 to 99.0), specificity")
    assert "Recalibration chosen by cross-validation on validation: temperature" in assessed_decisions.recalibration(content)


def test_the_cost_of_sensitivity_is_a_limit(content):
    (limit,) = assessed_decisions.limits(content)
    assert limit.text == (
        "At the threshold that is to find 95 % of the melanomas, 40.0 % (10.0 to 40.0) of the other images are called suspicious."
    )
    content["questions"]["melanoma"]["at_sensitivity"][0]["test"]["specificity"] = {"value": 0.75, "count": 3, "of": 4}
    assert "25.0 % (1 of 4, no interval)" in assessed_decisions.limits(content)[0].text
    content["questions"]["melanoma"]["at_sensitivity"][0]["stated"] = 0.9
    assert assessed_decisions.limits(content) == []


def test_what_cannot_be_chosen_says_why(content):
    content["guarantees"]["rules"]["expectation"] = {"test": None, "reason": "12 lesions are too few"}
    content["questions"]["melanoma"]["decision_curve"] = {"reason": "no interval"}
    content["conformal"] = []
    text = assessed_decisions.section(content)
    assert 'Threshold of "not sure": none, 12 lesions are too few.' in text
    assert "Decision curve" not in text
    assert "Conformal" not in text


def test_no_question_at_all(content):
    del content["questions"]["melanoma"]
    assert "| question |" not in assessed_decisions.section(content)
    assert assessed_decisions.limits(content) == []


def test_a_curve_that_is_nowhere_useful(content):
    content["questions"]["melanoma"]["decision_curve"]["useful"] = []
    assert "Melanoma: nowhere clearly better than referring all or none." in assessed_decisions.answer(content)


def test_the_smallest_sets_that_hold_their_promise_are_told(content):
    (given,) = content["conformal"]

    def sets(score, coverage, size):
        classes = {"mel": {"coverage": {"value": coverage, "low": None, "high": None}}}
        return {"sets": {**given["sets"], "score": score}, "test": {**given["test"], "size": size, "per_class": classes}}

    content["conformal"] = [sets("wide", 1.0, 7.0), sets("good", 0.91, 2.0), sets("narrow", 0.7, 1.0)]
    assert "Conformal sets (good, class)" in assessed_decisions.section(content)
    content["conformal"] = [sets("narrow", 0.7, 1.0), sets("nearer", 0.8, 3.0)]
    assert "Conformal sets (nearer, class)" in assessed_decisions.section(content)
