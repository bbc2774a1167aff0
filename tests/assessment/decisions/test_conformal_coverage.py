"""What fixed sets cover, by hand."""

import numpy as np
import pytest

from lesionlens.assessment.decisions.conformal import ConformalSets
from lesionlens.assessment.decisions.conformal_coverage import evaluate_sets, lesion_coverage
from lesionlens.core.errors import DataError

SETS = ConformalSets("lac", "marginal", 0.9, ("a", "b", "c"), (0.6, 0.6, 0.6), (30, 30, 30))


def test_by_hand():
    p = np.array([[0.5, 0.4, 0.1], [0.8, 0.1, 0.1], [0.3, 0.35, 0.35]])  # sets: {a, b}, {a}, none
    found = evaluate_sets(SETS, p, np.array([1, 0, 2]), np.array(["x", "x", "y"]))
    assert found["sizes"] == [1, 1, 1, 0]
    assert found["size"] == 1
    assert found["empty"]["count"] == 1
    assert found["single"]["count"] == 1
    assert found["coverage"]["value"] == 0.5  # lesion x is covered, y is not
    assert found["coverage"]["reason"] == "2 lesions; an interval needs 20"
    assert found["per_class"]["c"]["coverage"]["value"] == 0
    assert found["per_class"].keys() == {"a", "b", "c"}


def test_a_lesion_counts_by_the_share_of_its_photographs():
    covered = np.array([True, False, True, True])
    assert lesion_coverage(covered, np.array(["x", "x", "y", "z"])).value == pytest.approx((0.5 + 1 + 1) / 3)


def test_enough_lesions_have_an_interval_and_full_coverage_an_exact_one():
    some = lesion_coverage(np.arange(100) >= 10, np.arange(100))
    assert some.method == "wilson"
    assert some.low < 0.9 < some.high
    every = lesion_coverage(np.ones(100, bool), np.arange(100))
    assert (every.method, every.high) == ("clopper-pearson", 1)
    assert every.low == pytest.approx(0.025 ** (1 / 100))


def test_a_diagnosis_that_the_data_lack_has_no_row():
    found = evaluate_sets(SETS, np.full((4, 3), 1 / 3), np.array([0, 0, 1, 1]), np.arange(4))
    assert found["per_class"].keys() == {"a", "b"}


@pytest.mark.parametrize("n_labels", [0, 2])
def test_lengths_that_differ_or_no_images(n_labels):
    with pytest.raises(DataError, match="one of each for every image, and at least one"):
        evaluate_sets(SETS, np.full((n_labels * 2, 3), 1 / 3), np.zeros(n_labels, int), np.arange(n_labels))
