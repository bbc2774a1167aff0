"""Questions, proportions and reasons."""

import doctest

import numpy as np
import pytest

from lesionlens.assessment.decisions import cases
from lesionlens.assessment.decisions.cases import Cases, Target, lesions_per_class, proportions, targets, too_few, without_bounds
from lesionlens.core.labels import HAM10000, ISIC2017, Diagnosis, LabelSet
from lesionlens.evaluation.intervals import Interval
from lesionlens.evaluation.proportions import Lesions


def test_examples():
    assert doctest.testmod(cases).failed == 0


def test_questions_of_label_sets():
    assert targets(HAM10000) == {
        "melanoma": Target("melanoma", ("mel",)),
        "malignant": Target("malignant", ("akiec", "bcc", "mel")),
    }
    assert targets(ISIC2017)["malignant"] == "melanoma is the only malignant diagnosis; see melanoma"
    malignant = LabelSet("all", (Diagnosis("bcc", "Basal cell carcinoma", True), Diagnosis("scc", "Squamous", True)))
    assert targets(malignant)["malignant"] == "every diagnosis is malignant: bcc, scc"
    kinds = LabelSet("kinds", (*HAM10000.diagnoses, Diagnosis("lentigo_maligna", "Lentigo maligna", True)))
    assert targets(kinds)["melanoma"].codes == ("mel", "lentigo_maligna")


def test_truth_and_scores_add_the_diagnoses_up():
    p = np.array([[0.1, 0.2, 0.1, 0.1, 0.3, 0.1, 0.1], [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]])
    both = Cases.of(p, np.array([1, 5]), np.array(["a", "b"]), HAM10000)
    question = Target("malignant", ("akiec", "bcc", "mel"))
    assert question.truth(both).tolist() == [True, False]
    np.testing.assert_allclose(question.scores(both), [0.6, 0])
    assert both.lesions_per_class().tolist() == [0, 1, 0, 0, 0, 1, 0]


def test_lesions_are_counted_once():
    assert lesions_per_class(np.array([0, 0, 0, 1]), np.array(["a", "a", "b", "c"]), 3).tolist() == [2, 1, 0]


def test_proportions_by_hand():
    hits = np.stack([np.arange(40) < 30, np.zeros(40, bool)], axis=1)
    some, none = proportions(hits, np.ones((40, 1), bool), Lesions.of(np.arange(40)), 0.95)
    assert (some.value, some.method, dict(some.details)) == (0.75, "wilson", {"count": 30, "of": 40})
    assert some.low < 0.75 < some.high
    assert (none.value, none.method) == (0, "clopper-pearson")
    assert none.high == pytest.approx(1 - 0.025 ** (1 / 40))


def test_few_lesions_and_no_cases():
    (few,) = proportions(np.ones((5, 1), bool), np.ones((5, 1), bool), Lesions.of(np.arange(5)), 0.95, "of df")
    assert few.to_json() == {
        "value": 1.0,
        "low": None,
        "high": None,
        "reason": "5 lesions (of df); an interval needs 20",
        "count": 5,
        "of": 5,
    }
    (empty,) = proportions(np.zeros((5, 1), bool), np.zeros((5, 1), bool), Lesions.of(np.arange(5)), 0.95)
    assert empty.to_json()["value"] is None
    assert empty.reason == too_few(0)


def test_without_bounds():
    interval = Interval(0.5, 0.4, 0.6, "wilson")
    assert without_bounds(interval, "") is interval
    assert without_bounds(interval, "few").to_json() == {"value": 0.5, "low": None, "high": None, "reason": "few"}
