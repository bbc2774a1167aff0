from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlens.compression import evaluation
from lesionlens.compression.runnable_variant import PYTORCH, RunnableVariant
from lesionlens.core.errors import RecipeError
from lesionlens.evaluation.calibration import softmax
from lesionlens.evaluation.compare import compare
from lesionlens.evaluation.predictions import read_predictions


@pytest.fixture(scope="module")
def images(parent):
    dataset = parent.inputs
    return evaluation.SplitImages("test", dataset.ids("test"), dataset, parent.info.spec)


@pytest.fixture(scope="module")
def predictions(parent, small_bundle, images):
    runnables = {
        "torch": RunnableVariant("fp32", PYTORCH, parent.checkpoint, 64),
        "openvino": RunnableVariant("fp32", "openvino", small_bundle / "model.onnx", 64),
        "dynamic": RunnableVariant("dynamic-int8", PYTORCH, parent.checkpoint, 64, dynamic=True),
    }
    return {name: evaluation.predict(runnable, images, batch_size=16) for name, runnable in runnables.items()}


def test_predictions_equal_those_of_evaluate(small_run, predictions):
    wanted = read_predictions(small_run / "predictions.npz")
    found = predictions["torch"]
    assert found.image_ids.tolist() == wanted.image_ids.tolist()
    assert found.lesion_ids.tolist() == wanted.lesion_ids.tolist()
    np.testing.assert_allclose(found.probabilities, softmax(wanted.logits), atol=1e-5)  # float32, another batch


def test_graph_and_torch_apply_the_same_temperature(parent, small_bundle, images, predictions):
    from lesionlens.bundle.bundle import read_bundle

    value = read_bundle(small_bundle).facts["temperature"]["value"]
    runnable = RunnableVariant("fp32", PYTORCH, parent.checkpoint, 64, temperature=value)
    np.testing.assert_allclose(
        evaluation.predict(runnable, images).probabilities, predictions["openvino"].probabilities, atol=1e-4
    )


def test_metrics_are_those_of_compare(predictions):
    found = evaluation.metrics(predictions["dynamic"], predictions["torch"], 100, 0.95)
    wanted = compare(predictions["dynamic"], predictions["torch"], 100, 0.95)["metrics"]
    assert set(found) == {"accuracy", "balanced_accuracy", "macro_f1", "macro_auc", "ece"}
    for name, metric in found.items():
        assert metric["value"] == pytest.approx(wanted[name]["first"])
        assert [metric[f"difference{end}"] for end in ("", "_low", "_high")] == [
            wanted[name][key] for key in ("difference", "low", "high")
        ]
        assert metric["low"] <= metric["value"] <= metric["high"] or name == "ece"


def test_agreement_by_hand(predictions):
    one = predictions["torch"].take(np.arange(2))
    logs = [np.log(np.array([0.5, 0.3, 0.04, 0.04, 0.04, 0.04, 0.04])), np.log(np.array([0.1, 0.1, 0.6, 0.05, 0.05, 0.05, 0.05]))]
    other = replace(one, logits=np.array(logs, np.float32))
    shifted = np.roll(np.array(logs[0]), 1)
    third = replace(one, logits=np.array([shifted, logs[1]], np.float32))
    found = evaluation.agreement(third, other)
    assert found["same_first"] == 0.5
    assert found["largest_difference"] == pytest.approx(0.46)  # 0.5 against 0.04
    assert found["mean_difference"] == pytest.approx((0.46 + 0.2 + 0.26) / 14)


def test_maps_agree_with_themselves(small_bundle, images):
    runnable = RunnableVariant("fp32", "onnxruntime", small_bundle / "model.onnx", 64)
    found = evaluation.map_agreement(runnable, runnable, images, count=5)
    assert found["n_images"] == 5
    assert found["same_place"] == 1.0
    assert found["first"]["median"] in (None, pytest.approx(1.0))


def test_correlation_by_hand():
    one = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert evaluation.correlation(one, np.array([[2.0, 4.0], [6.0, 8.0]])) == pytest.approx(1)
    assert evaluation.correlation(one, one[::-1, ::-1]) == pytest.approx(-1)
    assert evaluation.correlation(one, np.array([[1.0, 3.0], [2.0, 4.0]])) == pytest.approx(0.8)
    assert np.isnan(evaluation.correlation(one, np.ones((2, 2))))


@given(st.integers(1, 60))
def test_images_are_spread_over_the_whole_split(images, count):
    chosen = images.spread(count)
    assert len(chosen) == min(count, len(images))
    assert chosen[0] == images.ids[0]
    assert count == 1 or chosen[-1] == images.ids[-1]


def test_split_images_are_a_sequence_of_single_images(images):
    assert images[0].shape == (1, 64, 64, 3)
    np.testing.assert_array_equal(np.concatenate(images[:3]), images.pixels(images.ids[:3]))
    assert sum(1 for _ in images) == len(images)


def test_an_empty_split_is_an_error(images):
    empty = replace(images.dataset.split, ids={**images.dataset.split.ids, "train": ()})
    with pytest.raises(RecipeError, match=r"train split of this 'lesion' data set holds no images"):
        replace(images.dataset, split=empty).ids("train")
