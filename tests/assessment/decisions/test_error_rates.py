"""Sums of error rates by hand, and what their intervals cover."""

import numpy as np
import pytest

from lesionlens.assessment.decisions.cases import Cases
from lesionlens.assessment.decisions.error_rates import ErrorRates
from lesionlens.core.labels import HAM10000
from lesionlens.evaluation.proportions import clopper_pearson, wilson


def cases_of(n: int) -> Cases:
    return Cases.of(np.full((n, 7), 1 / 7), np.zeros(n, int), np.arange(n), HAM10000)


def test_rates_by_hand():
    truth = np.arange(200) < 50
    called = (np.arange(200) < 40) | (np.arange(200) >= 170)
    rates = ErrorRates.of(truth, called[:, None], np.ones(200), cases_of(200), 0.95)
    assert rates.prevalence == 0.25
    assert rates.missed[0] == pytest.approx(10 / 50)
    assert rates.false_alarms[0] == pytest.approx(30 / 150)
    (cost,) = rates.combined(np.zeros(1), np.array([5.0]), np.array([2.0]))
    assert cost.value == pytest.approx(5 * 0.2 + 2 * 0.2)
    below = np.hypot(5 * (0.2 - rates.missed[1, 0]), 2 * (0.2 - rates.false_alarms[1, 0]))
    assert cost.low == pytest.approx(cost.value - below)


def test_no_miss_in_the_sample_is_not_no_miss():
    truth = np.arange(200) < 50
    rates = ErrorRates.of(truth, truth[:, None], np.ones(200), cases_of(200), 0.95)
    (cost,) = rates.combined(np.zeros(1), np.ones(1), np.zeros(1))
    assert (cost.value, cost.low) == (0, 0)
    assert cost.high == pytest.approx(float(clopper_pearson(np.array(0.0), np.array(50.0))[1]))


def test_negative_factors_swap_the_bounds():
    truth = np.arange(200) < 50
    called = np.arange(200) < 45
    rates = ErrorRates.of(truth, called[:, None], np.ones(200), cases_of(200), 0.95)
    (plus,), (minus,) = (rates.combined(np.zeros(1), np.array([sign]), np.zeros(1)) for sign in (1.0, -1.0))
    assert (minus.low, minus.high) == pytest.approx((-plus.high, -plus.low))


def test_weights_are_scale_free_and_few_lesions_have_no_interval():
    truth = np.arange(100) < 10
    called = (np.arange(100) % 3 == 0)[:, None]
    first, second = (ErrorRates.of(truth, called, scale * np.ones(100), cases_of(100), 0.95) for scale in (1, 0.2))
    np.testing.assert_allclose(first.missed, second.missed)
    np.testing.assert_allclose(first.false_alarms, second.false_alarms)
    (cost,) = first.combined(np.zeros(1), np.ones(1), np.ones(1))
    assert np.isnan(cost.low)
    assert cost.reason == "10 lesions (of the rarer side); an interval needs 20"


def test_independent_images_have_wilsons_interval():
    truth = np.arange(2000) < 1000
    called = np.arange(2000) % 5 != 0
    rates = ErrorRates.of(truth, called[:, None], np.ones(2000), cases_of(2000), 0.95)
    low, high = wilson(np.array(0.2), np.array(1000))
    np.testing.assert_allclose(rates.missed[1:, 0], [low, high], atol=1e-3)  # Student's quantile, and a design effect of 1
