"""A self-test that passed on this machine is trusted once asked to be, for the same bundle, limits and versions alone."""

import json
import shutil

import pytest
from tests.slow_values import slow_but

from lesionlens.bundle import passed_checks, runtime
from lesionlens.bundle.runtime import Predictor
from lesionlens.core.errors import BundleError


@pytest.fixture
def runs(monkeypatch):
    """Filled with one item each time that the self-test is run."""
    calls = []
    run_selftest = runtime.run_selftest
    monkeypatch.setattr(runtime, "run_selftest", lambda *args: calls.append(args) or run_selftest(*args))
    return calls


def test_it_is_run_once(small_bundle, user_cache, runs):
    first, second = (Predictor(small_bundle, threads=1, selftest="once") for _ in range(2))
    assert len(runs) == 1
    assert second.selftest.startswith(f"{first.selftest}, on this machine on 20")
    assert first.notes == second.notes


def test_by_default_it_is_run_always_and_remembered(small_bundle, user_cache, runs):
    for selftest in ("always", "always", "once"):
        Predictor(small_bundle, threads=1, selftest=selftest)
    assert len(runs) == 2


@pytest.mark.parametrize(
    ("name", "value"), [("machine_facts", {"cpu": "other"}), ("version_of", "0.1"), ("simulated_isa", "AVX2")]
)
def test_on_another_machine_or_runtime_it_is_run_again(small_bundle, user_cache, runs, monkeypatch, name, value):
    Predictor(small_bundle, threads=1, selftest="once")
    monkeypatch.setattr(passed_checks, name, lambda *_: value)
    Predictor(small_bundle, threads=1, selftest="once")
    assert len(runs) == 2


def test_with_other_limits_it_is_run_again(small_bundle, user_cache, runs):
    Predictor(small_bundle, threads=1, selftest="once")
    Predictor(small_bundle, threads=1, batch_size=2, selftest="once")
    assert len(runs) == 2


@pytest.mark.parametrize(
    "content", slow_but(["", "{", "{}", '{"selftest": 1, "saturation": "", "day": "2026-11-27"}', "[]"], "{")
)
def test_a_damaged_file_is_no_pass(small_bundle, user_cache, runs, content):
    Predictor(small_bundle, threads=1, selftest="once")
    (path,) = (user_cache / "passed").iterdir()
    path.write_text(content)
    Predictor(small_bundle, threads=1, selftest="once")
    assert len(runs) == 2
    assert json.loads(path.read_text())["day"]


def test_a_file_of_the_bundle_that_changed_is_found_all_the_same(small_bundle, user_cache, tmp_path):
    copy = shutil.copytree(small_bundle, tmp_path / "bundle")
    Predictor(copy, threads=1, selftest="once")
    content = bytearray((copy / "model.onnx").read_bytes())
    content[-1] ^= 1
    (copy / "model.onnx").write_bytes(content)
    with pytest.raises(BundleError, match=r"the bytes of model\.onnx have changed"):
        Predictor(copy, threads=1, selftest="once")


def test_one_that_fails_is_not_remembered(small_bundle, user_cache, runs, monkeypatch):
    def fail(*args):
        raise BundleError("it fails")

    monkeypatch.setattr(runtime, "run_selftest", fail)
    for _ in range(2):
        with pytest.raises(BundleError, match="it fails"):
            Predictor(small_bundle, threads=1, selftest="once")
    assert not (user_cache / "passed").exists()


def test_a_cache_that_cannot_be_written_gives_a_note(small_bundle, user_cache, runs):
    user_cache.mkdir(parents=True, exist_ok=True)
    (user_cache / "passed").write_text("a file in its place")
    predictor = Predictor(small_bundle, threads=1, selftest="once")
    assert any("the self-test is repeated at every start" in note for note in predictor.notes)
    assert len(runs) == 1
