"""Differences from the first row: parity with `compare` for one seed, by hand and by simulation for several."""

import math

import numpy as np
import pytest
from scipy import stats

from lesionlens.core.errors import DataError
from lesionlens.core.labels import HAM10000
from lesionlens.core.recipe import EvaluationRecipe
from lesionlens.evaluation.compare import compare
from lesionlens.evaluation.metric_intervals import metric_intervals
from lesionlens.evaluation.multiplicity import Hypotheses, holm
from lesionlens.evaluation.predictions import Origin, Predictions
from lesionlens.evaluation.weighted_metrics import WeightedMetrics
from lesionlens.experiments.comparison import adjusted, estimates, interval_of_mean, row_differences

RECIPE = EvaluationRecipe(resamples=100)
HYPOTHESES = Hypotheses(family=("accuracy", "macro_f1"))


def predictions(seed: int, skill: float = 2.0, images: range = range(210)) -> Predictions:
    random = np.random.default_rng([seed, images.start])
    n = len(images)
    labels = np.arange(n) % 7
    logits = random.normal(size=(n, 7)) + skill * np.eye(7)[labels]
    texts = {name: np.array([""] * n) for name in ("sex", "site")}
    return Predictions(
        image_ids=np.array([f"image_{i:04d}" for i in images]),
        lesion_ids=np.array([f"lesion_{i // 2:04d}" for i in images]),
        labels=labels,
        logits=logits.astype(np.float32),
        label_set=HAM10000,
        age=np.full(n, np.nan, np.float32),
        origin=Origin("row", seed, "lesion", False, 0.0, "test"),
        **texts,
    )


def test_one_run_has_the_intervals_of_its_scores():
    run = predictions(0)
    found = estimates([run], RECIPE)
    expected = metric_intervals(WeightedMetrics.of(run.logits, run.labels), run.lesion_ids, 100)["accuracy"][0]
    assert (found["accuracy"]["value"], found["accuracy"]["low"]) == (expected.value, expected.low)
    assert found["accuracy"]["training_sd"] is None
    assert "ece" not in found


def test_one_seed_is_compared_as_two_files_are():
    first, row = predictions(0), predictions(1, skill=1.5)
    found = row_differences({0: row}, {0: first, 1: first}, HYPOTHESES, RECIPE)
    expected = compare(row, first, 100, 0.95)["metrics"]
    for name in ("accuracy", "macro_auc"):
        assert [found[name][key] for key in ("difference", "low", "high", "p")] == [
            expected[name][key] for key in ("difference", "low", "high", "p")
        ]
    assert found["accuracy"]["seeds"] == [0]


def test_several_seeds_by_hand():
    """Sampling variance: mean of the squared halves over 1.96; plus the variance between seeds over their number."""
    first = {seed: predictions(seed) for seed in (0, 1, 2)}
    row = {seed: predictions(10 + seed, skill=1.2) for seed in (0, 1, 2)}
    found = row_differences(row, first, HYPOTHESES, RECIPE)["balanced_accuracy"]
    pairs = [compare(row[seed], first[seed], 100, 0.95)["metrics"]["balanced_accuracy"] for seed in (0, 1, 2)]
    values = [pair["difference"] for pair in pairs]
    sampling = np.mean([((pair["high"] - pair["low"]) / 2 / 1.959964) ** 2 for pair in pairs])
    added = np.var(values, ddof=1) / 3
    freedom = 2 * ((sampling + added) / added) ** 2
    error = math.sqrt(sampling + added)
    assert found["difference"] == pytest.approx(np.mean(values))
    assert found["low"] == pytest.approx(np.mean(values) - stats.t.ppf(0.975, freedom) * error, rel=1e-5)
    assert found["p"] == pytest.approx(2 * stats.t.sf(abs(np.mean(values)) / error, freedom), rel=1e-4)
    assert found["training_sd"] == pytest.approx(np.std(values, ddof=1))


def test_p_agrees_with_the_interval():
    for mean in (0.01, 0.03, 0.05, -0.05):
        half, p = interval_of_mean(mean, 0.0002, 0.0003, 3, 0.95)
        assert (p < 0.05) == (abs(mean) > half)
    assert interval_of_mean(0.0, 0.0, 0.0, 3, 0.95) == (0.0, 1.0)
    assert interval_of_mean(0.1, 0.0, 0.0, 3, 0.95) == (0.0, 0.0)
    half, p = interval_of_mean(1.959964, 1.0, 0.0, 2, 0.95)
    assert (half, p) == (pytest.approx(1.959964), pytest.approx(0.05, abs=1e-6))


def test_without_a_true_difference_one_test_in_twenty_is_below_a_twentieth():
    """Seeds that differ by training alone on shared lesions, 4,000 simulated experiments of 3 seeds."""
    random = np.random.default_rng(0)
    shared = random.normal(scale=0.01, size=4000)  # of the sampled lesions, the same for all seeds
    of_seeds = random.normal(scale=0.02, size=(4000, 3))
    values = shared[:, None] + of_seeds
    p_values = [interval_of_mean(row.mean(), 0.01**2, row.var(ddof=1), 3, 0.95)[1] for row in values]
    assert 0.02 < np.mean(np.array(p_values) < 0.05) < 0.065


def test_a_metric_without_interval_has_a_reason():
    images = range(21)
    found = row_differences({0: predictions(1, images=images)}, {0: predictions(0, images=images)}, HYPOTHESES, RECIPE)
    assert found["accuracy"]["p"] is None
    assert "an interval needs 20" in found["accuracy"]["reason"]


def test_folds_are_joined_before_they_are_compared():
    folds = [predictions(0, images=range(0, 140)), predictions(0, images=range(140, 210))]
    found = estimates(folds, RECIPE)
    assert len(found["accuracy"]["values"]) == 1


def test_rows_on_other_images_cannot_be_compared():
    with pytest.raises(DataError, match="in one file only"):
        row_differences({0: predictions(0, images=range(10, 220))}, {0: predictions(0)}, HYPOTHESES, RECIPE)


def test_holm_is_over_the_rows_and_over_rows_and_family():
    rows = [
        {name: {"p": p + extra} for name, extra in (("balanced_accuracy", 0), ("accuracy", 0.01), ("macro_f1", 0.02))}
        for p in (0.01, 0.04)
    ]
    rows.append({})
    found = adjusted(rows, HYPOTHESES)
    primary = [0.01, 0.04, None]
    family = [0.02, 0.03, 0.05, 0.06, None, None]
    assert [row["balanced_accuracy"] for row in found] == holm(primary) == [0.03, 0.08, None]
    assert [row[name] for row in found for name in ("accuracy", "macro_f1")] == holm(family)


def test_order_of_images_does_not_matter():
    first, row = predictions(0), predictions(1)
    turned = row.take(np.arange(len(row))[::-1])
    one, other = (row_differences({0: each}, {0: first}, HYPOTHESES, RECIPE) for each in (row, turned))
    assert one["accuracy"]["low"] == pytest.approx(other["accuracy"]["low"])
