"""What is remembered of a machine: read back as it was written, and ignored with a note if it cannot be trusted."""

import dataclasses
import json

import pytest

from lesionlens.bundle import remembered
from lesionlens.bundle.bundle import read_bundle
from lesionlens.bundle.remembered import Timing, Tuning, measured_on, read_tuning, tuning_path, write_tuning
from lesionlens.core import machine
from lesionlens.core.errors import StorageError

OV, ORT = Timing("int8", "openvino", 60.0, 17), Timing("int8", "onnxruntime", 50.0, 20)
FLOAT = Timing("fp32", "openvino", 41.0, 24)
SLOW = Timing("bf16", "openvino", None, reason="it loses 1.4 points")


def tuning(*rows: Timing, default: str = "int8 on openvino", bundle: str = "b") -> Tuning:
    return Tuning(bundle, default, "2026-11-27T02:00:00+00:00", rows, 1, {1: 20.0, 2: 31.5}, 2, {"cores": 2})


@pytest.mark.parametrize(
    ("runtime", "variant", "expected"),
    [
        ("auto", "auto", FLOAT),
        ("onnxruntime", "auto", ORT),
        ("auto", "int8", ORT),
        ("openvino", "int8", OV),
        ("onnxruntime", "fp32", None),
        ("auto", "bf16", None),
    ],
)
def test_the_fastest_of_what_was_requested(runtime, variant, expected):
    assert tuning(OV, ORT, FLOAT, SLOW).fastest(runtime, variant) == expected


def test_the_default_gives_way_only_to_what_is_clearly_faster():
    close, far = dataclasses.replace(FLOAT, median_ms=58.0), dataclasses.replace(FLOAT, median_ms=57.0)
    assert tuning(OV, close).fastest() == OV  # 60 / 58 is within the margin of 1.05
    assert tuning(OV, far).fastest() == far
    assert tuning(SLOW).fastest() is None


def test_why_in_words():
    found = tuning(OV, ORT, FLOAT, SLOW)
    assert found.why(FLOAT) == (
        "fp32 on openvino is the fastest of 3 measured on this machine (41.0 ms per image; "
        "the default, int8 on openvino, takes 60.0 ms)"
    )
    assert "the bundle's default" in found.why(OV)
    assert "int8 on openvino, cannot run here" in tuning(FLOAT).why(FLOAT)


@pytest.fixture
def here(small_bundle):
    bundle = read_bundle(small_bundle)
    rows = (Timing("fp32", "openvino", 2.0, 9), Timing("fp32", "onnxruntime", 1.0, 9))
    return bundle, tuning(*rows, default="fp32 on openvino", bundle=bundle.id)


def test_written_and_read(here, user_cache):
    bundle, found = here
    assert read_tuning(bundle) == (None, ())
    path = write_tuning(bundle, found)
    assert path is not None
    assert path.parent == user_cache / "tuning"
    assert read_tuning(bundle) == (found, ())


def test_another_bundle_or_machine_remembers_nothing(here, user_cache, monkeypatch):
    bundle, found = here
    write_tuning(bundle, found)
    assert read_tuning(dataclasses.replace(bundle, id="f" * 64)) == (None, ())
    for name, value in (("cores", lambda: 77), ("instruction_sets", lambda: ("avx2",)), ("processor", lambda: "another")):
        with monkeypatch.context() as patch:
            patch.setattr(machine, name, value)
            assert read_tuning(bundle) == (None, ())
    monkeypatch.setattr(remembered, "version_of", lambda name: "99.0")
    assert read_tuning(bundle) == (None, ())


@pytest.mark.parametrize(
    "damage",
    [
        lambda value: "",
        lambda value: json.dumps(value)[:40],
        lambda value: "[]",
        lambda value: json.dumps({**value, "format": 2}),
        lambda value: json.dumps({**value, "bundle": "another"}),
        lambda value: json.dumps({key: item for key, item in value.items() if key != "rows"}),
        lambda value: json.dumps({**value, "surprise": 1}),
        lambda value: json.dumps({**value, "threads": -1}),
        lambda value: json.dumps({**value, "streams": 0}),
        lambda value: json.dumps({**value, "streams": "2"}),
        lambda value: json.dumps({**value, "rows": [{**value["rows"][0], "variant": "gone"}]}),
        lambda value: json.dumps({**value, "rows": [{**value["rows"][0], "median_ms": float("nan")}]}),
    ],
)
def test_a_damaged_file_is_noted_and_not_used(here, user_cache, damage):
    bundle, found = here
    path = write_tuning(bundle, found)
    assert path is not None
    path.write_text(damage(json.loads(path.read_text())))
    read, notes = read_tuning(bundle)
    assert read is None
    assert len(notes) == 1
    assert "is damaged" in notes[0]
    assert "lesionlens tune" in notes[0]


def test_with_the_cache_off_nothing_is_remembered(here, monkeypatch):
    bundle, found = here
    monkeypatch.setenv("LESIONLENS_CACHE", "off")
    assert tuning_path(bundle) is None
    assert write_tuning(bundle, found) is None
    assert read_tuning(bundle) == (None, ())


def test_a_cache_that_cannot_be_written(here, tmp_path, monkeypatch):
    bundle, found = here
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("LESIONLENS_CACHE", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="name another folder in LESIONLENS_CACHE"):
        write_tuning(bundle, found)


def test_the_machine_is_named():
    facts = measured_on()
    assert facts["cores"] >= 1
    assert facts["runtimes"]["onnxruntime"]
