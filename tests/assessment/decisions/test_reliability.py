"""Reliability bands and calibration lines, against statsmodels."""

import numpy as np
import pytest
import statsmodels.api as sm

from lesionlens.assessment.decisions.cases import Cases, Target
from lesionlens.assessment.decisions.reliability import calibration_line, logistic, reliability, reliability_bands
from lesionlens.core.labels import HAM10000
from lesionlens.evaluation.calibration import softmax
from lesionlens.evaluation.proportions import Lesions

MEL = HAM10000.index("mel")


@pytest.fixture
def sample(draw):
    split = draw(500, seed=2)
    return split.labels == MEL, softmax(split.logits)[:, MEL], split.lesion_ids


def of_statsmodels(design, offset, truth, lesion_ids):
    _, groups = np.unique(lesion_ids, return_inverse=True)
    options = {"cov_type": "cluster", "cov_kwds": {"groups": groups, "use_correction": False}, "tol": 1e-12}
    fitted = sm.GLM(truth.astype(float), design, family=sm.families.Binomial(), offset=offset).fit(**options)
    n_lesions = groups.max() + 1
    return fitted.params, fitted.bse * np.sqrt(n_lesions / (n_lesions - 1))


def test_slope_and_its_error_are_statsmodels(sample):
    truth, scores, lesion_ids = sample
    x = np.log(scores / (1 - scores))
    design = np.column_stack([np.ones(len(x)), x])
    ours = logistic(design, np.zeros(len(x)), truth, Lesions.of(lesion_ids))
    theirs = of_statsmodels(design, np.zeros(len(x)), truth, lesion_ids)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-6)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-6)


def test_intercept_with_the_slope_held_is_statsmodels(sample):
    truth, scores, lesion_ids = sample
    x, ones = np.log(scores / (1 - scores)), np.ones((len(scores), 1))
    line = calibration_line(truth, scores, Lesions.of(lesion_ids))
    value, error = of_statsmodels(ones, x, truth, lesion_ids)
    assert line["intercept"].value == pytest.approx(value[0], rel=1e-6)
    assert (line["intercept"].high - line["intercept"].low) / error[0] == pytest.approx(2 * 1.965, abs=0.02)


def test_a_calibrated_network_has_intercept_0_and_slope_1(draw):
    split = draw(4000, seed=5)
    line = calibration_line(split.labels == MEL, softmax(split.logits)[:, MEL], Lesions.of(split.lesion_ids))
    assert line["intercept"].low < 0 < line["intercept"].high
    assert line["slope"].low < 1 < line["slope"].high


def test_doubled_logits_halve_the_slope(sample):
    truth, scores, lesion_ids = sample
    odds = (scores / (1 - scores)) ** 2
    lines = [calibration_line(truth, each, Lesions.of(lesion_ids)) for each in (scores, odds / (1 + odds))]
    assert lines[1]["slope"].value == pytest.approx(lines[0]["slope"].value / 2, rel=1e-3)  # a few are held at 1e-9


def test_what_cannot_be_fitted_says_so():
    lesions = Lesions.of(np.arange(60))
    truth = np.arange(60) < 30
    separated = calibration_line(truth, np.where(truth, 0.9, 0.1), lesions)
    assert separated["slope"].reason == "the probabilities separate the two sides completely"
    absent = calibration_line(np.zeros(60, bool), np.full(60, 0.5), lesions)
    assert absent["slope"].reason == absent["intercept"].reason == "no positive images"
    alike = calibration_line(truth, np.full(60, 0.5), lesions)
    assert np.isnan(alike["slope"].value)
    assert alike["intercept"].value == pytest.approx(0, abs=1e-9)


def test_few_lesions_have_a_value_and_no_interval(draw):
    split = draw(300, seed=3)
    rows = reliability(Cases.of(softmax(split.logits), split.labels, split.lesion_ids, HAM10000), [])
    assert rows["df"]["n_lesions"] < 20
    assert rows["df"]["slope"]["low"] is None
    assert "an interval needs 20" in rows["df"]["slope"]["reason"]


def test_bands_by_hand():
    truth = np.array([True] * 3 + [False] * 22 + [True] * 25)
    scores = np.array([0.05] * 25 + [0.95] * 25)
    low, high = reliability_bands(truth, scores, Lesions.of(np.arange(50)))
    assert (low["low"], low["high"], low["n"]) == (0, 0.1, 25)
    assert low["predicted"] == pytest.approx(0.05)
    assert (low["observed"]["count"], low["observed"]["of"]) == (3, 25)
    assert low["observed"]["low"] < 0.12 < low["observed"]["high"]
    assert high["observed"]["method"] == "clopper-pearson"


def test_every_diagnosis_and_question_has_a_row(draw):
    split = draw(200)
    cases = Cases.of(softmax(split.logits), split.labels, split.lesion_ids, HAM10000)
    rows = reliability(cases, [Target("malignant", ("akiec", "bcc", "mel"))])
    assert list(rows) == [*HAM10000.codes, "malignant"]
    assert rows["malignant"]["n"] == sum(rows[code]["n"] for code in ("akiec", "bcc", "mel"))
    assert all(sum(each["n"] for each in row["bins"]) == len(split) for row in rows.values())
