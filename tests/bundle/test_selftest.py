import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from lesionlens.bundle.bundle import Bundle, open_bundle, write_facts
from lesionlens.bundle.engines import Limits
from lesionlens.bundle.outputs import Outputs
from lesionlens.bundle.runtime import Predictor
from lesionlens.bundle.selftest import SelfTest, load_variant, read_selftest, run_selftest, write_selftest
from lesionlens.core.errors import BundleError


@pytest.fixture
def copy(small_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_bundle, tmp_path / "bundle"))


def sign(bundle: Path, **changes: object) -> Bundle:
    """Make the hashes right again after a change, so that only the self-test can notice it."""
    facts = json.loads((bundle / "bundle.json").read_text())
    write_facts(bundle, {**{key: value for key, value in facts.items() if key not in ("id", "files")}, **changes})
    return open_bundle(bundle)


def test_what_travels_is_what_torch_said(small_bundle):
    selftest = read_selftest(open_bundle(small_bundle))
    assert selftest.images.shape == (3, 64, 64, 3)
    assert selftest.expected["fp32"].probabilities.shape == (3, 7)
    np.testing.assert_allclose(selftest.expected["fp32"].probabilities.sum(1), 1, rtol=1e-5)


def test_expected_values_that_differ_fail(copy):
    selftest = read_selftest(open_bundle(copy))
    wanted = selftest.expected["fp32"]
    wrong = Outputs(wanted.probabilities[:, ::-1], wanted.features, wanted.maps)
    write_selftest(SelfTest(selftest.images, {"fp32": wrong}), copy)
    sign(copy)
    with pytest.raises(BundleError, match=r"fails its self-test on \w+: differences probabilities"):
        Predictor(copy)


@pytest.mark.parametrize("scale", [0.99, np.nan])
def test_weights_that_differ_fail(copy, scale):
    model = onnx.load(copy / "model.onnx")
    weights = next(value for value in model.graph.initializer if len(value.dims) == 4)
    array = onnx.numpy_helper.to_array(weights)
    weights.CopyFrom(onnx.numpy_helper.from_array((array * scale).astype(np.float32), weights.name))
    onnx.save(model, str(copy / "model.onnx"))
    sign(copy)
    with pytest.raises(BundleError, match="fails its self-test"):
        Predictor(copy, runtime="onnxruntime")


def test_an_engine_may_differ_within_the_tolerance_only(small_bundle):
    bundle = open_bundle(small_bundle)
    limits = Limits(1, 2)
    engine = load_variant(bundle, bundle.variant(), "onnxruntime", limits)
    assert "probabilities" in run_selftest(bundle, bundle.variant(), "onnxruntime", engine, limits, n_images=0)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("images", np.zeros((2, 32, 32, 3), np.uint8), "not images of 64x64"),
        ("images", np.zeros((2, 64, 64, 3), np.float32), "not images of 64x64"),
        ("images", np.zeros((0, 64, 64, 3), np.uint8), "not images of 64x64"),
        ("fp32/probabilities", None, "cannot be read"),
        ("images", np.array(["a", object()], dtype=object), "cannot be read"),
    ],
)
def test_selftest_files_that_do_not_fit(copy, name, array, message):
    with np.load(copy / "selftest.npz") as archive:
        arrays = {key: archive[key] for key in archive.files}
    arrays[name] = array
    np.savez(copy / "selftest.npz", **{key: value for key, value in arrays.items() if value is not None})
    with pytest.raises(BundleError, match=message):
        read_selftest(sign(copy))


def test_a_selftest_that_is_no_archive(copy):
    (copy / "selftest.npz").write_bytes(b"PK no archive")
    with pytest.raises(BundleError, match="cannot be read"):
        read_selftest(sign(copy))


def test_a_graph_with_other_inputs(copy):
    bundle = sign(copy)
    wider = sign(copy, input={**bundle.facts["input"], "size": 72, "frame": 80})
    with pytest.raises(
        BundleError, match=r"has the inputs images uint8 \(N, 64, 64, 3\); this bundle needs images uint8 \(N, 72, 72, 3\)"
    ):
        load_variant(wider, wider.variant(), "onnxruntime", Limits())


def test_a_graph_with_other_outputs(copy):
    bundle = sign(copy)
    outputs = {**bundle.facts["outputs"], "probabilities": [8]}
    other = sign(copy, outputs=outputs)
    with pytest.raises(
        BundleError, match=r"has the outputs probabilities float32 \(N, 7\).*needs probabilities float32 \(N, 8\)"
    ):
        load_variant(other, other.variant(), "onnxruntime", Limits())


def test_a_graph_with_an_input_of_another_name(copy):
    model = onnx.load(copy / "model.onnx")
    model.graph.input[0].name = "pixels"
    for node in model.graph.node:
        node.input[:] = ["pixels" if name == "images" else name for name in node.input]
    onnx.save(model, str(copy / "model.onnx"))
    sign(copy)
    for runtime in ("onnxruntime", "auto"):
        with pytest.raises(BundleError, match="has the inputs pixels uint8"):
            Predictor(copy, runtime=runtime)


def test_a_runtime_that_the_variant_is_not_for(copy):
    bundle = sign(copy)
    only = {**bundle.facts["variants"]["fp32"], "graphs": {"openvino": "model.onnx"}}
    other = sign(copy, variants={"fp32": only})
    with pytest.raises(BundleError, match="is for openvino, not for onnxruntime"):
        load_variant(other, other.variant(), "onnxruntime", Limits())
