import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlens.evaluation.differences import correlation_of, p_of, paired_difference
from lesionlens.evaluation.intervals import Interval
from lesionlens.evaluation.proportions import wilson


def test_newcombes_square_and_add():
    """Newcombe 1998 (Statistics in Medicine 17:873), method 10: 56/70 against 48/80, independent: 0.0524 to 0.3339."""
    sides = [
        Interval(hits / n, *(float(end) for end in wilson(np.array(hits / n), np.array(float(n)))))
        for hits, n in ((56, 70), (48, 80))
    ]
    found = paired_difference("recall", *sides, 0.0)
    assert (found.low, found.high) == (pytest.approx(0.0524, abs=5e-5), pytest.approx(0.3339, abs=5e-5))


def test_by_hand_with_correlation():
    first, second = Interval(0.9, 0.8, 0.95), Interval(0.8, 0.7, 0.85)
    found = paired_difference("accuracy", first, second, 0.5)
    half = math.sqrt(0.1**2 + 0.05**2 - 0.1 * 0.05)
    assert (found.low, found.high) == (pytest.approx(0.1 - half), pytest.approx(0.1 + math.sqrt(0.05**2 + 0.1**2 - 0.05 * 0.1)))


def test_smooth_metrics_of_alike_networks_hardly_differ():
    one, other = Interval(0.9, 0.8, 0.95), Interval(0.899, 0.799, 0.949)
    smooth = paired_difference("macro_auc", one, other, 0.9999)
    assert smooth.high - smooth.low < 0.01
    counts = paired_difference("accuracy", one, other, 0.9999)
    assert counts.high - counts.low > 0.05  # a few images that differ may be missing from the sample


def test_without_an_interval_there_is_none():
    none = Interval(0.5, np.nan, np.nan, "", "12 lesions")
    found = paired_difference("recall", Interval(0.9, 0.8, 1.0), none, 0.5)
    assert found.reason == "12 lesions"
    assert np.isnan(found.low)
    assert math.isnan(p_of(found, 0.95))


@pytest.mark.slow
@given(st.floats(-0.5, 0.5), st.floats(0.001, 0.5), st.floats(0.001, 0.5))
def test_p_agrees_with_the_interval(value, below, above):
    interval = Interval(value, value - below, value + above)
    inside = interval.low < -1e-9 and interval.high > 1e-9
    outside = interval.low > 1e-9 or interval.high < -1e-9
    assert not (inside and p_of(interval, 0.95) < 0.05)
    assert not (outside and p_of(interval, 0.95) > 0.05)


def test_correlation_of_resamples():
    values = np.array([0.1, 0.2, np.nan, 0.4])
    assert correlation_of(values, values) == 1
    assert correlation_of(values, np.ones(4)) == 0
    assert correlation_of(np.ones(4), np.ones(4)) == 1
    assert correlation_of(values, -values) == pytest.approx(-1)
