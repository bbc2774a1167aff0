import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionlens.evaluation.delong import clustered_auc, correlations, hanley_mcneil, logit_bounds, mean_auc_bounds
from lesionlens.evaluation.proportions import Lesions, clopper_pearson
from lesionlens.evaluation.ranking import Ranking


def obuchowski(truth, scores, lesions):
    """Obuchowski 1997, equations 1 and 4 to 9, pair by pair."""
    positives, negatives = np.flatnonzero(truth), np.flatnonzero(~truth)
    wins = [[1.0 if scores[i] > scores[j] else 0.5 if scores[i] == scores[j] else 0.0 for j in negatives] for i in positives]
    auc = float(np.mean(wins))
    m, n, names = len(positives), len(negatives), sorted(set(lesions))
    ten = {name: sum(np.mean(wins[a]) - auc for a, i in enumerate(positives) if lesions[i] == name) for name in names}
    one = {
        name: sum(np.mean([row[b] for row in wins]) - auc for b, j in enumerate(negatives) if lesions[j] == name)
        for name in names
    }
    i10, i01, i = len(set(lesions[positives])), len(set(lesions[negatives])), len(names)
    s10 = i10 / ((i10 - 1) * m) * sum(value**2 for value in ten.values())
    s01 = i01 / ((i01 - 1) * n) * sum(value**2 for value in one.values())
    s11 = i / (i - 1) * sum(ten[name] * one[name] for name in names)
    return auc, s10 / m + s01 / n + 2 * s11 / (m * n)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(8, 40))
def test_equals_an_implementation_by_pairs(seed, n_images):
    random = np.random.default_rng(seed)
    lesions = random.integers(0, 10, n_images).astype(str)
    scores = random.integers(0, 8, n_images).astype(float)  # with ties
    truth = random.random(n_images) < 0.5  # some lesions have images on both sides
    if len(set(lesions[truth])) < 2 or len(set(lesions[~truth])) < 2:
        return
    auc, variance = obuchowski(truth, scores, lesions)
    found = clustered_auc(Ranking.of(truth, scores), Lesions.of(lesions))
    assert found.value == pytest.approx(auc)
    assert found.variance == pytest.approx(max(0.0, variance), abs=1e-12)
    low, high = found.bounds()
    assert 0 <= low <= found.value <= high <= 1


def test_single_images_give_delongs_variance():
    random = np.random.default_rng(0)
    truth, scores = np.arange(60) < 25, random.normal(size=60) + (np.arange(60) < 25)
    found = clustered_auc(Ranking.of(truth, scores), Lesions.of(np.arange(60)))
    wins = (scores[truth][:, None] > scores[~truth][None]).astype(float)
    assert found.variance == pytest.approx(wins.mean(1).var(ddof=1) / 25 + wins.mean(0).var(ddof=1) / 35)


def test_a_perfect_ranking_is_not_certain():
    truth = np.arange(100) < 30
    found = clustered_auc(Ranking.of(truth, truth.astype(float)), Lesions.of(np.arange(100)))
    assert found.bounds() == (pytest.approx(float(clopper_pearson(np.array(1.0), np.array(30.0))[0])), 1.0)
    low, high = mean_auc_bounds([found, found])
    assert 0.8 < low < 1
    assert high == 1


def test_few_lesions_are_drawn_to_hanley_and_mcneil():
    truth = np.repeat([True, False], [5, 200])
    scores = np.concatenate([[5, 5, 5, 5, 4.9], np.linspace(0, 4.95, 200)])
    found = clustered_auc(Ranking.of(truth, scores), Lesions.of(np.arange(205)))
    prior = hanley_mcneil(found.value, 5, 200)
    assert found.variance < prior
    assert found.steady_variance == pytest.approx((4 * found.variance + 3 * prior) / 7)


def test_one_side_only():
    found = clustered_auc(Ranking.of(np.ones(5, bool), np.arange(5.0)), Lesions.of(np.arange(5)))
    assert np.isnan(found.bounds()).all()


def test_logit_bounds_by_hand():
    low, high = logit_bounds(0.5, 0.01, 2.0)  # logit 0, half width 2 * 0.1 / 0.25 = 0.8
    assert (low, high) == (pytest.approx(1 / (1 + np.exp(0.8))), pytest.approx(1 / (1 + np.exp(-0.8))))


def test_correlations_without_spread_are_zero():
    np.testing.assert_allclose(correlations(np.array([[1.0, -1], [2, -2], [0, 0]])), [[1, 1, 0], [1, 1, 0], [0, 0, 1]])
