"""Conformal sets: against MAPIE, by hand, and their coverage over resampled splits."""

import json

import numpy as np
import pytest
from mapie.classification import SplitConformalClassifier
from scipy.stats import binom
from sklearn.base import BaseEstimator, ClassifierMixin

from lesionlens.assessment.decisions.conformal import ConformalSets, aps_scores, fit_sets, lesion_quantile
from lesionlens.assessment.decisions.conformal_coverage import evaluate_sets
from lesionlens.core.errors import DataError
from lesionlens.core.labels import HAM10000
from lesionlens.evaluation.calibration import softmax

CODES, SPLITS, COVERAGE = HAM10000.codes, 200, 0.9
KINDS = [(score, group) for score in ("lac", "aps") for group in ("marginal", "class")]
EVEN = [300] * 7


class Fixed(ClassifierMixin, BaseEstimator):
    """A classifier that returns the probabilities that it is given."""

    def __init__(self):
        self.classes_, self.fitted_ = np.arange(7), True

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, features, labels):
        return self

    def predict_proba(self, features):
        return np.asarray(features)

    def predict(self, features):
        return np.asarray(features).argmax(axis=1)


def test_marginal_sets_of_one_photograph_per_lesion_are_mapies(draw):
    validation, test = draw(400, split="validation"), draw(300)
    first = np.unique(validation.lesion_ids, return_index=True)[1]
    p, labels = softmax(validation.logits)[first], validation.labels[first]
    sets = fit_sets(p, labels, validation.lesion_ids[first], CODES, COVERAGE, "lac", "marginal")
    theirs = SplitConformalClassifier(Fixed(), confidence_level=COVERAGE, conformity_score="lac", prefit=True)
    theirs.conformalize(p, labels)
    _, expected = theirs.predict_set(softmax(test.logits))
    np.testing.assert_array_equal(sets.sets(softmax(test.logits)), expected[:, :, 0])


def test_the_quantile_by_hand():
    scores = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    lesions = np.array(list("abcdefghi"))
    assert lesion_quantile(scores, lesions, 0.9) == 0.9  # the ninth of nine: 0.9 (9 + 1) = 9
    assert lesion_quantile(scores[:8], lesions[:8], 0.9) == np.inf
    assert lesion_quantile(scores[:0], lesions[:0], 0.9) == np.inf


def test_a_lesion_counts_once_however_often_it_was_photographed():
    scores = np.array([0.1, 0.1, 0.1, 0.1, 0.5, 0.9])  # four photographs of one lesion, one of two others
    lesions = np.array(["a", "a", "a", "a", "b", "c"])
    assert lesion_quantile(scores, lesions, 0.5) == 0.5  # 0.5 (3 + 1) = 2: lesion a has weight 1, b brings it to 2
    assert lesion_quantile(scores, np.arange(6).astype(str), 0.5) == 0.1  # as images, 4 of 7 would be enough


def test_aps_scores_by_hand():
    np.testing.assert_allclose(aps_scores(np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])), [[0, 0.5, 0.8], [0.9, 0.7, 0]])


@pytest.fixture(scope="module")
def pool():
    """Lesions to split again and again: probabilities, labels and lesions."""
    from tests.assessment.decisions.conftest import draw_cases

    logits, labels, lesions = draw_cases(np.random.default_rng(11), 1400, np.array(EVEN))
    return softmax(logits), labels, lesions


def resampled(pool, seed):
    """Half of the lesions, and one photograph of one other lesion."""
    _, _, lesions = pool
    random = np.random.default_rng(seed)
    order = random.permutation(lesions.max() + 1)
    inside = np.isin(lesions, order[: len(order) // 2])
    new = random.choice(np.flatnonzero(lesions == order[-1]))
    return inside, new


@pytest.mark.slow
@pytest.mark.parametrize(("score", "group"), KINDS)
def test_a_new_lesion_is_covered_in_as_many_resampled_splits_as_promised(pool, score, group):
    p, labels, lesions = pool
    covered = 0
    for seed in range(SPLITS):
        inside, new = resampled(pool, seed)
        sets = fit_sets(p[inside], labels[inside], lesions[inside], CODES, COVERAGE, score, group)
        covered += sets.sets(p[[new]])[0, labels[new]]
    low, high = binom.ppf([0.005, 0.995], SPLITS, COVERAGE)
    assert low <= covered
    if score == "lac":  # APS without randomisation has ties at 0, so it may cover more
        assert covered <= high


@pytest.mark.parametrize("score", ["lac", "aps"])
def test_class_sets_cover_each_diagnosis_where_marginal_ones_do_not(draw, score):
    shares = [300, 300, 600, 300, 500, 5000, 300]
    validation, test = draw(12000, split="validation", shares=shares), draw(12000, shares=shares)
    p, q = softmax(validation.logits), softmax(test.logits)
    found = {}
    for group in ("marginal", "class"):
        sets = fit_sets(p, validation.labels, validation.lesion_ids, CODES, COVERAGE, score, group)
        found[group] = evaluate_sets(sets, q, test.labels, test.lesion_ids)
    lows = {group: min(row["coverage"]["value"] for row in each["per_class"].values()) for group, each in found.items()}
    assert lows["marginal"] < 0.8
    assert lows["class"] > 0.85
    assert all(each["coverage"]["value"] > COVERAGE - 0.015 for each in found.values())  # both splits vary by 0.003


def test_a_diagnosis_with_too_few_lesions_is_in_every_set(draw):
    validation = draw(300, split="validation")
    sets = fit_sets(softmax(validation.logits), validation.labels, validation.lesion_ids, CODES, 0.95, "lac", "class")
    assert sets.n_lesions[CODES.index("df")] < 19
    assert "df" in sets.unlimited
    assert sets.sets(softmax(draw(50).logits))[:, CODES.index("df")].all()


def test_an_absent_diagnosis_is_in_every_set(draw):
    validation = draw(300, split="validation", shares=[1, 1, 1, 0, 1, 1, 1])
    sets = fit_sets(softmax(validation.logits), validation.labels, validation.lesion_ids, CODES, 0.9, "aps", "class")
    assert sets.unlimited == ("df",)


def test_json_and_back(draw):
    validation = draw(300, split="validation")
    for score, group in KINDS:
        sets = fit_sets(softmax(validation.logits), validation.labels, validation.lesion_ids, CODES, 0.95, score, group)
        assert ConformalSets.from_json(json.loads(json.dumps(sets.to_json(), allow_nan=False))) == sets


def test_other_diagnoses_are_refused(draw):
    sets = ConformalSets("lac", "marginal", 0.9, ("a", "b"), (0.5, 0.5), (10, 10))
    with pytest.raises(DataError, match=r"these sets need \(N, 2\): a b"):
        sets.sets(np.full((3, 7), 1 / 7))


@pytest.mark.parametrize("score", ["lac", "aps"])
def test_the_order_of_images_does_not_matter(draw, score):
    split = draw(200, split="validation")
    p, order = softmax(split.logits), np.random.default_rng(0).permutation(len(split))
    first = fit_sets(p, split.labels, split.lesion_ids, CODES, 0.9, score, "class")
    second = fit_sets(p[order], split.labels[order], split.lesion_ids[order], CODES, 0.9, score, "class")
    np.testing.assert_allclose(first.thresholds, second.thresholds)
