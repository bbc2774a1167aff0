"""Linear layers as 1x1 convolutions: the same results, and nothing else is touched."""

import numpy as np
import onnx
import pytest
from tests.bundle.test_engines import write_toy

from lesionlens.bundle.engines import Limits, installed, load_engine
from lesionlens.compression.pointwise import pointwise_as_convolutions
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
    with pytest.raises(ModelError, match="has no ConvNeXt block; leave int8-pointwise out"):
        pointwise_as_convolutions(write_toy(tmp_path / "toy.onnx"), tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()
