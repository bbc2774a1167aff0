"""Gaps between independent groups: the interval, and the price of having looked at all pairs."""

import numpy as np
import pytest
from scipy.stats import norm, studentized_range

from lesionlens.assessment.subgroups.gaps import GAP_METRICS, gaps_between, independent_difference, range_confidence, range_p
from lesionlens.assessment.subgroups.group_metrics import Cases
from lesionlens.core.labels import HAM10000
from lesionlens.evaluation.calibration import softmax
from lesionlens.evaluation.intervals import Interval


def test_newcombes_own_example() -> None:
    """Newcombe (1998), method 10: 56/70 against 48/80 gives 0.0524 to 0.3339."""
    z2 = norm.ppf(0.975) ** 2

    def wilson(hits: int, n: int) -> Interval:
        p = hits / n
        centre, half = (p + z2 / (2 * n)) / (1 + z2 / n), np.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n)
        return Interval(p, centre - half, centre + half)

    difference = independent_difference(wilson(56, 70), wilson(48, 80))
    assert (difference.value, difference.low, difference.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_two_groups_need_no_correction_and_more_need_tukeys() -> None:
    assert range_confidence(0.95, 2) == pytest.approx(0.95)
    assert norm.ppf((1 + range_confidence(0.95, 4)) / 2) * np.sqrt(2) == pytest.approx(
        studentized_range.ppf(0.95, 4, np.inf), abs=1e-6
    )


def test_p_agrees_with_the_interval() -> None:
    level = range_confidence(0.95, 4)
    for low, expected in ((0.0, 0.05), (0.01, 0.04), (-0.01, 0.06)):
        p = range_p(Interval(0.1, low, 0.2), level, 4)
        assert (p < 0.05) == (low > 0) or p == pytest.approx(0.05)
        if low == 0:
            assert p == pytest.approx(expected, abs=1e-4)
    assert range_p(Interval(0.0, -0.1, 0.1), level, 4) == 1
    assert np.isnan(range_p(Interval(0.1, np.nan, np.nan), level, 4))


def cases(rng: np.random.Generator, n_lesions: int, skill: float = 1.5) -> Cases:
    labels = np.repeat(rng.integers(7, size=n_lesions), 2)
    shared = np.repeat(rng.normal(size=(n_lesions, 7)), 2, axis=0)  # photographs of a lesion resemble each other
    logits = 0.8 * shared + 0.6 * rng.normal(size=(len(labels), 7)) + skill * np.eye(7)[labels]
    return Cases(logits, labels, np.repeat(np.arange(n_lesions), 2).astype(str), HAM10000, softmax(logits))


@pytest.mark.slow
def test_the_family_of_pairs_errs_in_one_of_twenty() -> None:
    """Four groups without a difference, 120 times: some pair is 'significant' in 5 % (below 10 % with probability 0.99)."""
    rng, wrong = np.random.default_rng(0), {"accuracy": 0, "auc_malignant": 0}
    for _ in range(120):
        gaps = gaps_between({name: cases(rng, n) for name, n in zip("abcd", (30, 50, 80, 120), strict=True)})
        for metric in wrong:
            found = gaps[metric]
            wrong[metric] += found is not None and found.clearest.p < 0.05
    assert max(wrong.values()) <= 12


def test_the_clearest_gap_stands_beside_the_largest() -> None:
    rng = np.random.default_rng(4)
    groups = {"good": cases(rng, 300, 2.4), "poor": cases(rng, 300, 1.2), "tiny": cases(rng, 22, 0.8)}
    gaps = gaps_between(groups)["accuracy"]
    assert gaps is not None
    found = gaps.to_json()
    assert (found["better"], found["worse"]) == ("good", "tiny")
    assert (found["clearest"]["better"], found["clearest"]["worse"]) == ("good", "poor")
    assert found["p"] == found["clearest"]["p"] < 1e-6


def test_one_group_has_no_gap() -> None:
    assert gaps_between({"all": cases(np.random.default_rng(0), 40)}) == dict.fromkeys(GAP_METRICS)
