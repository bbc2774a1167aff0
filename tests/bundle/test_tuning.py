"""Choice by measurement: the fastest that is allowed is run, and the user is told why."""

import dataclasses
import json
import shutil
import subprocess
import sys

import pytest

from lesionlens.bundle import runtime, tuning
from lesionlens.bundle.bundle import Bundle, read_bundle
from lesionlens.bundle.engines import installed
from lesionlens.bundle.inspection import inspect_bundle
from lesionlens.bundle.remembered import Timing, read_tuning
from lesionlens.bundle.runtime import Predictor
from lesionlens.bundle.selection import select
from lesionlens.bundle.tuning import not_eligible, text_of, tune, tune_if_new
from lesionlens.core.errors import BundleError
from lesionlens.core.recipe import CompressionRecipe

BOTH = pytest.mark.skipif(not installed("openvino"), reason="openvino is not installed")
SECONDS = 0.01


@pytest.fixture
def measured(monkeypatch):
    """Times by variant, runtime and threads instead of a clock; 100 ms for what is not named."""
    times: dict[tuple[str, str, int], float] = {}

    def known(bundle, variant, runtime, threads, seconds):
        return [times.get((variant, runtime, threads), 100.0)] * 3

    monkeypatch.setattr(tuning, "_times", known)
    monkeypatch.setattr(tuning, "cores", lambda: 4)
    monkeypatch.setattr(tuning, "_images_per_s", lambda *_: {1: 10.0, 2: 10.9, 4: 8.0})
    return times


def with_variants(bundle: Bundle, **losses: float | None) -> Bundle:
    """The bundle with variants that lost so much on the validation split."""
    variants = dict(bundle.variants)
    for name, loss in losses.items():
        record = {} if loss is None else {"validation_balanced_accuracy": {"fp32": 0.75, name: 0.75 - loss, "n_images": 100}}
        variants[name] = dataclasses.replace(bundle.variants["fp32"], name=name, metrics=record)
    return dataclasses.replace(bundle, variants=variants)


@BOTH
def test_the_fastest_is_remembered_and_run(small_bundle, user_cache, measured):
    assert select(read_bundle(small_bundle)).runtime == "openvino"
    measured[("fp32", "onnxruntime", 0)] = 50.0
    found = tune(small_bundle, SECONDS)
    assert found.fastest() == Timing("fp32", "onnxruntime", 50.0, 3)
    predictor = Predictor(small_bundle)
    assert predictor.runtime == "onnxruntime"
    assert predictor.why == (
        "fp32 on onnxruntime is the fastest of 2 measured on this machine (50.0 ms per image; "
        "the default, fp32 on openvino, takes 100.0 ms)"
    )
    assert predictor.why in predictor.notes
    assert Predictor(small_bundle, runtime="openvino").runtime == "openvino"
    assert Predictor(small_bundle, runtime="openvino", variant="fp32").why == "as requested"


@BOTH
def test_the_bundle_stays_as_it_is_and_inspect_says_what_runs(small_bundle, tmp_path, user_cache, measured):
    copy = shutil.copytree(small_bundle, tmp_path / "bundle")
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    assert "not measured on this machine (lesionlens tune)" in inspect_bundle(copy).text()
    measured[("fp32", "onnxruntime", 0)] = 50.0
    tune(copy, SECONDS)
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before
    found = inspect_bundle(copy)
    assert found.runs["runtime"] == "onnxruntime"
    assert "runs here     fp32 on onnxruntime: fp32 on onnxruntime is the fastest of 2" in found.text()
    assert json.loads(json.dumps(found.to_json()))["runs"] == found.runs


@pytest.mark.slow
@BOTH
def test_threads_and_streams_are_used_unless_named(small_bundle, user_cache, measured, monkeypatch):
    measured[("fp32", "openvino", 2)] = 80.0
    monkeypatch.setattr(tuning, "_images_per_s", lambda *_: {1: 10.0, 2: 11.5, 4: 11.0})
    found = tune(small_bundle, SECONDS)
    assert (found.threads, found.streams) == (2, 2)
    assert Predictor(small_bundle).limits == (2, 1, 1)  # a second stream makes each image later, so it has to be requested
    assert Predictor(small_bundle, streams=0).limits == (2, 1, 2)
    assert Predictor(small_bundle, threads=1, streams=3).limits == (1, 1, 3)
    assert Predictor(small_bundle, runtime="onnxruntime", streams=0).limits == (0, 1, 1)  # it was measured for another


@BOTH
def test_small_gains_change_nothing(small_bundle, user_cache, measured):
    measured[("fp32", "onnxruntime", 0)] = 97.0
    measured[("fp32", "openvino", 4)] = 97.0
    found = tune(small_bundle, SECONDS)
    assert (found.fastest().name, found.threads, found.streams) == ("fp32 on openvino", 0, 1)
    assert "and the bundle's default" in text_of(found)


