import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from lesionlens.bundle.bundle import open_bundle, write_facts
from lesionlens.bundle.engines import fast_int8, installed
from lesionlens.bundle.outputs import Tolerance
from lesionlens.bundle.runtime import Predictor
from lesionlens.bundle.selection import choose
from lesionlens.bundle.selftest import SelfTest, read_selftest, write_selftest
from lesionlens.bundle.telemetry import switch_off
from lesionlens.bundle.variants import NewVariant, add_variant, keep_variants
from lesionlens.core.errors import BundleError, RecipeError

BOTH = {"openvino": "model.rough.onnx", "onnxruntime": "model.rough.onnx"}
LOOSE = Tolerance(0.2, 0.5, 0.5)


@pytest.fixture
def copy(small_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_bundle, tmp_path / "bundle"))


@pytest.fixture
def rough(small_bundle: Path, tmp_path: Path) -> Path:
    """The graph with weights rounded to three bits, as if it had been compressed."""
    model = onnx.load(small_bundle / "model.onnx")
    for value in model.graph.initializer:
        array = onnx.numpy_helper.to_array(value)
        if array.ndim >= 2:
            step = np.abs(array).max() / 4
            value.CopyFrom(onnx.numpy_helper.from_array((np.round(array / step) * step).astype(array.dtype), value.name))
    onnx.save(model, str(tmp_path / "model.rough.onnx"))
    return tmp_path / "model.rough.onnx"


def test_a_variant_joins(copy, rough):
    before = open_bundle(copy)
    metrics = {"balanced_accuracy": 0.7}
    after = add_variant(copy, NewVariant("rough", [rough], BOTH, tolerance=LOOSE, metrics=metrics, default=True))
    assert after.id != before.id
    assert (after.default_variant, after.variant().metrics) == ("rough", metrics)
    assert after.variants["fp32"] == before.variants["fp32"]
    assert {"model.onnx", "model.rough.onnx"} <= {path.name for path in copy.iterdir()}
    assert "rough (default)" in (copy / "card.md").read_text()
    expected = read_selftest(after).expected
    assert not np.allclose(expected["rough"].probabilities, expected["fp32"].probabilities, atol=1e-3)
    assert Predictor(copy).variant.name == "rough"
    assert Predictor(copy, variant="fp32").variant.name == "fp32"


def test_replacing_a_variant_takes_its_old_file_away(copy, rough, tmp_path):
    add_variant(copy, NewVariant("rough", [rough], BOTH, tolerance=LOOSE))
    other = tmp_path / "model.other.onnx"
    shutil.copyfile(rough, other)
    bundle = add_variant(copy, NewVariant("rough", [other], {"onnxruntime": other.name}, tolerance=LOOSE))
    assert "model.rough.onnx" not in bundle.files
    assert "model.onnx" in bundle.files


def has_fast_int8(monkeypatch, answer):
    for module in ("runtime", "selection"):
        monkeypatch.setattr(f"lesionlens.bundle.{module}.fast_int8", answer)


def has_bf16() -> bool:
    """Whether OpenVINO is here and has bf16 on this processor."""
    if not installed("openvino"):
        return False
    switch_off()
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def test_bf16_uses_the_file_of_fp32(copy):
    if not has_bf16():
        pytest.skip("no openvino, or a processor without bf16")
    new = NewVariant("bf16", [], {"openvino": "model.onnx"}, precision="bf16", tolerance=Tolerance(0.05, 0.1, 0.1))
    bundle = add_variant(copy, new)
    assert set(bundle.files) == set(open_bundle(copy).files)
    predictor = Predictor(copy, variant="bf16")
    found = predictor.run(read_selftest(bundle).images[:1])
    wanted = read_selftest(bundle).expected["fp32"].probabilities[:1]
    assert 0 < np.abs(found.probabilities - wanted).max() < 0.05


def test_runtimes_that_do_not_agree_are_refused(copy, rough):
    if not installed("openvino"):
        pytest.skip("openvino is not installed")
    before = open_bundle(copy).id
    graphs = {"openvino": "model.onnx", "onnxruntime": "model.rough.onnx"}
    with pytest.raises(BundleError, match="fails its self-test on onnxruntime"):
        add_variant(copy, NewVariant("rough", [rough], graphs))
    assert open_bundle(copy).id == before
    assert [path.name for path in copy.parent.iterdir() if path.name.startswith(".")] == []


def test_a_file_that_is_not_there(copy):
    with pytest.raises(BundleError, match="cannot load"):
        add_variant(copy, NewVariant("x", [], {"onnxruntime": "nothing.onnx"}))


def test_a_default_that_cannot_run_here_gives_way_to_fp32_and_says_so(copy, monkeypatch):
    if not installed("openvino"):
        pytest.skip("openvino is not installed")
    bundle = add_variant(copy, NewVariant("only", [], {"openvino": "model.onnx"}, default=True))
    monkeypatch.setattr("lesionlens.bundle.selection.installed", lambda name: name == "onnxruntime")
    variant, runtime, notes = choose(bundle)
    assert (variant.name, runtime) == ("fp32", "onnxruntime")
    assert notes == ("variant 'only' needs openvino, which is not here; running fp32 instead",)
    with pytest.raises(BundleError, match="variant 'only' of bundle .* is for openvino"):
        choose(bundle, variant="only")


