"""Repeatability against numbers worked out by hand and against a simulation."""

import numpy as np
import pytest

from lesionlens.assessment.resampling import Resampling
from lesionlens.assessment.robustness.repeatability import COEFFICIENT, Ratings, fleiss_kappa, repeatability

MALIGNANT = (True, False)


def ratings(shares: list[list[float]]) -> Ratings:
    """One list of malignant probabilities for each lesion."""
    flat = np.array([share for of_lesion in shares for share in of_lesion])
    ids = np.repeat([f"lesion {n:03d}" for n in range(len(shares))], [len(of_lesion) for of_lesion in shares])
    found = Ratings.of(np.stack([flat, 1 - flat], axis=1), ids, ids, MALIGNANT)
    assert found is not None
    return found


def test_by_hand() -> None:
    # Three lesions: alike (2 of 2), unlike (1:1), and 2 against 1 of three photographs; one of a single photograph is left out.
    result = repeatability(ratings([[0.9, 0.7], [0.8, 0.2], [0.1, 0.3, 0.9], [0.6]]))
    assert (result["n_units"], result["n_ratings"], result["n_lesions"]) == (3, 7, 3)
    metrics = result["metrics"]
    assert metrics["all_alike"]["value"] == pytest.approx(1 / 3)
    assert (metrics["all_alike"]["count"], metrics["all_alike"]["of"]) == (1, 3)
    assert metrics["pairs_alike"]["value"] == pytest.approx((1 + 0 + 1 / 3) / 3)
    squares = [0.02, 0.18, 0.3466667]  # about the means 0.8, 0.5 and 0.4333
    assert metrics["spread"]["value"] == pytest.approx((sum(squares) / (1 + 1 + 2)) ** 0.5, abs=1e-6)
    assert metrics["coefficient"]["value"] == pytest.approx(COEFFICIENT * metrics["spread"]["value"])
    assert metrics["spread"]["reason"] == "3 lesions; an interval needs 20"


class TestKappa:
    def test_fleiss_own_example(self) -> None:
        """Table 1 of Fleiss (1971) as it is given everywhere: 10 subjects, 14 raters, 5 categories, kappa 0.210."""
        counts = np.array(
            [
                [0, 0, 0, 0, 14],
                [0, 2, 6, 4, 2],
                [0, 0, 3, 5, 6],
                [0, 3, 9, 2, 0],
                [2, 2, 8, 1, 1],
                [7, 7, 0, 0, 0],
                [3, 2, 6, 3, 0],
                [2, 5, 3, 2, 2],
                [6, 5, 2, 1, 0],
                [0, 2, 2, 3, 7],
            ],
            float,
        )
        assert fleiss_kappa(counts)[0] == pytest.approx(0.210, abs=5e-4)

    def test_bounds(self) -> None:
        assert fleiss_kappa(np.array([[2.0, 0.0], [0.0, 3.0]]))[0] == 1
        assert fleiss_kappa(np.array([[1.0, 1.0], [1.0, 1.0]]))[0] == -1
        assert np.isnan(fleiss_kappa(np.array([[2.0, 0.0], [3.0, 0.0]]))[0])

    def test_weights_are_repeats(self) -> None:
        counts = np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 4.0]])
        repeated = counts[[0, 0, 1, 2, 2, 2]]
        assert fleiss_kappa(counts, np.array([[2.0, 1.0, 3.0]]))[0] == pytest.approx(fleiss_kappa(repeated)[0])


def test_the_spread_is_that_of_the_noise_and_its_interval_covers_it() -> None:
    rng, covered = np.random.default_rng(0), 0
    for seed in range(60):
        level = rng.uniform(0.3, 0.7, 80)
        shares = [(level[n] + rng.normal(0, 0.05, 2 + n % 3)).tolist() for n in range(80)]
        spread = repeatability(ratings(shares), Resampling(300, 0.95, seed))["metrics"]["spread"]
        assert spread["value"] == pytest.approx(0.05, abs=0.012)
        covered += spread["low"] <= 0.05 <= spread["high"]
    assert covered >= 53  # of 60; below has probability 0.01 if the coverage is 0.95


def test_most_pairs_differ_by_less_than_the_coefficient() -> None:
    rng = np.random.default_rng(1)
    pairs = 0.5 + rng.normal(0, 0.05, (500, 2))
    coefficient = repeatability(ratings(pairs.tolist()), Resampling(100))["metrics"]["coefficient"]["value"]
    assert (np.abs(np.diff(pairs, axis=1)) < coefficient).mean() == pytest.approx(0.95, abs=0.02)


def test_order_does_not_matter_and_all_alike_has_an_exact_interval() -> None:
    shares = [[0.9, 0.8], [0.2, 0.1]] * 15
    result, reverse = (repeatability(ratings(each), Resampling(200)) for each in (shares, shares[::-1]))
    assert result["metrics"]["all_alike"] == reverse["metrics"]["all_alike"]
    assert result["metrics"]["all_alike"]["method"] == "clopper-pearson"
    assert result["metrics"]["all_alike"]["high"] == 1
    assert result["metrics"]["kappa"]["reason"] == "all agree"


def test_no_unit_with_two_ratings() -> None:
    ids = np.array(["a", "b"])
    assert Ratings.of(np.array([[0.5, 0.5], [0.1, 0.9]]), ids, ids, MALIGNANT) is None


def test_without_a_malignant_diagnosis_there_is_no_spread() -> None:
    ids = np.repeat(np.arange(25), 2).astype(str)
    probabilities = np.random.default_rng(0).dirichlet([1, 1], 50)
    found = Ratings.of(probabilities, ids, ids, (False, False))
    assert found is not None
    assert set(repeatability(found, Resampling(50))["metrics"]) == {"all_alike", "pairs_alike", "kappa"}
