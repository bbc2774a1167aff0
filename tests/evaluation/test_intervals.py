import time

import numpy as np
import pytest

from lesionlens.core.errors import DataError
from lesionlens.evaluation import intervals
from lesionlens.evaluation.intervals import (
    Interval,
    bootstrap_t,
    bounds,
    intervals_of,
    lesion_bootstrap,
    lesion_weights,
    resample_metrics,
)
from lesionlens.evaluation.proportions import Lesions
from lesionlens.evaluation.weighted_metrics import WeightedMetrics


def test_images_of_one_lesion_are_drawn_together():
    lesions = np.array(["b", "a", "b", "c", "a", "b"])
    (weights,) = lesion_weights(lesions, 50, seed=1, chunk_rows=50)
    for lesion in "abc":
        own = weights[:, lesions == lesion]
        assert (own == own[:, :1]).all()
    first_of_each = weights[:, [1, 0, 3]]
    assert (first_of_each.sum(1) == 3).all()  # as many lesions are drawn as there are
    assert len(np.unique(first_of_each, axis=0)) > 5


def test_draws_depend_on_the_seed_alone():
    lesions = np.array([f"lesion {i % 17}" for i in range(40)])
    (whole,) = lesion_weights(lesions, 30, seed=1, chunk_rows=30)
    pieces = np.concatenate(list(lesion_weights(lesions, 30, seed=1, chunk_rows=7)))
    assert whole.shape == (30, 40)
    np.testing.assert_array_equal(pieces, whole)
    order = np.random.default_rng(0).permutation(40)
    (shuffled,) = lesion_weights(lesions[order], 30, seed=1, chunk_rows=30)
    np.testing.assert_array_equal(shuffled, whole[:, order])
    (other,) = lesion_weights(lesions, 30, seed=2, chunk_rows=30)
    assert (other != whole).any()


def test_intervals_repeat_from_the_seed_whatever_the_chunks(draw, monkeypatch):
    predictions = draw(150)
    cases = WeightedMetrics.of(predictions.logits, predictions.labels)
    first = lesion_bootstrap(cases, predictions.lesion_ids, resamples=200, seed=5)
    monkeypatch.setattr(intervals, "CHUNK_ELEMENTS", 1000)
    assert lesion_bootstrap(cases, predictions.lesion_ids, resamples=200, seed=5) == first
    assert lesion_bootstrap(cases, predictions.lesion_ids, resamples=200, seed=6) != first


def test_by_default_two_thousand_resamples_of_seed_0_at_95_per_cent(draw):
    predictions = draw(30)
    cases, lesion_ids = WeightedMetrics.of(predictions.logits, predictions.labels), predictions.lesion_ids
    (drawn,) = resample_metrics([cases], lesion_ids)
    (stated,) = resample_metrics([cases], lesion_ids, resamples=2000, seed=0)
    np.testing.assert_array_equal(drawn["nll"], stated["nll"])
    np.testing.assert_array_equal(bounds(drawn["nll"]), np.quantile(drawn["nll"], [0.025, 0.975]))
    found, stated = intervals_of(cases.metrics(), drawn), lesion_bootstrap(cases, lesion_ids, 2000, 0.95, 0)
    assert found["nll"] == stated["nll"] == lesion_bootstrap(cases, lesion_ids)["nll"]


def test_values_lie_within_their_intervals(draw):
    predictions = draw(300)
    found = lesion_bootstrap(WeightedMetrics.of(predictions.logits, predictions.labels), predictions.lesion_ids, resamples=300)
    for name in ("accuracy", "macro_recall", "macro_auc", "brier", "nll", "recall", "auc", "f1"):
        for interval in found[name]:
            assert interval.low <= interval.value <= interval.high, name
            assert interval.low < interval.high


def test_resample_without_a_class_leaves_it_out():
    labels = np.array([0] * 6 + [1] * 6 + [2])
    logits = 3.0 * np.eye(3)[[0] * 6 + [1] * 6 + [0]]  # the one case of class 2 is wrong
    (drawn,) = resample_metrics([WeightedMetrics.of(logits, labels)], np.arange(13).astype(str), resamples=200)
    without = np.isnan(drawn["recall"][:, 2])
    assert 0.2 < without.mean() < 0.5  # (12/13)^13 = 0.35
    assert (drawn["macro_recall"][without] == 1).all()
    assert np.allclose(drawn["macro_recall"][~without], 2 / 3)


def test_bounds_are_percentiles_of_what_is_defined():
    column = np.append(np.arange(101.0), np.nan)
    low, high = bounds(np.stack([column, np.full(102, np.nan)], axis=1), 0.9)
    np.testing.assert_allclose([low[0], high[0]], [5, 95])
    assert np.isnan([low[1], high[1]]).all()
    assert [float(bound) for bound in bounds(column, 0.5)] == [25, 75]


def test_one_lesion_has_no_interval():
    cases = WeightedMetrics.of(np.array([[1.0, 0.0], [2.0, 0.0]]), np.array([0, 1]))
    accuracy = lesion_bootstrap(cases, np.array(["a", "a"]), resamples=100)["accuracy"][0]
    assert accuracy.to_json() == {"value": 0.5, "low": None, "high": None}


def test_two_lesions_have_one():
    cases = WeightedMetrics.of(np.array([[1.0, 0.0], [2.0, 0.0]]), np.array([0, 1]))
    accuracy = lesion_bootstrap(cases, np.array(["a", "b"]), resamples=100)["accuracy"][0]
    assert accuracy == Interval(0.5, 0.0, 1.0)  # a quarter of the resamples holds one lesion twice, and so each of the two