def test_a_processor_without_vnni_is_told(copy, rough, monkeypatch):
    bundle = add_variant(copy, NewVariant("int8", [rough], BOTH, tolerance=LOOSE))
    has_fast_int8(monkeypatch, lambda: False)
    assert "no int8 products" in choose(bundle, variant="int8")[2][0]
    assert choose(bundle, variant="fp32")[2] == ()
    has_fast_int8(monkeypatch, lambda: None)
    assert choose(bundle, variant="int8")[2] == ()
    assert fast_int8() in (True, False, None)


def int8_with(copy: Path, rough: Path, moved: float, **options: object) -> Path:
    """A bundle with an int8 whose recorded probabilities are `moved` from fp32's towards its own."""
    bundle = add_variant(copy, NewVariant("int8", [rough], BOTH, tolerance=Tolerance(1.0, 1.0, 1.0), **options))
    selftest = read_selftest(bundle)
    fp32, int8 = selftest.expected["fp32"], selftest.expected["int8"]
    recorded = int8._replace(probabilities=fp32.probabilities + moved * (int8.probabilities - fp32.probabilities))
    write_selftest(SelfTest(selftest.images, {"fp32": fp32, "int8": recorded}), copy)
    write_facts(copy, {key: value for key, value in bundle.facts.items() if key not in ("format", "id", "files")})
    return copy


@pytest.mark.slow
def test_int8_is_compared_with_fp32_without_vnni(copy, rough, monkeypatch):
    int8_with(copy, rough, moved=1)
    assert not any("compared with fp32:" in note for note in Predictor(copy, variant="fp32").notes)
    has_fast_int8(monkeypatch, lambda: True)
    assert Predictor(copy, variant="int8").notes == ()
    has_fast_int8(monkeypatch, lambda: False)
    notes = Predictor(copy, variant="int8").notes
    assert "variant 'int8' was compared with fp32: on 3 images its probabilities differ from fp32 by up to 0." in notes[-1]
    assert "may saturate at 16 bits" in (copy / "card.md").read_text()


@pytest.mark.slow
def test_int8_that_saturates_is_refused_or_gives_way(copy, rough, monkeypatch):
    int8_with(copy, rough, moved=0, default=True)
    monkeypatch.setattr("lesionlens.bundle.selftest.SATURATION", 1e-4)
    has_fast_int8(monkeypatch, lambda: True)
    assert Predictor(copy).variant.name == "int8"
    has_fast_int8(monkeypatch, lambda: False)
    with pytest.raises(
        BundleError, match=r"'int8' saturates on \w+.*no int8 products \(VNNI\).*differ from fp32 by up to 0\.\d+"
    ):
        Predictor(copy, variant="int8")
    predictor = Predictor(copy)
    assert predictor.variant.name == "fp32"
    assert "running fp32 instead" in predictor.notes[-1]


@pytest.mark.slow
def test_a_comparison_with_fp32_is_remembered_and_one_that_failed_is_not(copy, rough, user_cache, monkeypatch):
    has_fast_int8(monkeypatch, lambda: False)
    int8_with(copy, rough, moved=1, default=True)
    first, second = (Predictor(copy, selftest="once") for _ in range(2))
    assert second.notes[-1].startswith(f"{first.notes[-1]}, on 20")
    assert "compared with fp32" in first.notes[-1]
    int8_with(copy, rough, moved=0, default=True)
    monkeypatch.setattr("lesionlens.bundle.selftest.SATURATION", 1e-4)
    for _ in range(2):
        assert "running fp32 instead" in Predictor(copy, selftest="once").notes[-1]


@pytest.mark.slow
def test_only_some_variants_are_kept(copy, rough, tmp_path):
    whole = add_variant(copy, NewVariant("rough", [rough], BOTH, tolerance=LOOSE))
    small = keep_variants(copy, ["rough"], tmp_path / "small")
    assert (list(small.variants), small.default_variant) == (["rough"], "rough")
    assert whole.files.keys() - small.files.keys() == {"model.onnx", "weights.safetensors"}
    assert small.checkpoint_hash == whole.files["weights.safetensors"]["sha256"]
    images = read_selftest(small).images[:1]
    np.testing.assert_array_equal(
        Predictor(small.path).run(images).probabilities, Predictor(copy, variant="rough").run(images).probabilities
    )
    assert open_bundle(copy).id == whole.id
    assert keep_variants(copy, ["rough"], tmp_path / "again").id == small.id


@pytest.mark.slow
def test_int8_without_fp32_is_still_compared_with_it(copy, rough, tmp_path, monkeypatch):
    has_fast_int8(monkeypatch, lambda: False)
    add_variant(copy, NewVariant("int8", [rough], BOTH, tolerance=LOOSE))
    small = keep_variants(copy, ["int8"], tmp_path / "small")
    assert "was compared with fp32" in Predictor(small.path).notes[-1]
    monkeypatch.setattr("lesionlens.bundle.selftest.SATURATION", -1.0)
    with pytest.raises(BundleError, match="Use a bundle that holds fp32"):
        Predictor(small.path)


def test_what_cannot_be_kept(copy, tmp_path):
    with pytest.raises(BundleError, match="has no variant 'int4'; it has fp32"):
        keep_variants(copy, ["int4"], tmp_path / "small")
    with pytest.raises(RecipeError, match="no variant is named"):
        keep_variants(copy, [], tmp_path / "small")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    with pytest.raises(BundleError, match="is not a bundle; it would be replaced"):
        keep_variants(copy, ["fp32"], tmp_path / "notes")
