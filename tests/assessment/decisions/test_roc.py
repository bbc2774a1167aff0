"""Points and areas of ROC curves against scikit-learn."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score, roc_curve

from lesionlens.assessment.decisions.roc import (
    Resampled,
    RocCurves,
    partial_auc,
    partial_auc_above,
    sensitivity_at,
    specificity_at,
)


@pytest.fixture
def sample():
    random = np.random.default_rng(3)
    truth = random.random(300) < 0.2
    scores = np.round(np.where(truth, random.beta(4, 2, 300), random.beta(2, 4, 300)), 2)  # with ties
    return truth, scores


def of_curve(statistic, truth, scores, weights=None):
    return statistic(*RocCurves.of(truth, scores).rates(weights))


def isic_2024(truth, scores):
    """The organisers' code: scikit-learn's partial AUC of the flipped problem, scaled back."""
    most = 0.2
    scaled = roc_auc_score(~truth, -scores, max_fpr=most)
    return most**2 / 2 + (most - most**2 / 2) / 0.5 * (scaled - 0.5)


@pytest.mark.parametrize("least", [0.9, 0.8, 0.5])
def test_partial_auc_is_scikit_learns(sample, least):
    assert of_curve(partial_auc(least), *sample)[0] == pytest.approx(roc_auc_score(*sample, max_fpr=1 - least), abs=1e-12)


def test_partial_auc_above_is_isics(sample):
    assert of_curve(partial_auc_above(0.8), *sample)[0] == pytest.approx(isic_2024(*sample), abs=1e-12)


def test_weights_are_repeated_images(sample):
    truth, scores = sample
    counts = np.random.default_rng(0).integers(0, 3, len(truth))
    repeated = np.repeat(np.arange(len(truth)), counts)
    for statistic in (partial_auc(0.8), partial_auc_above(0.8), sensitivity_at(0.9), specificity_at(0.9)):
        weighted = of_curve(statistic, truth, scores, counts[None].astype(float))
        assert weighted[0] == pytest.approx(of_curve(statistic, truth[repeated], scores[repeated])[0], abs=1e-12)


@pytest.mark.parametrize("value", [0.5, 0.713, 0.9, 0.99])
def test_points_are_those_of_scikit_learns_curve(sample, value):
    false_positive, true_positive, _ = roc_curve(*sample, drop_intermediate=False)
    expected = true_positive[1 - false_positive >= value - 1e-9].max()
    assert of_curve(sensitivity_at(value), *sample)[0] == pytest.approx(expected)
    expected = (1 - false_positive)[true_positive >= value - 1e-9].max()
    assert of_curve(specificity_at(value), *sample)[0] == pytest.approx(expected)


def test_by_hand():
    truth, scores = np.array([True, False, True, False]), np.array([0.9, 0.8, 0.7, 0.1])
    assert of_curve(sensitivity_at(1 / 2), truth, scores)[0] == 1
    assert of_curve(sensitivity_at(1 - 1e-12), truth, scores)[0] == 0.5
    assert of_curve(specificity_at(0.5), truth, scores)[0] == 1
    assert of_curve(specificity_at(0.6), truth, scores)[0] == 0.5
    assert of_curve(partial_auc(0.5), truth, scores)[0] == pytest.approx((1 + (0.25 - 0.125) / (0.5 - 0.125)) / 2)


def test_a_resample_without_positives_is_undefined(sample):
    truth, scores = sample
    weights = (~truth).astype(float)[None]
    for statistic in (partial_auc(0.8), sensitivity_at(0.9), specificity_at(0.9)):
        assert np.isnan(of_curve(statistic, truth, scores, weights)[0])


def test_intervals_hold_their_value_and_depend_on_the_seed_alone(sample):
    truth, scores = sample
    lesions = np.arange(len(truth)) // 2
    curves, statistics = RocCurves.of(truth, scores), {"area": partial_auc(0.8), "point": sensitivity_at(0.8)}
    first, again = (curves.resampled(statistics, lesions, 200, 1) for _ in range(2))
    for name, resampled in first.items():
        interval = resampled.percentile_interval(0.95)
        assert interval == again[name].percentile_interval(0.95)
        assert interval.low < interval.value < interval.high


def test_the_logit_interval_by_hand():
    interval = Resampled(0.9, np.array([0.8, 0.9, 0.95])).logit_interval(28)
    deviation = np.std(np.log(np.array([0.8, 0.9, 0.95]) / np.array([0.2, 0.1, 0.05])), ddof=1)
    half = stats.t.ppf(0.975, 30) * deviation
    assert interval.low == pytest.approx(1 / (1 + np.exp(half) / 9))
    assert interval.high == pytest.approx(1 / (1 + np.exp(-half) / 9))
    scaled = Resampled(0.18, np.array([0.16, 0.18, 0.19])).logit_interval(28, 0.2)
    assert scaled.low == pytest.approx(0.2 * interval.low)


def test_resamples_that_are_alike_give_no_interval():
    assert Resampled(1.0, np.ones(50)).logit_interval(30).reason == "every resample gives the same"
    assert Resampled(np.nan, np.zeros(0)).logit_interval(30).reason


def test_an_area_of_nearly_1_stays_inside_its_interval():
    interval = Resampled(0.9999, np.linspace(0.9, 1, 50)).logit_interval(30)
    assert interval.low < interval.value <= interval.high <= 1