def test_values_and_resamples_of_other_classes_do_not_go_together():
    with pytest.raises(ValueError, match="shorter"):
        intervals_of({"recall": np.ones((1, 3))}, {"recall": np.ones((10, 2))})


def test_undefined_is_null():
    assert Interval(np.nan, np.nan, np.nan).to_json() == {"value": None, "low": None, "high": None}


def test_lengths_must_agree(draw):
    predictions = draw(20)
    with pytest.raises(DataError, match="one for each image"):
        lesion_bootstrap(WeightedMetrics.of(predictions.logits, predictions.labels), predictions.lesion_ids[:-1])


@pytest.mark.slow
def test_coverage_on_simulated_lesions():
    """Lesions of four images, right together or wrong together: only drawing lesions covers the truth."""
    n_lesions, true_accuracy, trials = 80, 0.8, 150
    labels, lesions = np.zeros(4 * n_lesions, dtype=np.int64), np.repeat(np.arange(n_lesions), 4).astype(str)
    random, covered = np.random.default_rng(0), {"lesion": 0, "image": 0}
    for trial in range(trials):
        right = np.repeat(random.random(n_lesions) < true_accuracy, 4)
        cases = WeightedMetrics.of(np.where(right[:, None], [2.0, 0.0], [0.0, 2.0]), labels)
        for unit, ids in (("lesion", lesions), ("image", np.arange(len(labels)).astype(str))):
            interval = lesion_bootstrap(cases, ids, resamples=200, seed=trial)["accuracy"][0]
            covered[unit] += interval.low <= true_accuracy <= interval.high
    assert 0.89 <= covered["lesion"] / trials <= 0.99  # 0.95, less the known shortfall of percentiles, within 3 sigma
    assert covered["image"] / trials < 0.8


def test_two_thousand_resamples_of_a_thousand_cases_take_under_three_seconds(draw):
    predictions = draw(1000)
    start = time.process_time()
    found = lesion_bootstrap(WeightedMetrics.of(predictions.logits, predictions.labels), predictions.lesion_ids, resamples=2000)
    assert time.process_time() - start < 3  # measured: 0.1 s; see benchmarks/intervals.py
    assert found["macro_auc"][0].low < found["macro_auc"][0].high


def bootstrap_t_by_definition(values, lesion_ids, weights, confidence):
    """The studentised bootstrap on the log scale, one resample after the other."""
    members = [values[lesion_ids == lesion] for lesion in np.unique(lesion_ids)]

    def log_mean(each):
        images = sum(w * len(m) for w, m in zip(each, members, strict=True))
        mean = sum(w * m.sum() for w, m in zip(each, members, strict=True)) / images
        residuals = [m.sum() - mean * len(m) for m in members]
        error = np.sqrt(sum(w * r**2 for w, r in zip(each, residuals, strict=True))) / images
        return np.log(mean), error / mean

    centre, spread = log_mean(np.ones(len(members)))
    pairs = [log_mean(each) for each in weights]
    ratios = [(log - centre) / error for log, error in pairs if error > 1e-9]
    low, high = np.quantile(ratios, [(1 - confidence) / 2, (1 + confidence) / 2])
    return np.exp(centre - high * spread), np.exp(centre - low * spread)


@pytest.mark.parametrize(("n_lesions", "confidence"), [(3, 0.95), (30, 0.9)])
def test_studentised_bootstrap_by_definition(n_lesions, confidence):
    random = np.random.default_rng(n_lesions)
    lesion_ids = np.repeat(np.arange(n_lesions), random.integers(1, 4, n_lesions))
    values = random.exponential(size=len(lesion_ids))
    (weights,) = lesion_weights(np.arange(n_lesions), 300, 5, 300)
    expected = bootstrap_t_by_definition(values, lesion_ids, weights, confidence)
    assert bootstrap_t(values, Lesions.of(lesion_ids), 300, confidence, 5) == pytest.approx(expected, rel=1e-9)


def test_studentised_bootstrap_by_default():
    values, lesions = np.random.default_rng(0).exponential(size=40), Lesions.of(np.arange(40))
    given = bootstrap_t(values, lesions)
    assert given == bootstrap_t(values, lesions, 2000, 0.95, 0)
    others = [(2001, 0.95, 0), (2000, 0.9, 0), (2000, 0.95, 1)]
    assert all(given != bootstrap_t(values, lesions, *other) for other in others)


def test_studentised_bootstrap_in_chunks(monkeypatch):
    values, lesions = np.random.default_rng(0).exponential(size=40), Lesions.of(np.arange(40))
    whole = bootstrap_t(values, lesions, 50)
    monkeypatch.setattr(intervals, "CHUNK_ELEMENTS", 1)
    assert bootstrap_t(values, lesions, 50) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("values", [[0.3], [0.5, 0.5, 0.5], [0.0, 0.0, 0.0]])
def test_studentised_bootstrap_is_undefined_without_spread(values):
    assert np.isnan(bootstrap_t(np.array(values), Lesions.of(np.arange(len(values))), 50)).all()


def test_studentised_bootstrap_is_undefined_if_no_resample_has_a_value():
    values, lesions = np.array([1.0] + [0.0] * 29), Lesions.of(np.arange(30))
    given = [bootstrap_t(values, lesions, 1, seed=seed) for seed in range(12)]
    assert any(np.isnan(ends).all() for ends in given)  # the one image with a value is not drawn
    assert not all(np.isnan(ends).all() for ends in given)
