import importlib.util

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from lesionlens.bundle.engines import Limits, load_engine
from lesionlens.bundle.selftest import run_batches
from lesionlens.compression import quantize
from lesionlens.compression.quantize import (
    AccuracyGoal,
    check_installed,
    dynamic_int8,
    first_convolutions,
    head_nodes,
    packed_tensors,
    static_int8,
    zero_weights,
)
from lesionlens.core.errors import ModelError, RecipeError

pytestmark = pytest.mark.slow

SIZE = 64


@pytest.fixture(scope="module")
def images(parent):
    rows = parent.inputs.store.rows(parent.inputs.split.ids["train"][:12])
    return np.ascontiguousarray(parent.inputs.store.images[rows][:, 4:68, 4:68])


@pytest.fixture(scope="module")
def int8(small_bundle, images, tmp_path_factory):
    path = tmp_path_factory.mktemp("int8") / "model.int8.onnx"
    static_int8(small_bundle / "model.onnx", images, path)
    return path


@pytest.mark.slow
def test_one_file_says_the_same_on_both_runtimes_and_nearly_what_fp32_says(small_bundle, int8, images):
    found = {
        name: run_batches(load_engine(name, int8, SIZE, "fp32", Limits()), images, 1) for name in ("openvino", "onnxruntime")
    }
    fp32 = run_batches(load_engine("onnxruntime", small_bundle / "model.onnx", SIZE, "fp32", Limits()), images, 1)
    one, other = found["openvino"].probabilities, found["onnxruntime"].probabilities
    assert np.abs(one - other).max() < 0.02  # roundings of one step in the last place of 8 bits, summed
    assert 0 < np.abs(other - fp32.probabilities).max() < 0.1


def test_first_convolutions_and_head_keep_their_float_weights(small_bundle, int8):
    whole, small = onnx.load(small_bundle / "model.onnx"), onnx.load(int8)
    stored = {each.name: each for each in small.graph.initializer}
    kept = {*first_convolutions(whole), *head_nodes(whole)}
    inputs = {name for node in whole.graph.node if node.name in kept for name in node.input}
    weights = [each.name for each in whole.graph.initializer if each.name in inputs and len(each.dims) > 1]
    assert len(weights) >= 4
    assert {stored[name].data_type for name in weights} == {TensorProto.FLOAT}
    assert any(each.data_type == TensorProto.INT8 and len(each.dims) == 4 for each in stored.values())


def test_nothing_is_stored_that_a_loader_works_out_by_itself(int8):
    model = onnx.load(int8)
    assert not model.graph.value_info
    assert not model.metadata_props
    used = {name for node in model.graph.node for name in node.input}
    assert {each.name for each in model.graph.initializer} <= used
    onnx.checker.check_model(model)


def test_zeros_are_those_of_the_int8_weights(int8):
    weights = [
        numpy_helper.to_array(each)
        for each in onnx.load(int8).graph.initializer
        if each.data_type == TensorProto.INT8 and len(each.dims) > 1
    ]
    assert zero_weights(int8) == sum(np.count_nonzero(weight == 0) for weight in weights) > 0


@pytest.mark.slow
def test_the_same_images_give_the_same_file(small_bundle, int8, images, tmp_path):
    static_int8(small_bundle / "model.onnx", images, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == int8.read_bytes()


@pytest.mark.slow
def test_the_accuracy_aware_mode_gives_layers_back_until_the_metric_is_good(
    small_bundle, int8, images, tmp_path, capfd, monkeypatch
):
    seen = []

    def bad_once(labels, predicted, n_classes):
        if len(labels) < 4:
            return 0.0  # a question about single images
        assert labels.tolist() == [3, 1, 0, 2]
        seen.append(predicted)
        return 0.5 if len(seen) == 2 else 1.0  # the float graph first, then int8, then what has layers back

    monkeypatch.setattr(quantize, "balanced_accuracy", bad_once)
    goal = AccuracyGoal([image[None] for image in images[:4]], np.array([3, 1, 0, 2]), drop=0.06)
    static_int8(small_bundle / "model.onnx", images, tmp_path / "aware.onnx", goal)
    assert len(seen) > 2
    assert capfd.readouterr().out == "", "results alone stand on stdout"
    assert _int8_weights(int8) - 3 <= _int8_weights(tmp_path / "aware.onnx") < _int8_weights(int8), "one group is back"


def _int8_weights(path):
    return sum(each.data_type == TensorProto.INT8 and len(each.dims) > 1 for each in onnx.load(path).graph.initializer)


def test_no_images_no_nncf_no_sense(small_bundle, tmp_path, monkeypatch):
    with pytest.raises(RecipeError, match="no training images to calibrate"):
        static_int8(small_bundle / "model.onnx", np.zeros((0, SIZE, SIZE, 3), np.uint8), tmp_path / "x.onnx")
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "nncf" else find(name))
    with pytest.raises(ModelError, match=r"nncf is not installed.*pip install 'lesionlens\[compress\]'"):
        check_installed()
    assert not (tmp_path / "x.onnx").exists()


def test_head_and_first_convolutions_of_a_graph_by_hand():
    nodes = [
        helper.make_node("Conv", ["images", "w0"], ["a"], name="stem"),
        helper.make_node("Conv", ["a", "w1"], ["b"], name="second"),
        helper.make_node("GlobalAveragePool", ["b"], ["features"], name="pool"),
        helper.make_node("Gemm", ["features", "w2"], ["logits"], name="classifier"),
        helper.make_node("MatMul", ["w2", "b"], ["maps"], name="cam"),
    ]
    model = helper.make_model(helper.make_graph(nodes, "g", [], []))
    assert head_nodes(model) == ["classifier", "cam"]
    assert first_convolutions(model, 1) == ["stem"]
    assert first_convolutions(model, 5) == ["stem", "second"]


def test_dynamic_int8_packs_every_linear_layer_and_only_those():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 2, bias=False))
    made = dynamic_int8(network)
    tensors = packed_tensors(made)
    assert {name: str(value.dtype) for name, value in tensors.items() if name.endswith(".weight")} == {
        "0.weight": "torch.float32",
        "2.weight": "torch.int8",
        "4.weight": "torch.int8",
    }
    assert "2.bias" in tensors
    assert "4.bias" not in tensors
    back = tensors["2.weight"].float() * tensors["2.weight.scale"]
    assert (back - network[2].weight).abs().max() <= tensors["2.weight.scale"] / 2 + 1e-6
    assert isinstance(network[2], nn.Linear), "the network itself stays in float"
    image = torch.randn(1, 3, 2, 2)
    assert (made(image) - network(image)).abs().max() < 0.05
