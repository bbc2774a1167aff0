"""Measuring: contenders alternate, times are per image, memory is that of one process alone."""

import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlens.bundle import benchmark
from lesionlens.bundle.benchmark import machine, measure, peak_memory, rounds_in_all, rounds_of, spread, versions
from lesionlens.bundle.bundle_benchmark import load_call
from lesionlens.core.errors import ModelError, RecipeError
from lesionlens.core.machine import peak_memory_bytes

IMAGES = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((8, 8, 3), np.uint8)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(benchmark, "PAUSE_S", 0.0)


def test_contenders_alternate_and_each_begins_once_a_cycle():
    order: list[str] = []
    measure({name: lambda _, name=name: order.append(name) for name in "abc"}, IMAGES, (1,), rounds=4)
    turns = order[::2]
    assert order[1::2] == turns  # the call before is the same
    rounds = ["".join(turns[start : start + 3]) for start in range(0, len(turns), 3)]
    assert rounds == ["bca", "cab", "abc", "bca", "cab", "abc"]  # two to warm up, then four


def test_times_are_per_image():
    found = measure({"slow": lambda images: time.sleep(0.004 * len(images))}, IMAGES, (1, 4), rounds=5)["slow"]
    for size in ("1", "4"):
        assert found[size]["fastest_ms"] == pytest.approx(4, rel=0.5)
        assert found[size]["fastest_ms"] <= found[size]["median_ms"] <= found[size]["p95_ms"]
        assert found[size]["images_per_s"] == pytest.approx(1000 / found[size]["median_ms"])
        assert found[size]["rounds"] == 5


def test_by_hand():
    assert spread([4.0, 1.0, 2.0]) == {
        "median_ms": 2.0,
        "p95_ms": pytest.approx(3.8),
        "fastest_ms": 1.0,
        "images_per_s": 500.0,
        "rounds": 3,
    }


def test_a_long_call_is_made_once_in_its_turn(monkeypatch):
    monkeypatch.setattr(benchmark, "REPEAT_MS", 1.0)
    calls: list[int] = []
    measure({"long": lambda images: calls.append(time.sleep(0.003))}, IMAGES, (1,), rounds=3)
    assert len(calls) == 1 + 2 + 3  # the first is not known to be long


def test_batches_are_filled_with_the_images_in_turn():
    seen: list[list[int]] = []
    measure({"see": lambda images: seen.append(images[:, 0, 0, 0].tolist())}, IMAGES, (1, 2, 7), rounds=6)
    alone = seen[:16][::2]
    assert alone == [[3], [4], [0], [1], [2], [3], [4], [0]]
    assert {len(batch) for batch in seen} == {1, 2, 7}
    assert seen[-1] == [0, 1, 2, 3, 4, 0, 1]


def test_images_of_different_sizes():
    small, large = np.zeros((2, 8, 8, 3), np.uint8), np.zeros((2, 16, 16, 3), np.uint8)
    shapes: dict[str, tuple[int, ...]] = {}
    calls = {name: lambda images, name=name: shapes.__setitem__(name, images.shape) for name in ("a", "b")}
    measure(calls, {"a": small, "b": large}, (3,), rounds=1)
    assert shapes == {"a": (3, 8, 8, 3), "b": (3, 16, 16, 3)}


@given(st.lists(st.integers(1, 200), min_size=1, max_size=4), st.integers(1, 100))
def test_rounds(sizes, rounds):
    assert all(min(rounds, 5) <= rounds_of(size, rounds) <= rounds for size in sizes)
    assert rounds_of(1, rounds) == rounds
    assert rounds_in_all(sizes, rounds) == sum(2 + rounds_of(size, rounds) for size in sizes)


def test_progress_comes_once_a_round():
    steps: list[int] = []
    measure({"a": lambda _: None}, IMAGES, (1, 4), 7, steps.append)
    assert sum(steps) == rounds_in_all((1, 4), 7)


def test_bad_arguments():
    for calls, sizes, rounds in (({}, (1,), 1), ({"a": len}, (0,), 1), ({"a": len}, (1,), 0)):
        with pytest.raises(RecipeError, match="each must be 1 or more"):
            measure(calls, IMAGES, sizes, rounds)


def test_a_contender_of_a_process_of_its_own(small_bundle):
    found = peak_memory(load_call, [str(small_bundle), "fp32", "onnxruntime", 1, 2], 64, 2, libraries=("onnxruntime",))
    if peak_memory_bytes() is None:
        assert found is None
        return
    assert 20e6 < found.baseline_bytes < found.peak_bytes < 400e6
    assert 0 < found.load_s < 60
    assert 0 < found.import_s < 60


@pytest.mark.slow
def test_memory_is_what_the_call_takes(tmp_path, monkeypatch):
    if peak_memory_bytes() is None:
        pytest.skip("this system does not tell the memory of a process")
    (tmp_path / "hungry.py").write_text(
        "import numpy as np\ndef load(megabytes):\n    return lambda images: np.ones(megabytes * 10**6, np.uint8)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    import hungry

    small, large = (peak_memory(hungry.load, [size], 8) for size in (10, 110))
    assert large.peak_bytes - large.baseline_bytes - (small.peak_bytes - small.baseline_bytes) == pytest.approx(100e6, rel=0.1)


def test_what_cannot_be_measured(small_bundle):
    with pytest.raises(RecipeError, match="put it into a module"):
        peak_memory(lambda: len, [], 8)
    with pytest.raises(ModelError, match="has no variant 'int8'"):
        peak_memory(load_call, [str(small_bundle), "int8", "onnxruntime", 0, 1], 64)


def test_a_simulated_processor_is_named(monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "avx2")
    here = machine()
    assert here["simulated"] == "ONEDNN_MAX_CPU_ISA=AVX2"
    assert here["int8_instructions"] in (False, None)
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    assert machine()["simulated"] is None


def test_where_it_was_measured():
    assert machine()["cores"] >= 1
    assert versions()["python"] == sys.version.split()[0]
    assert {"numpy", "pillow", "lesionlens"} <= versions().keys()
