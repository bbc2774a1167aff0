import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionlens.core.labels import HAM10000
from lesionlens.evaluation.intervals import lesion_weights
from lesionlens.explanation.explanations import CONTROLS, CURVES, SOURCES, Explanations
from lesionlens.explanation.faithfulness import Summary, mean_intervals
from lesionlens.explanation.localisation import METRICS

N = 60


@pytest.fixture
def lesion_ids():
    return np.arange(N) // 2


@pytest.fixture
def labels():
    return np.arange(N) % 3


@pytest.fixture
def explanations(labels):
    random = np.random.default_rng(0)
    found = Explanations.blank(N, 7, (7, 2, 2), steps=2)
    found.logits[np.arange(N), labels] = 1.0
    found.logits[:10] = np.roll(found.logits[:10], 1, axis=1)  # ten are wrong
    found.classes[:] = np.arange(7)
    found.maps[:] = random.random(found.maps.shape)
    found.maps[3] = 0.0
    levels = {"predicted_class": 0.6, "true_class": 0.5, "random_weights": 0.2, "centre": 0.9, "other_image": 0.4}
    for source in SOURCES:
        for name in METRICS:
            found.metrics[source][name][:] = levels[source] + 0.02 * random.standard_normal(N)
    found.metrics["other_image"]["best_iou"][5] = np.nan
    found.mask_share[:] = 0.25
    found.curves["deletion"]["map"][:8] = [0.8, 0.2, 0.0]
    found.curves["deletion"]["random"][:8] = [0.8, 0.4, 0.0]
    found.curves["insertion"]["map"][:8] = [0.1, 0.9, 0.8]
    found.curves["insertion"]["random"][:8] = [0.1, 0.5, 0.8]
    return found


def test_intervals_are_quantiles_over_drawn_lesions(lesion_ids):
    values = np.random.default_rng(1).random(N)
    found = mean_intervals({"a": values}, lesion_ids, resamples=300)["a"]
    (weights,) = lesion_weights(lesion_ids, 300, 0, 300)
    drawn = weights @ values / weights.sum(1)
    assert found["value"] == pytest.approx(values.mean())
    assert (found["low"], found["high"]) == pytest.approx(tuple(np.quantile(drawn, (0.025, 0.975))))


def test_images_of_one_lesion_count_together():
    values = np.repeat(np.random.default_rng(1).random(20), 10)
    grouped = mean_intervals({"a": values}, np.repeat(np.arange(20), 10), 500)["a"]
    apart = mean_intervals({"a": values}, np.arange(200), 500)["a"]
    assert grouped["high"] - grouped["low"] > 2 * (apart["high"] - apart["low"])


def test_missing_values_are_left_out(lesion_ids):
    values = np.random.default_rng(1).random(N)
    holes = np.where(np.arange(N) % 4 == 0, np.nan, values)
    found = mean_intervals({"a": values, "b": holes}, lesion_ids, 200)
    assert found["b"]["value"] == pytest.approx(np.nanmean(holes))
    assert found["a"] == pytest.approx(mean_intervals({"a": values}, lesion_ids, 200)["a"])


def test_nothing_measured_and_one_lesion():
    assert mean_intervals({"a": np.full(4, np.nan)}, np.arange(4))["a"] == {"value": None, "low": None, "high": None}
    assert mean_intervals({"a": np.zeros(0)}, np.zeros(0))["a"] == {"value": None, "low": None, "high": None}
    assert mean_intervals({"a": np.array([0.5, 1.0])}, np.zeros(2))["a"] == {"value": 0.75, "low": None, "high": None}


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(12)))
def test_order_of_images_does_not_matter(order):
    values, lesions = np.linspace(0, 1, 12), np.arange(12) // 3
    order = np.array(order)
    first = mean_intervals({"a": values}, lesions, 100)["a"]
    second = mean_intervals({"a": values[order]}, lesions[order], 100)["a"]
    assert first == pytest.approx(second)


def test_summary_parts_the_images(explanations, labels, lesion_ids):
    found = Summary(explanations, labels, lesion_ids, 200).localisation(HAM10000)
    energy = explanations.metrics["predicted_class"]["energy_inside"]
    assert found["metrics"]["n"] == N
    assert found["metrics"]["energy_inside"]["value"] == pytest.approx(energy.mean())
    assert found["wrong"]["energy_inside"]["value"] == pytest.approx(energy[:10].mean())
    assert found["correct"]["n"] == N - 10
    assert found["per_class"]["bcc"]["n"] == 20
    assert found["per_class"]["bcc"]["energy_inside"]["value"] == pytest.approx(energy[1::3].mean())
    assert found["per_class"]["vasc"] == {
        "n": 0,
        **{name: {"value": None, "low": None, "high": None} for name in (*METRICS, "chance")},
    }
    assert found["metrics"]["chance"]["value"] == 0.25
    assert set(found["controls"]) == set(CONTROLS)
    json.dumps(found, allow_nan=False)


def test_differences_to_controls_are_paired(explanations, labels, lesion_ids):
    above = Summary(explanations, labels, lesion_ids, 200).improvement_over("random_weights")
    assert above["best_iou"]["value"] == pytest.approx(0.4, abs=0.02)
    assert 0.37 < above["best_iou"]["low"] < above["best_iou"]["high"] < 0.43
    chance = Summary(explanations, labels, lesion_ids, 200).improvement_over("chance")
    assert chance["pointing_game"]["value"] == pytest.approx(0.35, abs=0.02)


def test_curves_by_hand(explanations, labels, lesion_ids):
    found = Summary(explanations, labels, lesion_ids, 200).curves()
    assert (found["n"], found["steps"]) == (8, 2)
    assert found["deletion"]["area"]["value"] == pytest.approx(0.3)
    assert found["deletion"]["random_order_area"]["value"] == pytest.approx(0.4)
    assert found["deletion"]["gain"]["value"] == pytest.approx(0.1)
    assert found["insertion"]["gain"]["value"] == pytest.approx(0.2)
    assert found["insertion"]["curve"] == pytest.approx([0.1, 0.9, 0.8])
    assert set(found) == {"n", "steps", *CURVES}


def test_empty_maps_are_counted(explanations):
    assert explanations.empty_maps() == 1
    assert explanations.map_of(3, 2).tolist() == [[0, 0], [0, 0]]
    explanations.classes[4] = [0, 1, 2, 3, 4, 5, 5]
    assert explanations.map_of(4, 6) is None
