"""The table over bundles: every pair that runs here has a row, every other one a word."""

import json
import shutil

import pytest

from lesionlens.bundle import bundle_benchmark
from lesionlens.bundle.bundle_benchmark import Settings, benchmark, find_contenders, text_of
from lesionlens.bundle.engines import installed
from lesionlens.bundle.variants import NewVariant, add_variant
from lesionlens.core.errors import BundleError, RecipeError

pytestmark = pytest.mark.slow  # it makes, loads and times many bundles

RUNTIMES = [name for name in ("openvino", "onnxruntime") if installed(name)]


@pytest.fixture(scope="module")
def two(small_bundle, tmp_path_factory):
    """Two bundles, one of them with a variant that only ONNX Runtime has a graph for."""
    other = shutil.copytree(small_bundle, tmp_path_factory.mktemp("other") / "bundle")
    add_variant(other, NewVariant("again", [], {"onnxruntime": "model.onnx"}, metrics={"accuracy": 0.5}, default=True))
    return [small_bundle, other]


@pytest.fixture(scope="module")
def result(two):
    contenders, left_out = find_contenders(two)
    assert left_out == []
    settings = Settings(batch_sizes=(1, 3), threads=1, rounds=2)
    steps: list[int] = []
    found = benchmark(contenders, settings, steps.append)
    assert sum(steps) == settings.rounds_in_all
    return json.loads(json.dumps(found))


def test_a_row_for_every_variant_and_runtime(result, two):
    rows = [(row["bundle"], row["variant"], row["runtime"]) for row in result["rows"]]
    expected = [(str(two[0]), "fp32", name) for name in RUNTIMES] + [(str(two[1]), "fp32", name) for name in RUNTIMES]
    assert rows == [*expected, (str(two[1]), "again", "onnxruntime")]
    assert result["rows"][-1]["metrics"] == {"accuracy": 0.5}
    assert [row["default"] for row in result["rows"][-2:]] == [False, True]


def test_every_row_is_whole(result, two):
    for row in result["rows"]:
        assert row["latency"].keys() == {"1", "3"}
        assert all(found["median_ms"] > 0 and found["rounds"] == 2 for found in row["latency"].values())
        assert row["size_bytes"] == (two[0] / "model.onnx").stat().st_size
        if row["memory"]:
            assert row["memory"].keys() == {"1", "3"}
            assert row["load_s"] > 0
    assert {"processor", "cores", "system"} <= result["machine"].keys()
    assert {"python", "onnxruntime"} <= result["versions"].keys()


def test_the_table_has_every_metric(result):
    lines = text_of(result).splitlines()
    assert len(lines) == 1 + len(result["rows"]) + 2
    assert len({len(line) for line in lines[: 1 + len(result["rows"])]}) == 1  # aligned
    for row, line in zip(result["rows"], lines[1:], strict=False):
        assert line.split()[1] == f"{row['variant']}{'*' if row['default'] else ''}"
        assert f"{row['latency']['3']['median_ms']:.2f}" in line.split()


def test_no_metric_of_memory_is_no_end(result):
    rows = [{**row, "memory": {}, "load_s": None} for row in result["rows"]]
    assert " - " in text_of({**result, "rows": rows}).splitlines()[1]


def test_one_variant_or_runtime(two):
    assert {one.runtime for one in find_contenders(two, "onnxruntime")[0]} == {"onnxruntime"}
    assert [one.variant for one in find_contenders(two[1:], variant="again")[0]] == ["again"]
    assert len(find_contenders([two[0], two[0]])[0]) == len(RUNTIMES)


def test_what_cannot_be_run_is_left_out(two, monkeypatch):
    def missing(*arguments, runtime, **more):
        if runtime == "openvino":
            raise BundleError("this processor has no bf16 arithmetic")

    monkeypatch.setattr(bundle_benchmark, "Predictor", missing)
    found, left_out = find_contenders(two[:1])
    assert [one.runtime for one in found] == ["onnxruntime"]
    if "openvino" in RUNTIMES:
        assert left_out == ["this processor has no bf16 arithmetic"]
        with pytest.raises(BundleError, match="nothing to compare: this processor has no bf16"):
            find_contenders(two[:1], "openvino")
    monkeypatch.setattr(bundle_benchmark, "installed", lambda name: False)
    assert "not installed" in " ".join(find_contenders(two[:1])[1])


def test_bad_arguments(two, tmp_path):
    with pytest.raises(RecipeError, match="runtime 'tensorrt'"):
        find_contenders(two, "tensorrt")
    with pytest.raises(BundleError, match="has no variant 'int4'; it has"):
        find_contenders(two, variant="int4")
    with pytest.raises(BundleError, match="is not a bundle"):
        find_contenders([tmp_path])
    for wrong in ({"batch_sizes": ()}, {"batch_sizes": (0,)}, {"batch_sizes": (5000,)}, {"threads": -1}, {"rounds": 0}):
        with pytest.raises(RecipeError):
            Settings(**wrong)
