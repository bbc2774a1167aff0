import numpy as np
import pytest

from lesionlens.bundle.decision import Decision
from lesionlens.bundle.gate import GateResult
from lesionlens.bundle.outcome import (
    DIAGNOSIS,
    NOT_SURE,
    NOT_USABLE,
    OUTCOMES,
    explanation_text,
    malignant_share,
    outcome_of,
)
from lesionlens.core.labels import HAM10000

NEVUS = np.array([0.0, 0.0, 0.05, 0.0, 0.15, 0.8, 0.0], np.float32)
GOOD, BAD = GateResult(True, (), {}), GateResult(False, ("blurred", "too_dark"), {})
DECISION, NONE = Decision(("mel",), 0.95, 0.1), Decision(("mel",), 0.95, None, "3 lesions with melanoma are too few")


def test_there_are_three():
    assert OUTCOMES == ("diagnosis", "not_sure", "not_usable")


@pytest.mark.parametrize(
    ("gate_result", "decision", "outcome"),
    [
        (GOOD, Decision(("mel",), 0.95, 0.2), DIAGNOSIS),
        (GOOD, DECISION, NOT_SURE),
        (BAD, DECISION, NOT_USABLE),
        (BAD, None, NOT_USABLE),
        (None, DECISION, NOT_SURE),
        (None, None, DIAGNOSIS),
        (GOOD, NONE, DIAGNOSIS),
    ],
)
def test_the_gate_comes_first(gate_result, decision, outcome):
    assert outcome_of(NEVUS, HAM10000, gate_result, decision) == outcome


def test_a_diagnosis_in_words():
    text = explanation_text(NEVUS, HAM10000, GOOD, Decision(("mel",), 0.95, 0.2))
    assert text == "Most probable is Melanocytic nevus (nv) with probability 80.0 %; malignant diagnoses together 15.0 %."


def test_not_sure_in_words():
    text = explanation_text(NEVUS, HAM10000, GOOD, DECISION)
    assert text.startswith(
        "Not sure: have a person look. The first choice is Melanocytic nevus (nv) with probability 80.0 %, but"
    )
    assert "the probability of melanoma is 15.00 %, not below the threshold 10.00 %" in text


def test_not_usable_names_every_reason_and_no_diagnosis():
    text = explanation_text(NEVUS, HAM10000, BAD, DECISION)
    assert text.startswith("Not usable, so there is no diagnosis: the image is blurred")
    assert "too dark" in text
    assert "nevus" not in text


def test_what_is_missing_is_said():
    assert "no gate" in explanation_text(NEVUS, HAM10000, None, DECISION)
    assert 'no calibrated outcome "not sure": 3 lesions with melanoma are too few.' in explanation_text(
        NEVUS, HAM10000, GOOD, NONE
    )
    assert "exported without one" in explanation_text(NEVUS, HAM10000, GOOD, None)


def test_the_malignant_share_stays_within_one():
    assert malignant_share(NEVUS, HAM10000) == pytest.approx(0.15)
    assert malignant_share(np.array([0.5, 0.3, 0, 0, 0.2000001, 0, 0], np.float32), HAM10000) == 1


@pytest.mark.parametrize(("probability", "words"), [(1.0, ">99.9 %"), (0.9999, ">99.9 %"), (0.999, "99.9 %"), (0.994, "99.4 %")])
def test_no_answer_claims_certainty(probability, words):
    rest = (1 - probability) / 6
    case = np.array([rest, rest, rest, rest, rest, probability, rest])
    assert f"probability {words}; " in explanation_text(case, HAM10000, GOOD, None)
