"""Compiled graphs in the cache: the same results, and nothing that is damaged is ever used."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tests.bundle.test_engines import write_toy

from lesionlens.bundle import compiled
from lesionlens.bundle.compiled import MAGIC, CompiledGraph
from lesionlens.bundle.engines import Limits, installed, load_engine
from lesionlens.bundle.runtime import Predictor
from lesionlens.core import machine
from lesionlens.core.errors import BundleError

pytestmark = pytest.mark.skipif(not installed("openvino"), reason="openvino is not installed")
IMAGE = np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3)


@pytest.fixture
def cache(user_cache) -> Path:
    return user_cache / "compiled"


def load(tmp_path: Path, content: str = "toy", limits: Limits = Limits(1)):  # noqa: B008  immutable
    return load_engine("openvino", write_toy(tmp_path / "toy.onnx"), 4, "fp32", limits, content)


def compiled_anew(monkeypatch) -> list[object]:
    """Filled with one item each time that a graph is compiled rather than read."""
    import openvino

    calls: list[object] = []
    compile_model = openvino.Core.compile_model
    monkeypatch.setattr(openvino.Core, "compile_model", lambda *args: calls.append(args) or compile_model(*args))
    return calls


def test_the_second_load_does_not_compile_and_computes_the_same(tmp_path, cache, monkeypatch):
    calls = compiled_anew(monkeypatch)
    first, second = load(tmp_path), load(tmp_path)
    assert len(calls) == 1
    assert len(list(cache.iterdir())) == 1
    assert (first.notes, second.notes) == ((), ())
    assert (first.inputs, first.outputs) == (second.inputs, second.outputs)
    for one, other in zip(first.run(IMAGE), second.run(IMAGE), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("limits", [Limits(2), Limits(1, batch_size=3), Limits(1, streams=2)])
def test_other_settings_or_another_graph_are_other_entries(tmp_path, cache, limits):
    load(tmp_path)
    load(tmp_path, limits=limits)
    load(tmp_path, content="other")
    assert len(list(cache.iterdir())) == 3


def test_another_processor_or_version_is_another_entry(cache, monkeypatch):
    here = CompiledGraph("toy", {"version": "1"}).path
    assert here == CompiledGraph("toy", {"version": "1"}).path
    assert here != CompiledGraph("toy", {"version": "2"}).path
    monkeypatch.setattr(machine, "instruction_sets", lambda: ("avx2",))
    assert here != CompiledGraph("toy", {"version": "1"}).path


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: b"X" + content[1:],
        lambda content: content + b"more",
    ],
)
def test_a_damaged_entry_is_noted_and_made_again(tmp_path, cache, damage, monkeypatch):
    expected = load(tmp_path).run(IMAGE)
    (entry,) = cache.iterdir()
    whole = entry.read_bytes()
    entry.write_bytes(damage(whole))
    calls = compiled_anew(monkeypatch)
    again = load(tmp_path)
    assert len(calls) == 1
    assert len(again.notes) == 1
    assert "was damaged (its bytes have changed) and is made again" in again.notes[0]
    np.testing.assert_array_equal(again.run(IMAGE).probabilities, expected.probabilities)
    assert entry.read_bytes().startswith(MAGIC)
    assert load(tmp_path).notes == ()


def test_an_entry_that_openvino_refuses_is_made_again(tmp_path, cache):
    import hashlib

    load(tmp_path)
    (entry,) = cache.iterdir()
    entry.write_bytes(MAGIC + hashlib.sha256(b"no graph").digest() + b"no graph")
    assert "was damaged" in load(tmp_path).notes[0]
    assert load(tmp_path).notes == ()


def test_a_cache_that_cannot_be_written_is_noted(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("LESIONLENS_CACHE", str(tmp_path / "file"))
    engine = load(tmp_path)
    assert len(engine.notes) >= 1
    assert "LESIONLENS_CACHE names another place" in engine.notes[-1]
    assert engine.run(IMAGE).probabilities.shape == (1, 3)


def test_without_a_hash_or_with_the_cache_off_nothing_is_kept(tmp_path, cache, monkeypatch):
    load(tmp_path, content="")
    assert not cache.exists()
    monkeypatch.setenv("LESIONLENS_CACHE", "off")
    load(tmp_path)
    assert not cache.exists()


def test_a_graph_of_another_size_is_not_kept(tmp_path, cache):
    write_toy(tmp_path / "five.onnx", 5)
    engine = load_engine("openvino", tmp_path / "five.onnx", 4, "fp32", Limits(1), "toy")
    assert engine.inputs["images"].shape == (None, 5, 5, 3)  # which check_ports refuses, now and the next time
    assert not cache.exists()


def test_what_was_not_used_for_long_gives_way(tmp_path, cache, monkeypatch):
    load(tmp_path)
    (first,) = cache.iterdir()
    os.utime(first, (1, 1))
    load(tmp_path, content="second")
    monkeypatch.setattr(compiled, "LIMIT_BYTES", 2 * first.stat().st_size + 10)
    load(tmp_path, content="third")
    assert not first.exists()
    assert len(list(cache.iterdir())) == 2


def test_using_an_entry_makes_it_young(tmp_path, cache):
    load(tmp_path)
    (entry,) = cache.iterdir()
    os.utime(entry, (1, 1))
    load(tmp_path)
    assert entry.stat().st_mtime > 1000


def test_threads_may_write_one_entry_at_once(tmp_path, cache):
    graph = write_toy(tmp_path / "toy.onnx")
    with ThreadPoolExecutor(4) as pool:
        engines = list(pool.map(lambda _: load_engine("openvino", graph, 4, "fp32", Limits(1), "toy"), range(8)))
    found = [engine.run(IMAGE).probabilities for engine in engines]
    assert len(list(cache.iterdir())) == 1
    for each in found:
        np.testing.assert_array_equal(each, found[0])
    assert load(tmp_path).notes == ()


def test_a_bundle_is_kept_under_its_hash_and_a_changed_one_is_still_refused(small_bundle, tmp_path, cache):
    copy = shutil.copytree(small_bundle, tmp_path / "bundle")
    images = np.zeros((1, 64, 64, 3), np.uint8)
    one = Predictor(copy, runtime="openvino", threads=1).run(images)
    two = Predictor(copy, runtime="openvino", threads=1).run(images)
    assert len(list(cache.iterdir())) == 1
    np.testing.assert_array_equal(one.probabilities, two.probabilities)
    np.testing.assert_array_equal(one.maps, two.maps)
    content = bytearray((copy / "model.onnx").read_bytes())
    content[-1] ^= 1
    (copy / "model.onnx").write_bytes(content)
    with pytest.raises(BundleError, match=r"the bytes of model\.onnx have changed"):
        Predictor(copy, runtime="openvino", threads=1)
