import json
import os
import shutil
from pathlib import Path

import pytest

from lesionlens.bundle.bundle import (
    Variant,
    check_replaceable,
    graph_files,
    open_bundle,
    read_bundle,
    write_facts,
)
from lesionlens.bundle.outputs import Tolerance
from lesionlens.core.errors import BundleError

FILES = ("card.md", "model.onnx", "selftest.npz", "weights.safetensors")


@pytest.fixture
def copy(small_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_bundle, tmp_path / "bundle"))


def rewrite(bundle: Path, **changes: object) -> None:
    """Change bundle.json and give it the right id again, as someone who knows the format could."""
    facts = json.loads((bundle / "bundle.json").read_text())
    write_facts(bundle, {**{key: value for key, value in facts.items() if key not in ("id", "files")}, **changes})


def test_opening(small_bundle):
    bundle = open_bundle(small_bundle)
    assert bundle.labels.codes == ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
    assert (bundle.spec.size, bundle.spec.frame) == (64, 72)
    assert bundle.has_maps
    assert bundle.outputs == {"probabilities": [7], "features": [64], "maps": [7, 2, 2]}
    assert bundle.variant().name == "fp32"
    assert bundle.variant_size_bytes("fp32", "onnxruntime") == (small_bundle / "model.onnx").stat().st_size


def test_a_bundle_may_be_moved(copy, small_bundle):
    assert open_bundle(copy).id == open_bundle(small_bundle).id


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file(copy, name):
    (copy / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is missing; copy the whole bundle again"):
        open_bundle(copy)


@pytest.mark.parametrize("name", FILES)
def test_one_changed_byte(copy, name):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"the bytes of {name} have changed"):
        open_bundle(copy)


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_short(copy, name):
    os.truncate(copy / name, 10)
    with pytest.raises(BundleError, match=f"{name} has 10 bytes, not"):
        open_bundle(copy)


def test_changed_facts(copy):
    text = (copy / "bundle.json").read_text()
    (copy / "bundle.json").write_text(text.replace('"Melanoma"', '"Freckle"'))
    with pytest.raises(BundleError, match=r"bundle\.json was changed"):
        open_bundle(copy)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"format": 1}', '{"format": 1, "id": "x"}', "\x00\xff"])
def test_facts_that_cannot_be_understood(copy, text):
    (copy / "bundle.json").write_text(text)
    with pytest.raises(BundleError, match="bundle"):
        open_bundle(copy)


def test_another_version(copy):
    text = (copy / "bundle.json").read_text()
    (copy / "bundle.json").write_text(text.replace('"format": 1', '"format": 2'))
    with pytest.raises(BundleError, match="is of format 2; this version of lesionlens reads format 1"):
        open_bundle(copy)


def test_no_bundle_at_all(tmp_path):
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(BundleError, match="is not a bundle"):
            read_bundle(path)


@pytest.mark.parametrize("name", ["../model.onnx", "a/model.onnx", "..", "C:\\model.onnx"])
def test_files_outside_the_folder_are_refused(copy, name):
    facts = json.loads((copy / "bundle.json").read_text())
    facts["files"][name] = facts["files"]["model.onnx"]
    from lesionlens.bundle.bundle import _content_hash

    facts["id"] = _content_hash(facts)
    (copy / "bundle.json").write_text(json.dumps(facts))
    with pytest.raises(BundleError, match="must lie in its own folder"):
        open_bundle(copy)


def test_missing_parts_of_the_facts(copy):
    rewrite(copy, default_variant="int4")
    with pytest.raises(BundleError, match="no variant 'int4', its default"):
        open_bundle(copy)
    rewrite(copy, default_variant="fp32", input={"size": 64})
    with pytest.raises(BundleError, match="cannot be understood"):
        open_bundle(copy)


def test_another_resampling_filter_is_refused(copy):
    facts = json.loads((copy / "bundle.json").read_text())
    rewrite(copy, input={**facts["input"], "filter": "opencv-linear"})
    with pytest.raises(BundleError, match="opencv-linear"):
        open_bundle(copy)


def test_a_file_may_lie_there_that_is_not_listed(copy):
    (copy / "notes.txt").write_text("mine")
    assert open_bundle(copy).variant().name == "fp32"


def test_variants_are_checked():
    for graphs, message in (({}, "no runtime"), ({"tensorrt": "a"}, "tensorrt")):
        with pytest.raises(BundleError, match=message):
            Variant("x", graphs)
    with pytest.raises(BundleError, match="precision 'fp8'"):
        Variant("x", {"openvino": "a.xml"}, precision="fp8")


def test_variant_survives_the_round_trip():
    variant = Variant("int8", {"openvino": "a.xml"}, "bf16", Tolerance(0.1, 0.2, 0.3), {"n_images": 3}, {"latency_ms": 66.0})
    assert Variant.from_json("int8", json.loads(json.dumps(variant.to_json()))) == variant


def test_unknown_variant(small_bundle):
    with pytest.raises(BundleError, match="has no variant 'int8'; it has fp32"):
        open_bundle(small_bundle).variant("int8")


def test_files_of_a_graph():
    names = ("model.onnx", "model.onnx.data", "model.int8.xml", "model.int8.bin", "other.bin")
    assert graph_files("model.onnx", dict.fromkeys(names)) == ("model.onnx", "model.onnx.data")
    assert graph_files("model.int8.xml", dict.fromkeys(names)) == ("model.int8.xml", "model.int8.bin")


def test_only_a_bundle_may_be_replaced(small_bundle, tmp_path):
    check_replaceable(small_bundle)
    check_replaceable(tmp_path / "new")
    check_replaceable(tmp_path)
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file"):
        with pytest.raises(BundleError, match="is not a bundle"):
            check_replaceable(path)
