import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from lesionlens.bundle.bundle import open_bundle, read_bundle
from lesionlens.bundle.inspection import inspect_bundle
from lesionlens.bundle.outputs import Tolerance
from lesionlens.bundle.runtime import Predictor
from lesionlens.compression import bundle_update, parent_networks, variant_predictions, variants
from lesionlens.compression import compress as compress_module
from lesionlens.compression.compress import compress
from lesionlens.compression.source import CompressionSettings, compression_recipe, open_source
from lesionlens.core.errors import ArtifactError, BundleError, CheckpointError, RecipeError, StorageError
from lesionlens.core.progress import Reporter
from lesionlens.core.recipe import CompressionRecipe
from lesionlens.data.dataset import Dataset
from lesionlens.training.checkpoint import load_network, save_network

pytestmark = pytest.mark.slow  # trains, quantises and prunes; tests/cli/test_compress.py is the quick one

RECIPE = CompressionRecipe(variants=("dynamic-int8", "int8", "pruned", "pruned-int8"), calibration_images=12, default_drop=1.0)
QUICK = CompressionSettings(rounds=0, compared_images=6, resamples=100)


@dataclasses.dataclass
class CompressionCase:
    """A bundle to compress, and how to open it."""

    parent: object
    bundle: Path
    out: Path
    messages: list[str]

    def source(self, recipe=RECIPE, settings=QUICK, **changes):
        inputs = self.parent.inputs
        given = {
            "checkpoint": self.parent.checkpoint,
            "dataset": inputs,
            "bundle": self.bundle,
            "out": self.out,
            "reporter": Reporter(self.messages.append),
            **changes,
        }
        return open_source(recipe=recipe, settings=settings, **given)


@pytest.fixture
def case(parent, small_bundle, tmp_path):
    return CompressionCase(parent, Path(shutil.copytree(small_bundle, tmp_path / "bundle")), tmp_path / "compress", [])


@pytest.fixture(scope="module")
def whole(parent, small_bundle, tmp_path_factory):
    """One compression with times; read it only."""
    folder = tmp_path_factory.mktemp("whole")
    made = CompressionCase(parent, Path(shutil.copytree(small_bundle, folder / "bundle")), folder / "compress", [])
    settings = dataclasses.replace(QUICK, rounds=1, batch_sizes=(1, 2), threads=1)
    return made, compress(made.source(settings=settings)), settings


def rows_of(content, variant):
    return [row for row in content["rows"] if row["variant"] == variant]


def test_one_table_of_all_variants(whole):
    case, content, _ = whole
    names = ["fp32", "dynamic-int8", "int8", "pruned", "pruned-int8"]
    assert list(dict.fromkeys(row["variant"] for row in content["rows"])) == names
    assert {row["runtime"] for row in rows_of(content, "fp32")} == {"openvino", "onnxruntime", "pytorch"}
    assert {row["runtime"] for row in rows_of(content, "int8")} == {"openvino", "onnxruntime"}
    assert {row["runtime"] for name in ("dynamic-int8", "pruned-int8") for row in rows_of(content, name)} == {"pytorch"}
    assert json.loads((case.out / "compression.json").read_text()) == json.loads(json.dumps(content))
    assert "dynamic-int8  pytorch" in (case.out / "compression.txt").read_text()


def test_fp32_is_what_every_row_is_compared_with(whole):
    _, content, _ = whole
    first = rows_of(content, "fp32")[0]
    assert all(metric["difference"] == 0 for metric in first["metrics"].values())
    for row in rows_of(content, "fp32")[1:]:
        assert row["agreement"]["largest_difference"] < 1e-4  # one network, other orders of sums
    for row in content["rows"]:
        for name, metric in row["metrics"].items():
            assert metric["difference"] == pytest.approx(metric["value"] - first["metrics"][name]["value"], abs=1e-12)


