import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlens.bundle.decision import Decision
from lesionlens.bundle.gate import GateResult
from lesionlens.bundle.prediction import BundleVariant, Failure, ImageInfo, Prediction
from lesionlens.bundle.results import LINES, Csv, JsonLines, ResultFile, Table, row_of
from lesionlens.core.errors import ArtifactError, ImageError, StorageError
from lesionlens.core.labels import HAM10000
from lesionlens.data.image import InputSpec

SPEC = InputSpec(64, 64, "squash", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
TIMINGS = {"decode": 4.0, "resize": 1.25, "network": 66.0}
RESUMABLE = {"jsonl": JsonLines(HAM10000), "csv": Csv(HAM10000)}
NAMES = st.text(st.characters(exclude_characters="\x00", exclude_categories=()), min_size=1, max_size=20)


def bundle(id_: str = "b" * 64) -> BundleVariant:
    return BundleVariant(id_, "light", "int8")


def result(
    name: str = "a.jpg", bundle_id: str = "b" * 64, gate_result: GateResult | None = None, decision: Decision | None = None
) -> dict:
    probabilities = np.array([0.01, 0.02, 0.03, 0.04, 0.6, 0.25, 0.05], np.float32)
    prediction = Prediction(
        source=name,
        image=ImageInfo(600, 450),
        labels=HAM10000,
        probabilities=probabilities,
        features=np.zeros(2),
        maps=None,
        spec=SPEC,
        timings_ms=TIMINGS,
        bundle=bundle(bundle_id),
        gate_result=gate_result,
        decision=decision,
    )
    return row_of(prediction, prediction.bundle)


def failure(name: str, bundle_id: str = "b" * 64) -> dict:
    return row_of(Failure(name, ImageError(f"{name} is damaged")), bundle(bundle_id))


def test_a_row_of_json():
    row = json.loads(JsonLines(HAM10000).line(result()))
    assert (row["source"], row["diagnosis"], row["malignant_share"]) == ("a.jpg", "mel", 0.63)
    assert row["probabilities"][5] == {"code": "nv", "name": "Melanocytic nevus", "malignant": False, "probability": 0.25}
    assert row["timings_ms"] == {**TIMINGS, "total": 71.25}
    assert row["image"] == {"width": 600, "height": 450, "frames": 1, "frame": 0, "pixel_spacing_mm": None}
    assert row["bundle"] == {"id": "b" * 64, "name": "light", "variant": "int8"}
    failed = json.loads(JsonLines(HAM10000).line(failure("x")))
    assert failed == {"source": "x", "error": "x is damaged", "bundle": row["bundle"]}


def test_lines_of_0_1_are_told_apart(tmp_path):
    path = tmp_path / "old.jsonl"
    path.write_text('{"image": "a.jpg", "outcome": "diagnosis", "bundle": "%s"}\n' % ("b" * 64))
    with pytest.raises(ArtifactError, match="form of lesionlens 0.1"):
        ResultFile(path, JsonLines(HAM10000), "b" * 64)
    assert path.read_text().count("\n") == 1


def test_what_decoding_assumed_is_in_json_and_csv():
    row = {**result(), "notes": ["frame 1 of 3 was used", "transparent pixels were laid on white"]}
    header = next(csv.reader([Csv(HAM10000).header()]))
    values = dict(zip(header, next(csv.reader([Csv(HAM10000).line(row)])), strict=True))
    assert values["notes"] == "frame 1 of 3 was used; transparent pixels were laid on white"
    assert json.loads(JsonLines(HAM10000).line(row))["notes"] == row["notes"]


def test_outcomes_in_every_form():
    """Never a bare label: what is not a diagnosis has none, and an unusable image says why."""
    unusable = GateResult(False, ("blurred", "too_dark"), {"sharpness": 1.0})
    rows = {
        "not_sure": result(decision=Decision(("nv",), 0.95, 0.2), gate_result=GateResult(True, (), {})),
        "not_usable": result(gate_result=unusable),
        "diagnosis": result(gate_result=GateResult(True, (), {})),
    }
    header = next(csv.reader([Csv(HAM10000).header()]))
    for outcome, row in rows.items():
        told = json.loads(JsonLines(HAM10000).line(row))
        values = dict(zip(header, next(csv.reader([Csv(HAM10000).line(row)])), strict=True))
        assert told["outcome"] == values["outcome"] == outcome
        assert told["explanation"] == values["explanation"] != ""
        assert "; ".join(told["notes"]) == values["notes"]
        assert (told["diagnosis"] or "") == values["diagnosis"] == ("mel" if outcome == "diagnosis" else "")
        assert Table(HAM10000).line(row).startswith(outcome.replace("_", " "))
    values = dict(zip(header, next(csv.reader([Csv(HAM10000).line(rows["not_usable"])])), strict=True))
    assert (values["reasons"], values["p_mel"], values["malignant_share"]) == ("blurred too_dark", "", "")
    text = Table(HAM10000).line(rows["not_usable"])
    assert text.endswith("a.jpg  (blurred, too_dark)")
    assert "Melanoma" not in text
    assert "Melanoma (mel)" in Table(HAM10000).line(rows["not_sure"])


def test_a_row_of_csv():
    lines = Csv(HAM10000)
    header, values = next(csv.reader([lines.header()])), next(csv.reader([lines.line(result('a "b", c.jpg'))]))
    row = dict(zip(header, values, strict=True))
    assert (row["image"], row["diagnosis"], row["p_mel"], row["network_ms"], row["error"]) == (
        'a "b", c.jpg',
        "mel",
        "0.6",
        "66.0",
        "",
    )
    row = dict(zip(header, next(csv.reader([lines.line(failure("x.jpg"))])), strict=True))
    assert (row["image"], row["diagnosis"], row["p_mel"], row["error"]) == ("x.jpg", "", "", "x.jpg is damaged")


def test_a_table_is_aligned():
    lines = Table(HAM10000)
    texts = [lines.header(), lines.line(result()), lines.line(failure("a.jpg"))]
    assert [text.index("image" if number == 0 else "a.jpg") for number, text in enumerate(texts)] == [len(texts[1]) - 5] * 3
    assert "Melanoma (mel)" in texts[1]
    assert "0.600" in texts[1]
    assert "0.630" in texts[1]
    assert "71.2" in texts[1]
    assert set(LINES) == {"jsonl", "csv", "table"}


@pytest.mark.parametrize("form", RESUMABLE)
def test_a_file_goes_on_wherever_it_was_cut(form, tmp_path):
    """kill -9 may leave any number of bytes: wherever the cut is, the file is the same in the end."""
    names = ["a.jpg", 'b "x",\n2.jpg', "ä\r.jpg", "d.jpg"]
    path = tmp_path / "out"

    def write(done: set[str] | None = None) -> set[str]:
        with ResultFile(path, RESUMABLE[form], "b" * 64) as file:
            before = set(file.finished)
            for name in names:
                if name not in before:
                    file.write(result(name))
        return before

    write()
    whole = path.read_bytes()
    ends = [number for number, byte in enumerate(whole) if byte in b'\r\n"']
    near = {end + step for end in ends[:12] + ends[-3:] for step in (0, 1)}
    for cut in sorted({*range(0, len(whole), 101), *near, len(whole)}):
        path.write_bytes(whole[:cut])
        finished = write()
        assert path.read_bytes() == whole, cut
        assert len(finished) <= len(names)
    path.write_bytes(whole)
    assert write() == set(names)


@pytest.mark.parametrize("form", RESUMABLE)
def test_failures_are_tried_again(form, tmp_path):
    path = tmp_path / "out"
    with ResultFile(path, RESUMABLE[form], "b" * 64) as file:
        file.write(failure("a.jpg"))
        file.write(result("b.jpg"))
    assert b"damaged" in path.read_bytes()
    with ResultFile(path, RESUMABLE[form], "b" * 64) as file:
        assert file.finished == {"b.jpg"}
        file.write(result("a.jpg"))
    assert b"damaged" not in path.read_bytes()
    assert path.read_bytes().count(b"a.jpg") == 1


@given(names=st.lists(NAMES, unique=True, max_size=5), form=st.sampled_from(sorted(RESUMABLE)))
def test_any_name_survives(names, form, tmp_path_factory):
    path = tmp_path_factory.mktemp("out") / "results"
    usable = [name for name in names if _is_file_name(name)]
    with ResultFile(path, RESUMABLE[form], "b" * 64) as file:
        for name in usable:
            file.write(result(name))
    with ResultFile(path, RESUMABLE[form], "b" * 64) as file:
        assert file.finished == set(usable)


def _is_file_name(name: str) -> bool:
    try:
        return name == name.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False


@pytest.mark.parametrize("form", RESUMABLE)
def test_results_of_another_bundle_are_left_alone(form, tmp_path):
    path = tmp_path / "out"
    with ResultFile(path, RESUMABLE[form], "b" * 64) as file:
        file.write(result())
    before = path.read_bytes()
    with pytest.raises(ArtifactError, match="holds results of bundle bbbbbbbbbbbb, not cccccccccccc"):
        ResultFile(path, RESUMABLE[form], "c" * 64)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("form", RESUMABLE)
@pytest.mark.parametrize(
    "text", ["my thesis\nchapter 1\n", "my thesis", '{"a": 1}\n', "[1, 2]\n", "1\n", "image,diagnosis\nx,y\n"]
)
def test_another_file_is_left_alone(form, text, tmp_path):
    path = tmp_path / "out"
    path.write_text(text)
    with pytest.raises(ArtifactError, match="holds no results of predict"):
        ResultFile(path, RESUMABLE[form], "b" * 64)
    assert path.read_text() == text


def test_the_folder_is_made(tmp_path):
    with ResultFile(tmp_path / "new" / "out.csv", RESUMABLE["csv"], "b" * 64) as file:
        file.write(result())
    assert (
        (tmp_path / "new" / "out.csv").read_text().splitlines()[0].startswith("image,outcome,diagnosis,malignant_share,p_akiec")
    )


@pytest.mark.parametrize("form", RESUMABLE)
@pytest.mark.parametrize("there", [False, True])
def test_only_one_may_write(form, there, tmp_path):
    path = tmp_path / "out"
    if there:
        with ResultFile(path, RESUMABLE[form], "b" * 64) as file:
            file.write(failure("a.jpg"))  # so that going on with it puts another file in its place
    with ResultFile(path, RESUMABLE[form], "b" * 64) as file:
        file.write(result("a.jpg"))
        with pytest.raises(StorageError, match="is being written by another process; wait for it, or choose another --out"):
            ResultFile(path, RESUMABLE[form], "b" * 64)
        file.write(result("b.jpg"))
    with ResultFile(path, RESUMABLE[form], "b" * 64) as file:
        assert file.finished == {"a.jpg", "b.jpg"}
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_gone_on_with_is_free_again(tmp_path):
    path = tmp_path / "out"
    path.write_text("my thesis")
    for _ in range(2):
        with pytest.raises(ArtifactError):
            ResultFile(path, RESUMABLE["csv"], "b" * 64)


def test_a_device_is_never_replaced():
    with pytest.raises(StorageError, match="is a device or a pipe"):
        ResultFile(Path(os.devnull), RESUMABLE["csv"], "b" * 64)
    assert not Path(os.devnull).is_file()
