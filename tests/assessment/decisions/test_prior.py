"""Correction for a clinic's prevalence."""

import numpy as np
import pytest

from lesionlens.assessment.decisions.cases import Cases
from lesionlens.assessment.decisions.prior import (
    class_shares,
    clinic_weights,
    correct_prior,
    prior_correction,
    weighted_means,
)
from lesionlens.assessment.decisions.settings import Resampling
from lesionlens.core.labels import HAM10000
from lesionlens.evaluation.calibration import softmax

HOW = Resampling(200)
CLINIC = np.array([0.05, 0.1, 0.2, 0.05, 0.02, 0.53, 0.05])


def test_equation_2_4_by_hand():
    corrected = correct_prior(np.array([[0.2, 0.3, 0.5]]), np.array([0.2, 0.3, 0.5]), np.array([0.5, 0.5, 0.0]))
    np.testing.assert_allclose(corrected, [[0.5, 0.5, 0]], atol=1e-12)


def test_the_same_prevalence_changes_nothing(draw):
    p = softmax(draw(50).logits)
    np.testing.assert_allclose(correct_prior(p, CLINIC, CLINIC), p, rtol=1e-12)


def test_it_calibrates_for_the_other_prevalence(draw):
    """Images drawn with HAM10000's shares, corrected for another's, are calibrated for images drawn with the other's."""
    validation, clinic = draw(20000, seed=1), draw(20000, seed=2, shares=CLINIC)
    at_clinic = class_shares(clinic.labels, 7)
    # the simulated logits carry HAM10000's prior; those of the second draw carry the clinic's, so it is swapped back
    own = softmax(clinic.logits)
    foreign = correct_prior(own, at_clinic, class_shares(validation.labels, 7))
    back = correct_prior(foreign, class_shares(validation.labels, 7), at_clinic)
    np.testing.assert_allclose(back, own, atol=1e-9)
    np.testing.assert_allclose(back.mean(axis=0), at_clinic, atol=0.01)
    assert np.abs(foreign.mean(axis=0) - at_clinic).max() > 0.02


def test_weights_give_the_clinics_shares(draw):
    labels = draw(500).labels
    weights = clinic_weights(labels, CLINIC)
    np.testing.assert_allclose(np.bincount(labels, weights, 7) / weights.sum(), CLINIC)


def test_what_the_correction_does(draw):
    split, prevalence = draw(2000, seed=7), np.array([0.01, 0.01, 0.1, 0.01, 0.01, 0.85, 0.01])
    prior = class_shares(split.labels, 7)
    before = Cases.of(softmax(split.logits), split.labels, split.lesion_ids, HAM10000)
    after = Cases.of(correct_prior(before.probabilities, prior, prevalence), split.labels, split.lesion_ids, HAM10000)
    found = prior_correction(before, after, prior, prevalence, HOW)
    assert found["nll"]["difference"]["high"] < 0
    assert found["diagnoses"]["mel"]["after"] == pytest.approx(0.01, abs=0.005)
    assert found["diagnoses"]["mel"]["before"] > 0.015
    assert found["absent"] == []


def test_a_diagnosis_that_the_clinic_does_not_see(draw):
    split = draw(300)
    prevalence = np.array([0.0, 0.1, 0.2, 0.05, 0.02, 0.58, 0.05])
    prior = class_shares(split.labels, 7)
    before = Cases.of(softmax(split.logits), split.labels, split.lesion_ids, HAM10000)
    corrected = correct_prior(before.probabilities, prior, prevalence)
    assert corrected[:, 0].max() == 0
    found = prior_correction(before, Cases.of(corrected, split.labels, split.lesion_ids, HAM10000), prior, prevalence, HOW)
    assert np.isfinite(found["nll"]["after"]["value"])


def test_weighted_means_by_hand():
    cases = Cases.of(np.full((4, 7), 1 / 7), np.zeros(4, int), np.array(["a", "a", "b", "c"]), HAM10000)
    (mean,) = weighted_means(np.array([[1.0], [2.0], [3.0], [4.0]]), np.array([1.0, 1.0, 2.0, 0.0]), cases, HOW)
    assert mean.value == pytest.approx((1 + 2 + 6) / 4)
    assert mean.low <= mean.value <= mean.high