def test_sizes_are_bytes_on_disk_and_zeros_are_counted(whole):
    case, content, _ = whole
    (int8, _), (pruned,), (dynamic,) = (rows_of(content, name) for name in ("int8", "pruned", "dynamic-int8"))
    fp32 = rows_of(content, "fp32")[0]
    assert int8["size_bytes"] == (case.out / "int8" / "model.int8.onnx").stat().st_size < fp32["size_bytes"]
    assert dynamic["size_bytes"] == (case.out / "dynamic-int8" / "weights.safetensors").stat().st_size
    assert pruned["size_bytes"] == pytest.approx(fp32["size_bytes"], rel=0.01), "zeros take as much room as other numbers"
    assert {row["parameters"] for row in content["rows"]} == {fp32["parameters"]}
    assert 0.6 < pruned["nonzero_parameters"] / fp32["nonzero_parameters"] < 0.8
    assert dynamic["nonzero_parameters"] < fp32["nonzero_parameters"]


def test_every_row_has_times_and_memory_of_its_own(whole):
    _, content, _ = whole
    for row in content["rows"]:
        assert set(row["times"]) == {"1", "2"}
        assert all(0 < times["median_ms"] <= times["p95_ms"] for times in row["times"].values())
        assert row["peak_memory_bytes"] >= row["baseline_memory_bytes"] > 0
    graph, torch = (next(r for r in content["rows"] if r["runtime"] == name) for name in ("openvino", "pytorch"))
    assert graph["baseline_memory_bytes"] < torch["baseline_memory_bytes"] / 2, "a deployed box loads no torch"


def test_int8_joins_the_bundle_and_is_sound_there(whole):
    case, content, _ = whole
    bundle = open_bundle(case.bundle)
    int8 = bundle.variants["int8"]
    assert set(bundle.variants) == {"fp32", "int8"}, "networks with other weights have bundles of their own"
    assert set(int8.graphs) == {"openvino", "onnxruntime"}
    assert set(int8.comparison["runtimes"]) == {"openvino", "onnxruntime"}
    assert int8.metrics["test"]["openvino"] == rows_of(content, "int8")[0]["metrics"]
    assert bundle.default_variant == content["default"]["variant"] == "int8"
    assert "validation images" in content["default"]["why"]
    assert not inspect_bundle(case.bundle).failed
    assert Predictor(case.bundle).variant.name == "int8"
    assert read_bundle(case.out / "pruned" / "bundle").default_variant == "fp32"


def test_heat_maps_of_int8_are_compared_with_those_of_fp32(whole):
    _, content, _ = whole
    for row in rows_of(content, "int8"):
        assert row["maps"]["n_images"] > 0
        assert row["maps"]["all"]["median"] > 0.9


def test_nothing_is_made_twice(whole, monkeypatch):
    case, content, settings = whole
    before = {path: path.stat().st_mtime_ns for path in case.out.rglob("*.npz")}
    bundle = read_bundle(case.bundle).id

    def never(*arguments, **options):
        raise AssertionError("made again")

    for module, name in (
        *((variants, name) for name in ("static_int8", "compare")),
        *((parent_networks, name) for name in ("pruned", "export")),
        (variant_predictions.evaluation, "predict"),
        (compress_module.evaluation, "map_agreement"),
        (compress_module.benchmark, "measure"),
        (bundle_update, "add_variant"),
    ):
        monkeypatch.setattr(module, name, never)
    case.messages.clear()
    again = compress(case.source(settings=settings))
    assert again["rows"] == content["rows"]
    assert case.messages == []
    assert {path: path.stat().st_mtime_ns for path in case.out.rglob("*.npz")} == before
    assert read_bundle(case.bundle).id == bundle


@pytest.mark.slow
def test_other_settings_rebuild_what_depends_on_them(case, monkeypatch):
    recipe = dataclasses.replace(RECIPE, variants=("int8",))
    compress(case.source(recipe))
    assert open_bundle(case.bundle).default_variant == "int8"
    calibrated = []
    real = variants.static_int8
    monkeypatch.setattr(variants, "static_int8", lambda *given: (calibrated.append(len(given[1])), real(*given)))
    monkeypatch.setattr(bundle_update, "balanced_accuracy_of", _falling())
    content = compress(case.source(dataclasses.replace(recipe, calibration_images=8, default_drop=0.05)))
    assert calibrated == [8]
    assert open_bundle(case.bundle).default_variant == content["default"]["variant"] == "fp32"
    assert (
        "int8 loses 10.00 points of balanced accuracy (0.8000 to 0.7000), where a loss of 5.00 is allowed"
        in content["default"]["why"]
    )


