"""Zero points moved into biases: the same results, and nothing else is touched."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from lesionlens.compression.zero_points import move_zero_points

CHANNELS, SIDE = 5, 6


def write(path, pads=(0, 0, 0, 0), kernel=1, bias=True, by_filter=True, filter_zero=None, extra=(), signed=True):
    """A graph x -> Q -> DQ -> Conv -> y, with `extra` nodes behind."""
    random = np.random.default_rng(1)
    kind = np.int8 if signed else np.uint8
    zero = np.array(-37 if signed else 91, kind)
    filters = random.integers(-127, 128, (3, CHANNELS, kernel, kernel)).astype(np.int8)
    scales = random.uniform(0.01, 0.02, 3).astype(np.float32) if by_filter else np.array(0.02, np.float32)
    stored = {
        "s": np.array(0.03, np.float32),
        "z": zero,
        "f": filters,
        "fs": scales,
        "b": random.normal(0, 1, 3).astype(np.float32),
    }
    filter_inputs = ["f", "fs"]
    if filter_zero is not None:
        stored["fz"] = np.full(scales.shape, filter_zero, np.int8)
        filter_inputs.append("fz")
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", filter_inputs, ["w"], axis=0),
        helper.make_node("Conv", ["d", "w", *(["b"] if bias else [])], ["y"], pads=list(pads)),
        *extra,
    ]
    outputs = ["y", *(node.output[0] for node in extra)]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, CHANNELS, SIDE, SIDE])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", "k", "h", "w"]) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def computed(path):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # each node as it is written
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).normal(0, 2, (2, CHANNELS, SIDE, SIDE)).astype(np.float32)  # some of it is out of range
    return session.run(None, {"x": x})


CASES = [{}, {"bias": False}, {"by_filter": False}, {"kernel": 2}, {"filter_zero": 0}, {"signed": False}]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_zero_point_becomes_part_of_the_bias(tmp_path, case):
    before, after = write(tmp_path / "before.onnx", **case), tmp_path / "after.onnx"
    assert move_zero_points(before, after) == 1
    model = onnx.load(after)
    onnx.checker.check_model(model, full_check=True)
    stored = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    quantize, dequantize = model.graph.node[:2]
    assert (stored[quantize.input[2]].dtype, int(stored[quantize.input[2]])) == (np.uint8, 91)
    assert len(dequantize.input) == 2
    assert {"z", "b"} & stored.keys() == set()  # what nothing reads is gone
    np.testing.assert_allclose(computed(after)[0], computed(before)[0], atol=2e-5)


READERS = (helper.make_node("Neg", ["d"], ["other"]),)
QUANTIZED_READERS = (helper.make_node("DequantizeLinear", ["q", "s", "z"], ["other"]),)
LEFT = [{"pads": (1, 1, 1, 1)}, {"filter_zero": 3}, {"extra": READERS}, {"extra": QUANTIZED_READERS}]


@pytest.mark.parametrize("case", LEFT, ids=["padded", "filters with a zero point", "read twice", "8 bits read twice"])
def test_what_would_change_stays(tmp_path, case):
    path = write(tmp_path / "graph.onnx", **case)
    before = onnx.load(path).graph.node
    results = computed(path)
    assert move_zero_points(path, path) == 0
    assert [node.SerializeToString() for node in onnx.load(path).graph.node] == [node.SerializeToString() for node in before]
    for one, other in zip(computed(path), results, strict=True):
        np.testing.assert_array_equal(one, other)
