from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlens.compression import evaluation
from lesionlens.compression.runnable_variant import PYTORCH, Form
from lesionlens.core.errors import RecipeError
from lesionlens.evaluation.calibration import softmax
from lesionlens.evaluation.compare import compare
from lesionlens.evaluation.predictions import read_predictions


@pytest.fixture(scope="module")
def part(parent):
    dataset = parent.inputs
    return evaluation.SplitImages.of("test", dataset, parent.info.spec)


@pytest.fixture(scope="module")
def answers(parent, small_bundle, part):
    forms = {
        "torch": Form("fp32", PYTORCH, parent.checkpoint, 64),
        "openvino": Form("fp32", "openvino", small_bundle / "model.onnx", 64),
        "dynamic": Form("dynamic-int8", PYTORCH, parent.checkpoint, 64, dynamic=True),
    }
    return {name: evaluation.predict(form, part, batch_size=16) for name, form in forms.items()}


def test_a_form_says_what_evaluate_says(small_run, answers):
    wanted = read_predictions(small_run / "predictions.npz")
    found = answers["torch"]
    assert found.image_ids.tolist() == wanted.image_ids.tolist()
    assert found.lesion_ids.tolist() == wanted.lesion_ids.tolist()
    np.testing.assert_allclose(found.probabilities, softmax(wanted.logits), atol=1e-5)  # float32, another batch


def test_the_graph_holds_the_temperature_and_torch_is_told(parent, small_bundle, part, answers):
    from lesionlens.bundle.bundle import read_bundle

    value = read_bundle(small_bundle).facts["temperature"]["value"]
    form = Form("fp32", PYTORCH, parent.checkpoint, 64, temperature=value)
    np.testing.assert_allclose(evaluation.predict(form, part).probabilities, answers["openvino"].probabilities, atol=1e-4)


def test_metrics_are_those_of_compare(answers):
    found = evaluation.metrics(answers["dynamic"], answers["torch"], 100, 0.95)
    wanted = compare(answers["dynamic"], answers["torch"], 100, 0.95)["metrics"]
    assert set(found) == {"accuracy", "balanced_accuracy", "macro_f1", "macro_auc", "ece"}
    for name, metric in found.items():
        assert metric["value"] == pytest.approx(wanted[name]["first"])
        assert [metric[f"difference{end}"] for end in ("", "_low", "_high")] == [
            wanted[name][key] for key in ("difference", "low", "high")
        ]
        assert metric["low"] <= metric["value"] <= metric["high"] or name == "ece"


def test_agreement_by_hand(answers):
    one = answers["torch"].take(np.arange(2))
    logs = [np.log(np.array([0.5, 0.3, 0.04, 0.04, 0.04, 0.04, 0.04])), np.log(np.array([0.1, 0.1, 0.6, 0.05, 0.05, 0.05, 0.05]))]
    other = replace(one, logits=np.array(logs, np.float32))
    shifted = np.roll(np.array(logs[0]), 1)
    third = replace(one, logits=np.array([shifted, logs[1]], np.float32))
    found = evaluation.agreement(third, other)
    assert found["same_first"] == 0.5
    assert found["largest_difference"] == pytest.approx(0.46)  # 0.5 against 0.04
    assert found["mean_difference"] == pytest.approx((0.46 + 0.2 + 0.26) / 14)


def test_maps_agree_with_themselves(small_bundle, part):
    form = Form("fp32", "onnxruntime", small_bundle / "model.onnx", 64)
    found = evaluation.map_agreement(form, form, part, count=5)
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
def test_images_are_spread_over_the_whole_part(part, count):
    chosen = part.spread(count)
    assert len(chosen) == min(count, len(part))
    assert chosen[0] == part.ids[0]
    assert count == 1 or chosen[-1] == part.ids[-1]


def test_a_part_is_a_sequence_of_single_images(part):
    assert part[0].shape == (1, 64, 64, 3)
    np.testing.assert_array_equal(np.concatenate(part[:3]), part.pixels(part.ids[:3]))
    assert sum(1 for _ in part) == len(part)


def test_an_empty_part_is_an_error(part):
    empty = replace(part.dataset.split, ids={**part.dataset.split.ids, "train": ()})
    with pytest.raises(RecipeError, match=r"training split of this 'lesion' split holds no images"):
        evaluation.SplitImages.of("train", replace(part.dataset, split=empty), part.spec)