def _falling():
    values = iter([0.8, 0.7])
    return lambda predictions: next(values)


def test_calibration_sees_training_images_only(case, monkeypatch):
    seen = []

    def stop(graph, images, out, goal):
        seen.append(images)
        raise StorageError("stop")

    monkeypatch.setattr(variants, "static_int8", stop)
    source = case.source(dataclasses.replace(RECIPE, variants=("int8",)))
    with pytest.raises(StorageError, match="stop"):
        compress(source)
    training = source.images("train")
    known = {image.tobytes() for image in training.pixels(training.ids)}
    assert len(seen[0]) == 12
    assert {image.tobytes() for image in seen[0]} <= known
    assert not (case.out / "compression.json").exists()


def test_bf16_where_the_processor_has_none_is_said_and_the_rest_is_built(case, monkeypatch):
    def load(runtime, graph, size, precision, limits):
        raise BundleError("this processor has no bf16 arithmetic")

    monkeypatch.setattr(variants, "load_engine", load)
    content = compress(case.source(dataclasses.replace(RECIPE, variants=("bf16", "dynamic-int8"))))
    (bf16,) = rows_of(content, "bf16")
    assert not bf16["available"]
    assert bf16["reason"] == "this processor has no bf16 arithmetic"
    assert rows_of(content, "dynamic-int8")[0]["available"]
    assert "bf16 on openvino: this processor" in (case.out / "compression.txt").read_text()
    assert set(open_bundle(case.bundle).variants) == {"fp32"}


def test_bf16_without_openvino_names_the_remedy(case, monkeypatch):
    monkeypatch.setattr(variants, "installed", lambda runtime: runtime != "openvino")
    content = compress(case.source(dataclasses.replace(RECIPE, variants=("bf16",))))
    assert "pip install openvino" in rows_of(content, "bf16")[0]["reason"]
    assert {row["runtime"] for row in rows_of(content, "fp32")} == {"onnxruntime", "pytorch"}


def test_bf16_joins_without_a_file(case):
    content = compress(case.source(dataclasses.replace(RECIPE, variants=("bf16",))))
    (row,) = rows_of(content, "bf16")
    if not row["available"]:
        pytest.skip(row["reason"])
    bundle = open_bundle(case.bundle)
    assert bundle.variants["bf16"].graphs == {"openvino": "model.onnx"}
    assert bundle.default_variant == "fp32"
    assert 0 < row["agreement"]["largest_difference"] < 0.1


@pytest.mark.slow
def test_a_graph_beyond_its_tolerance_fails_and_joins_nothing(case, monkeypatch):
    monkeypatch.setattr(variants, "INT8_TOLERANCE", Tolerance(1e-6, 1e-6, 1e-6))
    content = compress(case.source(dataclasses.replace(RECIPE, variants=("int8", "pruned"))))
    (row,) = rows_of(content, "int8")
    assert not row["available"]
    assert row["failed"]
    assert "model.int8.onnx computes something else than torch" in row["reason"]
    assert content["default"]["variant"] == "fp32"
    assert rows_of(content, "pruned")[0]["available"]
    assert set(open_bundle(case.bundle).variants) == {"fp32"}


