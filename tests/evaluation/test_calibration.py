import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionlens.evaluation.calibration import (
    brier_scores,
    confidence_bins,
    expected_calibration_error,
    negative_log_likelihood,
    reliability_bins,
    softmax,
)


def drawn(seed, n=60, k=4):
    random = np.random.default_rng(seed)
    return 3 * random.normal(size=(n, k)).astype(np.float32), random.permutation(np.arange(n) % k)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000))
def test_nll_and_brier_equal_scikit_learn(seed):
    logits, labels = drawn(seed)
    probabilities = softmax(logits)
    assert negative_log_likelihood(logits, labels).mean() == pytest.approx(reference.log_loss(labels, probabilities), rel=1e-9)
    assert brier_scores(probabilities, labels).mean() == pytest.approx(
        reference.brier_score_loss(labels, probabilities, labels=range(4)), rel=1e-9
    )


def test_large_logits_do_not_overflow():
    logits = np.array([[1e4, 0.0, -1e4]], dtype=np.float32)
    np.testing.assert_array_equal(softmax(logits), [[1.0, 0.0, 0.0]])
    assert negative_log_likelihood(logits, np.array([2]))[0] == pytest.approx(2e4)


def test_brier_by_hand():
    probabilities = np.array([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    np.testing.assert_allclose(brier_scores(probabilities, np.array([0, 1, 1])), [0.375, 0.0, 2.0])


def test_bins_hold_their_upper_edge():
    np.testing.assert_array_equal(confidence_bins(np.array([0.0, 0.1, 0.5, 0.51, 1.0]), bins=2), [0, 0, 0, 1, 1])


def test_calibration_error_by_hand():
    # Bin (0.4, 0.6]: two cases of confidence 0.6, one right: gap 0.1. Bin (0.8, 1]: two of 0.9, both right: gap 0.1.
    probabilities = np.array([[0.6, 0.4], [0.6, 0.4], [0.9, 0.1], [0.1, 0.9]])
    labels = np.array([0, 1, 0, 1])
    assert expected_calibration_error(probabilities, labels, bins=5) == pytest.approx(0.1)
    bars = reliability_bins(probabilities, labels, bins=5)
    assert [bar.n for bar in bars] == [0, 0, 2, 0, 2]
    assert bars[2].confidence == pytest.approx(0.6)
    assert bars[2].accuracy == 0.5
    assert (bars[4].low, bars[4].high) == (0.8, 1.0)
    assert np.isnan(bars[0].accuracy)


def test_calibrated_cases_have_a_small_error_and_boasting_a_large_one():
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(3), 20_000)
    labels = (random.random(20_000)[:, None] > probabilities.cumsum(1)).sum(1)
    assert expected_calibration_error(probabilities, labels) < 0.02
    boasting = probabilities**4 / (probabilities**4).sum(1, keepdims=True)
    assert expected_calibration_error(boasting, labels) > 0.1
