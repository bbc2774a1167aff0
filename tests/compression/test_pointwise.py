"""Linear layers as 1x1 convolutions: the same results, and nothing else is touched."""

import numpy as np
import onnx
import pytest
from tests.bundle.test_engines import write_toy

from lesionlens.bundle.engines import Limits, installed, load_engine
from lesionlens.compression.channel_norms import normalise_over_channels
from lesionlens.compression.pointwise import has_blocks, pointwise_as_convolutions, pointwise_int8
from lesionlens.compression.quantize import static_int8
from lesionlens.core.errors import ModelError

SIZE = 64


@pytest.fixture(scope="module")
def rewritten(small_bundle, tmp_path_factory):
    path = tmp_path_factory.mktemp("pointwise") / "pointwise.onnx"
    pointwise_as_convolutions(small_bundle / "model.onnx", path)
    return path


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_it_computes_the_same(small_bundle, rewritten, runtime):
    """Sums in another order: the tolerance is that of float32."""
    if not installed(runtime):
        pytest.skip(f"{runtime} is not installed")
    images = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3), np.uint8)
    wanted, found = (
        load_engine(runtime, path, SIZE, "fp32", Limits(1, 2)).run(images) for path in (small_bundle / "model.onnx", rewritten)
    )
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5 * max(1.0, float(np.abs(other).max())))


def test_every_block_and_nothing_else_is_rewritten(small_bundle, rewritten):
    before, after = (onnx.load(path) for path in (small_bundle / "model.onnx", rewritten))
    onnx.checker.check_model(after)
    kinds = [[node.op_type for node in model.graph.node] for model in (before, after)]
    blocks = kinds[0].count("Gelu")
    assert blocks > 0
    assert kinds[1].count("Conv") == kinds[0].count("Conv") + 2 * blocks
    assert kinds[1].count("MatMul") == kinds[0].count("MatMul") - 2 * blocks
    assert kinds[1].count("Transpose") == kinds[0].count("Transpose")
    names = [node.name for node in after.graph.node if node.op_type == "Conv"]
    assert len(set(names)) == len(names)
    assert "" not in names  # NNCF leaves layers in float by their names
    assert [out.name for out in after.graph.output] == [out.name for out in before.graph.output]


def test_a_network_of_another_kind_is_refused(tmp_path):
    toy = write_toy(tmp_path / "toy.onnx")
    assert not has_blocks(toy)
    with pytest.raises(ModelError, match="has no ConvNeXt block; leave int8-pointwise out"):
        pointwise_as_convolutions(toy, tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


def outputs(path, runtime, images):
    return load_engine(runtime, path, SIZE, "fp32", Limits(1, 2)).run(images)


def kinds_of(path):
    return [node.op_type for node in onnx.load(path).graph.node]


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_norms_over_channels_are_the_same_norms(small_bundle, rewritten, tmp_path, runtime):
    """Every LayerNorm of the stem, the blocks and between stages, whose scale and shift are not 1 and 0."""
    if not installed(runtime):
        pytest.skip(f"{runtime} is not installed")
    model, random = onnx.load(rewritten), np.random.default_rng(0)
    stored = {each.name: each for each in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "LayerNormalization":
            for name in node.input[1:]:
                value = random.normal(1, 0.5, onnx.numpy_helper.to_array(stored[name]).shape).astype(np.float32)
                stored[name].CopyFrom(onnx.numpy_helper.from_array(value, name))
    onnx.save(model, tmp_path / "before.onnx")
    n_norms, n_transposes = (kinds_of(rewritten).count(kind) for kind in ("LayerNormalization", "Transpose"))
    n_rewritten = normalise_over_channels(tmp_path / "before.onnx", tmp_path / "after.onnx")
    onnx.checker.check_model(onnx.load(tmp_path / "after.onnx"))
    assert 0 < n_rewritten == n_norms - kinds_of(tmp_path / "after.onnx").count("LayerNormalization")
    assert kinds_of(tmp_path / "after.onnx").count("Transpose") == n_transposes - 2 * n_rewritten
    images = random.integers(0, 256, (2, SIZE, SIZE, 3), np.uint8)
    before, after = (outputs(tmp_path / f"{name}.onnx", runtime, images) for name in ("before", "after"))
    for one, other in zip(after, before, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5 * max(1.0, float(np.abs(other).max())))


def test_a_norm_whose_result_is_used_otherwise_too_stays(rewritten, tmp_path):
    """A second reader of another kind, or an output of the graph, needs the order (N, H, W, C)."""
    model = onnx.load(rewritten)
    norms = [node.output[0] for node in model.graph.node if node.op_type == "LayerNormalization"]
    model.graph.node.append(onnx.helper.make_node("Relu", [norms[0]], ["another_reader"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info(norms[1], onnx.TensorProto.FLOAT, None))
    model.graph.output.append(onnx.helper.make_tensor_value_info("another_reader", onnx.TensorProto.FLOAT, None))
    onnx.save(model, tmp_path / "before.onnx")
    normalise_over_channels(tmp_path / "before.onnx", tmp_path / "after.onnx")
    left = [node.output[0] for node in onnx.load(tmp_path / "after.onnx").graph.node if node.op_type == "LayerNormalization"]
    assert norms[:2] == left[:2]


def zero_points_of(path):
    """Sizes of the filters of convolutions whose input has a zero point."""
    graph = onnx.load(path).graph
    producers = {name: node for node in graph.node for name in node.output}
    dims = {each.name: tuple(each.dims) for each in graph.initializer}
    convolutions = [[producers.get(name) for name in node.input[:2]] for node in graph.node if node.op_type == "Conv"]
    quantised = [pair for pair in convolutions if all(each is not None and each.op_type == "DequantizeLinear" for each in pair)]
    return {dims[filters.input[0]][2:] for source, filters in quantised if len(source.input) > 2}


@pytest.mark.slow
def test_int8_has_no_transposes_left_and_the_numbers_of_its_parts(small_bundle, rewritten, tmp_path):
    """The layers in int8 are those of the graph with LayerNorms; its own rewriting changes nothing but rounding."""
    images = np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3), np.uint8)
    static_int8(rewritten, images, tmp_path / "parts.onnx")
    pointwise_int8(small_bundle / "model.onnx", images, tmp_path / "int8.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["int8.onnx", "parts.onnx"]
    parts, whole = kinds_of(tmp_path / "parts.onnx"), kinds_of(tmp_path / "int8.onnx")
    assert parts.count("QuantizeLinear") == whole.count("QuantizeLinear") > 0
    assert whole.count("Transpose") <= 1  # of the image
    assert zero_points_of(tmp_path / "int8.onnx") == {(7, 7)}  # of convolutions with padding alone
    before, after = (outputs(tmp_path / f"{name}.onnx", "onnxruntime", images) for name in ("parts", "int8"))
    for one, other in zip(after, before, strict=True):
        np.testing.assert_allclose(
            one, other, atol=0.02 * max(1.0, float(np.abs(other).max()))
        )  # one step of int8 here and there