@pytest.mark.slow
def test_a_channel_pruned_network_gets_a_bundle_with_int8(case):
    recipe = dataclasses.replace(RECIPE, variants=("channel-pruned", "channel-pruned-int8"), fine_tune_epochs=0)
    content = compress(case.source(recipe, plan=case.parent.inputs.plan))
    (channel_pruned,), (int8,) = rows_of(content, "channel-pruned"), rows_of(content, "channel-pruned-int8")
    fp32 = rows_of(content, "fp32")[0]
    assert channel_pruned["parameters"] == int8["parameters"] < fp32["parameters"]
    assert channel_pruned["macs"] < fp32["macs"]
    bundle = open_bundle(case.out / "channel-pruned" / "bundle")
    assert set(bundle.variants) == {"fp32", "int8"}
    assert content["verdicts"]["channel-pruned-int8"]["default"]
    assert set(open_bundle(case.bundle).variants) == {"fp32"}


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        (
            {"recipe": dataclasses.replace(RECIPE, variants=("channel-pruned",))},
            ArtifactError,
            "variant 'channel-pruned' is trained, .*--plan",
        ),
        ({"bundle": Path("nowhere")}, BundleError, "nowhere is not a bundle"),
    ],
)
def test_what_is_missing_is_found_before_anything_is_made(case, changes, kind, message):
    with pytest.raises(kind, match=message):
        case.source(**changes)
    assert not case.out.exists()


def test_checkpoint_and_bundle_belong_together(case, tmp_path):
    network, info = load_network(case.parent.checkpoint)
    save_network(network, dataclasses.replace(info, epoch=9), tmp_path / "other" / "best.safetensors")
    with pytest.raises(CheckpointError, match="was exported from another checkpoint"):
        case.source(checkpoint=tmp_path / "other" / "best.safetensors")


def test_no_training_images(case):
    inputs = case.parent.inputs
    split = dataclasses.replace(inputs.split, ids={**inputs.split.ids, "train": ()})
    source = case.source(dataclasses.replace(RECIPE, variants=("int8",)))
    empty = dataclasses.replace(source, dataset=Dataset(inputs.index, split, inputs.store))
    with pytest.raises(RecipeError, match="the train split .* holds no images"):
        compress(empty)


def test_a_folder_that_may_not_be_written(case, monkeypatch):
    def refuse(path, *arguments, **options):
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "touch", refuse)
        with pytest.raises(StorageError, match=r"may not write .*compress \(Permission denied\).*--out"):
            case.source()
    case.out.rmdir()
    case.out.write_text("a file")
    with pytest.raises(StorageError, match="is a file"):
        case.source()


def test_the_recipe_comes_from_the_checkpoint_and_only_its_section_changes(parent):
    assert compression_recipe(parent.checkpoint) == CompressionRecipe()
    assert compression_recipe(parent.checkpoint, ["compression.variants=int8"]).variants == ("int8",)
    with pytest.raises(RecipeError, match=r"only keys of \[compression\]"):
        compression_recipe(parent.checkpoint, ["training.epochs=3"])
    with pytest.raises(RecipeError, match="did you mean int8"):
        compression_recipe(parent.checkpoint, ["compression.variants=int-8"])


@pytest.mark.parametrize(
    "changes", [{"rounds": -1}, {"batch_sizes": ()}, {"batch_sizes": (0,)}, {"resamples": 5}, {"batch_size": 0}]
)
def test_settings_have_their_ranges(changes):
    with pytest.raises(RecipeError, match="it must be from"):
        dataclasses.replace(QUICK, **changes)


def test_pointwise_int8_joins_the_bundle_and_is_never_its_default(case):
    content = compress(case.source(dataclasses.replace(RECIPE, variants=("int8-pointwise",))))
    (row,) = rows_of(content, "int8-pointwise")
    assert (row["runtime"], row["available"]) == ("openvino", True)
    assert row["maps"]["all"]["median"] > 0.9
    bundle = open_bundle(case.bundle)
    variant = bundle.variants["int8-pointwise"]
    assert variant.graphs == {"openvino": "model.int8-pointwise.onnx"}
    assert variant.metrics["validation_balanced_accuracy"].keys() == {"fp32", "int8-pointwise", "n_images", "allowed"}
    assert bundle.default_variant == "fp32"
    assert not inspect_bundle(case.bundle).failed
    assert Predictor(case.bundle, variant="int8-pointwise").variant.name == "int8-pointwise"
    assert not (case.out / "int8-pointwise" / "fp32.onnx").exists()
