"""Int8 weights that no processor saturates: pairs of products fit in 16 bits, and the weights hardly change."""

import numpy as np
import onnx
import pytest

from lesionlens.compression.pointwise import pointwise_int8
from lesionlens.compression.quantize import static_int8
from lesionlens.compression.saturation import LARGEST_PAIR, narrow, narrow_weights

SIZE = 64
BRIGHTEST, END_OF_16_BITS = 255, 2**15 - 1


def worst_pair(rows: np.ndarray) -> int:
    """The largest sum of two products in magnitude, over every pair of weights in a row and activations 0 or 255."""
    worst = 0
    for row in rows.astype(np.int64):
        for sign in (1, -1):
            worst = max(worst, BRIGHTEST * int(np.sort(np.maximum(sign * row, 0))[-2:].sum()))
    return worst


@pytest.mark.parametrize("seed", range(5))
def test_no_pair_ends_beyond_16_bits_and_a_weight_moves_by_less_than_a_step(seed):
    random = np.random.default_rng(seed)
    weights = np.clip(random.standard_t(3, (20, 33)) * 40, -127, 127).astype(np.int8)
    scales = random.uniform(0.01, 1, 20).astype(np.float32)
    assert worst_pair(weights) > END_OF_16_BITS
    narrowed, grown = narrow(weights, scales, 0)
    assert worst_pair(narrowed) <= END_OF_16_BITS
    moved = np.abs(narrowed * grown[:, None] - weights * scales[:, None])
    assert (moved <= 0.5001 * grown[:, None]).all()
    assert (grown <= 2.02 * scales).all()
    assert (narrow(narrowed, grown, 0)[0] == narrowed).all()


def test_what_cannot_saturate_keeps_its_bits():
    weights = np.array([[127, 1, -60, -60], [3, -2, 1, 0]], np.int8)
    narrowed, grown = narrow(weights, np.array([1.0, 1.0], np.float32), 0)
    assert (narrowed == weights).all()
    assert (grown == 1).all()


def test_other_axes_and_one_scale_for_all():
    weights = np.array([[127, 5], [127, 5], [0, 5]], np.int8)
    narrowed, grown = narrow(weights, np.array([1.0, 1.0], np.float32), 1)
    assert (narrowed[:, 1] == 5).all()
    assert narrowed[:2, 0].sum() <= LARGEST_PAIR
    assert grown[0] > 1 == grown[1]
    whole, grown = narrow(weights, np.float32(0.5), 1)
    assert grown.shape == ()
    assert grown * whole[0, 1] == pytest.approx(2.5, abs=0.5 * float(grown))


@pytest.mark.slow
@pytest.mark.parametrize("quantise", [static_int8, pointwise_int8])
def test_graphs_are_written_without_saturation(small_bundle, tmp_path, quantise):
    images = np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3), np.uint8)
    quantise(small_bundle / "model.onnx", images, tmp_path / "int8.onnx")
    model = onnx.load(tmp_path / "int8.onnx")
    stored = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    seen = 0
    for node in model.graph.node:
        values = stored.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if values is None or values.dtype != np.int8 or values.ndim < 2 or (values.ndim == 4 and values.shape[1] == 1):
            continue
        axis = next(each.i for each in node.attribute if each.name == "axis")
        rows = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
        assert worst_pair(rows) <= END_OF_16_BITS, node.name
        seen += 1
    assert seen > 3
    assert narrow_weights(model)["narrowed"] == 0


def test_depthwise_convolutions_and_biases_stay(tmp_path):
    values = {"depthwise": np.full((8, 1, 3, 3), 127, np.int8), "bias": np.full(8, 127, np.int8)}
    nodes, stored = [], []
    for name, value in values.items():
        nodes.append(onnx.helper.make_node("DequantizeLinear", [name, f"{name}_scale"], [f"{name}_out"], axis=0))
        stored += [onnx.numpy_helper.from_array(value, name)]
        stored += [onnx.numpy_helper.from_array(np.ones(8, np.float32), f"{name}_scale")]
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "graph", [], [], stored))
    assert narrow_weights(model) == {"channels": 0, "narrowed": 0}
    assert all(
        (onnx.numpy_helper.to_array(each) == values[each.name]).all() for each in model.graph.initializer if each.name in values
    )
