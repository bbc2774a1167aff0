"""Predictive values by hand and at their ends."""

import numpy as np
import pytest

from lesionlens.assessment.decisions.predictive_values import predictive_values
from lesionlens.evaluation.intervals import Interval


def values(sensitivity, specificity, prevalence=0.1):
    return predictive_values(Interval(*sensitivity, "wilson"), Interval(*specificity, "wilson"), prevalence)


def test_by_hand():
    found = values((0.9, 0.8, 0.95), (0.8, 0.75, 0.85))
    assert found["ppv"].value == pytest.approx(0.09 / (0.09 + 0.18))
    assert found["npv"].value == pytest.approx(0.72 / (0.72 + 0.01))
    for interval in found.values():
        assert interval.low < interval.value < interval.high
        assert interval.method == "mover"


def test_a_perfect_specificity_gives_a_ppv_of_one_with_a_lower_bound():
    ppv = values((0.9, 0.8, 0.95), (1.0, 0.97, 1.0))["ppv"]
    assert (ppv.value, ppv.high) == (1, 1)
    ratio = 0.03 / np.sqrt(0.8 * (2 * 0.9 - 0.8))  # MOVER with a numerator of 0
    assert ppv.low == pytest.approx(0.1 / (0.1 + ratio * 0.9))


def test_a_rule_that_calls_nobody_has_no_ppv():
    found = values((0.0, 0.0, 0.06), (1.0, 0.97, 1.0))
    assert np.isnan(found["ppv"].value)
    assert found["ppv"].reason == "never called"
    assert found["npv"].value == pytest.approx(0.9)


def test_the_reason_of_a_missing_interval_is_passed_on():
    bare = Interval(0.9, np.nan, np.nan, "", "3 lesions; an interval needs 20")
    found = predictive_values(bare, Interval(0.8, 0.7, 0.9), 0.1)
    assert found["ppv"].reason == found["npv"].reason == "3 lesions; an interval needs 20"
    assert found["ppv"].value == pytest.approx(1 / 3)


def test_independent_counts_are_covered():
    """With 100 positives and 900 others, the interval of the PPV covers its truth nearly as often as promised."""
    random, hits = np.random.default_rng(0), 0
    for _ in range(400):
        a, b = random.binomial(100, 0.85) / 100, random.binomial(900, 0.9) / 900
        first, second = (Interval(v, *wilson_bounds(v, n), "wilson") for v, n in ((a, 100), (b, 900)))
        ppv = predictive_values(first, second, 0.05)["ppv"]
        hits += ppv.low <= 0.05 * 0.85 / (0.05 * 0.85 + 0.95 * 0.1) <= ppv.high
    assert 0.92 <= hits / 400 <= 0.98


def wilson_bounds(value, n):
    from lesionlens.evaluation.proportions import wilson

    return (float(end) for end in wilson(np.array(value), np.array(n)))
