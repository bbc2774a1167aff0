"""Thresholds for a stated specificity or sensitivity."""

import doctest
import importlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlens.assessment.decisions.thresholds import lesions_needed, threshold_for_sensitivity, threshold_for_specificity

SCORES = st.lists(st.tuples(st.booleans(), st.integers(0, 20).map(lambda n: n / 20)), min_size=4, max_size=60)


@given(cases=SCORES, share=st.sampled_from([0.5, 0.713, 0.8, 0.9, 0.95]))
def test_the_stated_rate_is_reached_and_no_better_threshold_reaches_it(cases, share):
    truth, scores = np.array([each[0] for each in cases]), np.array([each[1] for each in cases])
    if truth.all() or not truth.any():
        return
    by_specificity = threshold_for_specificity(truth, scores, share)
    by_sensitivity = threshold_for_sensitivity(truth, scores, share)
    assert (scores[~truth] < by_specificity).mean() >= share - 1e-9
    assert (scores[truth] >= by_sensitivity).mean() >= share - 1e-9
    for other in np.append(np.unique(scores), 2.0):
        if (scores[~truth] < other).mean() >= share:
            assert (scores[truth] >= other).sum() <= (scores[truth] >= by_specificity).sum()
        if (scores[truth] >= other).mean() >= share:
            assert (scores[~truth] < other).sum() <= (scores[~truth] < by_sensitivity).sum()


def test_scores_that_are_all_alike_call_nobody_or_everybody():
    truth, scores = np.array([True, True, False, False]), np.full(4, 0.3)
    assert threshold_for_specificity(truth, scores, 0.9) > 0.3
    assert threshold_for_sensitivity(truth, scores, 0.9) <= 0.3


@pytest.mark.parametrize(("share", "needed"), [(0.95, 20), (0.9, 10), (0.713, 4), (0.99, 100)])
def test_lesions_that_a_share_needs(share, needed):
    assert lesions_needed(share) == needed


@pytest.mark.parametrize("name", ["thresholds", "prevalence", "predictive_values", "prior", "costs", "net_benefit", "conformal"])
def test_examples_in_docstrings(name):
    module = importlib.import_module(f"lesionlens.assessment.decisions.{name}")
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0