def test_a_variant_that_loses_too_much_is_not_chosen(small_bundle):
    bundle = with_variants(read_bundle(small_bundle), int8=0.02, bf16=0.005, quick=None)
    reasons = {name: not_eligible(bundle, variant) for name, variant in bundle.variants.items()}
    assert reasons["fp32"] == reasons["bf16"] == ""
    assert reasons["int8"] == "it loses 2.00 points of balanced accuracy on the validation split, 1.00 are allowed"
    assert "is not recorded" in reasons["quick"]
    assert not_eligible(dataclasses.replace(bundle, default_variant="int8"), bundle.variants["int8"]) == ""
    record = {"fp32": 0.75, "int8": 0.73, "allowed": 0.03}
    lenient = dataclasses.replace(bundle.variants["int8"], metrics={"validation_balanced_accuracy": record})
    assert not_eligible(bundle, lenient) == ""


def test_the_allowed_loss_of_old_bundles_is_the_recipes():
    assert CompressionRecipe().default_drop == tuning.ALLOWED_DROP


def test_not_timed_means_not_run(small_bundle, user_cache, measured, monkeypatch):
    bundle = with_variants(read_bundle(small_bundle), int8=0.02)
    monkeypatch.setattr(tuning, "read_bundle", lambda path: bundle)
    measured[("int8", "onnxruntime", 0)] = 1.0
    found = tune(small_bundle, SECONDS)
    assert found.fastest().variant == "fp32"
    assert all(row.median_ms is None for row in found.rows if row.variant == "int8")
    assert "it loses 2.00 points" in text_of(found)


def test_what_fails_its_selftest_is_named(small_bundle, user_cache, measured, monkeypatch):
    def fails(bundle, variant, runtime, threads, seconds):
        if runtime == "onnxruntime":
            raise BundleError("fails its self-test")
        return [1.0]

    monkeypatch.setattr(tuning, "_times", fails)
    if installed("openvino"):
        found = tune(small_bundle, SECONDS)
        assert found.rows[1] == Timing("fp32", "onnxruntime", None, 0, "fails its self-test")
        assert "fails its self-test" in text_of(found)
    monkeypatch.setattr(tuning, "installed", lambda name: name == "onnxruntime")
    with pytest.raises(BundleError, match="nothing in bundle .* can be measured here: .*not installed.*fails its self-test"):
        tune(small_bundle, SECONDS)


@pytest.mark.slow
def test_it_is_really_timed(small_bundle, user_cache, monkeypatch):
    """With the clock, every installed runtime, threads and streams; the times themselves are the machine's."""
    monkeypatch.setattr(tuning, "cores", lambda: 2)
    said: list[str] = []
    found = tune(small_bundle, SECONDS, said.append)
    assert [row.calls >= 3 for row in found.rows if row.median_ms is not None]
    assert said[0] == "fp32 on openvino"
    assert found.images_per_s.keys() == {1, 2}
    assert all(value > 0 for value in found.images_per_s.values())
    assert read_tuning(read_bundle(small_bundle)) == (found, ())
    assert Predictor(small_bundle).why == found.why(found.fastest())


@pytest.mark.slow
@BOTH
def test_a_process_of_its_own_measures_once(small_bundle, user_cache, monkeypatch):
    commands: list[list[str]] = []

    def run(command, **options):
        commands.append(command)
        tune(small_bundle, SECONDS)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(tuning.subprocess, "run", run)
    notes: list[str] = []
    for requested in (("onnxruntime", "fp32"), ("auto", "auto"), ("auto", "auto"), ("openvino", "auto")):
        tune_if_new(small_bundle, *requested, notes.append)
    assert commands == [[sys.executable, "-m", "lesionlens.bundle.tuning", str(small_bundle)]]
    assert len(notes) == 1
    assert "measuring once" in notes[0]


@BOTH
def test_where_nothing_is_remembered_nothing_is_measured(small_bundle, monkeypatch):
    monkeypatch.setattr(tuning.subprocess, "run", lambda *_, **__: pytest.fail("it was measured"))
    tune_if_new(small_bundle, "auto", "auto", pytest.fail)
    monkeypatch.setattr(tuning, "installed", lambda name: name == "onnxruntime")  # one candidate is no choice
    tune_if_new(small_bundle, "auto", "auto", pytest.fail)


@BOTH
def test_a_measurement_that_fails_is_no_failure_of_the_server(small_bundle, user_cache, monkeypatch):
    failed = subprocess.CompletedProcess([], 4, "", "Traceback\nMemoryError: too much\n")
    monkeypatch.setattr(tuning.subprocess, "run", lambda *_, **__: failed)
    notes: list[str] = []
    tune_if_new(small_bundle, "auto", "auto", notes.append)
    assert notes[-1] == "measuring failed, so the bundle's default runs: MemoryError: too much"
    assert runtime.select(read_bundle(small_bundle)).variant.name == "fp32"


def test_the_process_of_its_own(small_bundle, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["tuning", str(tmp_path)])
    with pytest.raises(SystemExit) as stop:
        tuning.main()
    assert "is not a bundle" in str(stop.value.code)
