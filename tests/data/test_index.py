"""The index: what is written is read back, and what cannot be is refused."""

import json
import os
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lesionlens
from lesionlens.core.artifact import stamp_path
from lesionlens.core.errors import ArtifactError, DataError, StorageError
from lesionlens.core.labels import HAM10000, label_set_of
from lesionlens.data.index import COLUMNS, ORIGINS, Index, Record, read_index, select, write_index

RECORD = Record("a", "images/a.jpg", "mel", "lesion 1", 45.0, "female", "back", "masks/a.png", "test")
INDEX = Index((RECORD, Record("b", "/elsewhere/b.jpg", "nv", "b")), HAM10000, Path("/photos"), "test", ("a note",))

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
RECORDS = st.lists(
    st.builds(
        Record,
        image_id=st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8),
        path=TEXTS,
        dx=st.sampled_from(HAM10000.codes),
        lesion_id=TEXTS,
        age=st.none() | st.floats(0, 120),
        sex=TEXTS,
        site=TEXTS,
        dx_type=TEXTS,
        dataset=TEXTS,
        mask=TEXTS,
        split=st.sampled_from(("", "train", "validation", "test")),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda record: record.image_id,
)


@settings(max_examples=40, deadline=None)
@given(RECORDS)
def test_written_then_read_is_equal(tmp_path_factory: pytest.TempPathFactory, records: list[Record]) -> None:
    path = tmp_path_factory.mktemp("index") / "index.csv"
    index = Index(tuple(records), HAM10000, path.parent, "test", ("one", "two"))
    write_index(index, path)
    back = read_index(path)
    assert back == index
    assert back.notes == index.notes
    assert back.hash == index.hash


class TestWhatTellsTheLabel:
    """`dx_type` and `dataset` are kept for subgroups, and for nothing else."""

    known = replace(INDEX, records=(replace(RECORD, dx_type="histo", dataset="rosendahl"), INDEX.records[1]))

    def test_it_does_not_count_in_the_hash_so_splits_of_earlier_indexes_stay_valid(self) -> None:
        assert self.known.hash == INDEX.hash

    def test_it_has_columns_only_where_it_is_known(self, tmp_path: Path) -> None:
        assert INDEX.columns == COLUMNS
        assert self.known.columns == (*COLUMNS, "dx_type", "dataset")
        write_index(self.known, tmp_path / "index.csv")
        assert read_index(tmp_path / "index.csv") == self.known

    @pytest.mark.parametrize(("old", "new"), [("histo", "follow_up"), ("rosendahl", "vidir_modern")])
    def test_it_cannot_be_changed_by_hand(self, tmp_path: Path, old: str, new: str) -> None:
        path = tmp_path / "index.csv"
        write_index(self.known, path)
        path.write_bytes(path.read_bytes().replace(old.encode(), new.encode()))
        with pytest.raises(ArtifactError, match="changed after it was made"):
            read_index(path)

    def test_only_the_data_package_and_assessments_read_it(self) -> None:
        source = Path(lesionlens.__file__).parent
        allowed = {"data", "assessment", "synthetic", "cli", "reporting", "core"}  # core refuses it as metadata, by name
        allowed |= {"serving"}  # writes it where a clinic's record becomes an index
        readers = {
            path.relative_to(source).parts[0] for path in source.rglob("*.py") if "dx_type" in path.read_text(encoding="utf-8")
        }
        assert readers <= allowed


def test_lookups() -> None:
    assert INDEX.ids == ("a", "b")
    assert INDEX.by_id()["a"] is RECORD
    assert INDEX.dx_indices().tolist() == [4, 5]
    assert INDEX.dx_indices().dtype == np.int64
    assert INDEX.image_path(RECORD) == Path("/photos/images/a.jpg")
    assert INDEX.image_path(INDEX.records[1]) == Path("/elsewhere/b.jpg")
    assert INDEX.mask_path(RECORD) == Path("/photos/masks/a.png")
    assert INDEX.mask_path(INDEX.records[1]) is None
    assert select(INDEX, ["b", "a"]) == (INDEX.records[1], RECORD)
    with pytest.raises(DataError, match="1 ids are not in the index, the first is 'c'"):
        select(INDEX, ["a", "c"])


def test_summary_counts() -> None:
    summary = INDEX.summary()
    assert (summary["images"], summary["lesions"], summary["masks"]) == (2, 2, 1)
    assert (summary["by_dx"]["mel"], summary["by_dx"]["df"], summary["by_split"]) == (1, 0, {"test": 1})


@pytest.mark.parametrize(
    "change", [{name.name: "c"} for name in fields(Record) if name.name not in (*ORIGINS, "age", "dx", "split")]
)
def test_every_field_counts_in_the_hash(change: dict[str, str]) -> None:
    assert replace(INDEX, records=(replace(RECORD, **change), INDEX.records[1])).hash != INDEX.hash


def test_root_and_notes_do_not_count_in_the_hash_but_labels_do() -> None:
    assert replace(INDEX, root=Path("/other"), notes=()).hash == INDEX.hash
    assert replace(INDEX, labels=label_set_of(["mel", "nv"])).hash != INDEX.hash
    assert replace(INDEX, records=(replace(RECORD, age=46.0), INDEX.records[1])).hash != INDEX.hash


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ((), "at least one"),
        ((RECORD, RECORD), "'a' is empty or stands twice"),
        ((replace(RECORD, image_id=""),), "'' is empty"),
        ((replace(RECORD, dx="scc"),), "image a: unknown diagnosis 'scc'.*akiec, bcc, bkl, df, mel, nv, vasc"),
        ((replace(RECORD, split="exam"),), "unknown split 'exam'; known are train"),
    ],
)
def test_wrong_records(records: tuple[Record, ...], words: str) -> None:
    with pytest.raises(DataError, match=words):
        Index(records, HAM10000, Path(), "test")


class TestReading:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        write_index(INDEX, tmp_path / "index.csv")
        return tmp_path / "index.csv"

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(ArtifactError, match="make it with: lesionlens index"):
            read_index(tmp_path / "index.csv")

    def test_without_its_stamp(self, path: Path) -> None:
        stamp_path(path).unlink()
        with pytest.raises(ArtifactError, match="stamp"):
            read_index(path)

    @pytest.mark.parametrize(
        ("old", "new", "words"),
        [
            ("mel", "nv", "changed after it was made"),
            ("mel", "xyz", "damaged .*unknown diagnosis 'xyz'"),
            ("\nb,", "\na,", "damaged .*twice"),
            ("45.0", "old", "damaged"),
            ("lesion_id", "lesion", "damaged"),
            (",test\r\n", "\r\n", "damaged .*9 fields"),
            (",test\r\n", ",test,x\r\n", "damaged .*9 fields"),
            ('"', "", "damaged|changed"),
        ],
    )
    def test_edited_by_hand(self, path: Path, old: str, new: str, words: str) -> None:
        text = path.read_bytes().decode()
        if old == '"':
            path.write_text(text + '"')
        else:
            assert old in text
            path.write_text(text.replace(old, new), newline="")
        with pytest.raises(ArtifactError, match=words):
            read_index(path)

    def test_a_stamp_without_facts(self, path: Path) -> None:
        stamp = json.loads(stamp_path(path).read_text())
        del stamp["facts"]["labels"]
        stamp_path(path).write_text(json.dumps(stamp))
        with pytest.raises(ArtifactError, match="damaged"):
            read_index(path)


class TestWriting:
    def test_onto_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError, match="is a folder"):
            write_index(INDEX, tmp_path)

    def test_a_full_disk_leaves_the_old_index(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "index.csv"
        write_index(INDEX, path)

        def full(*arguments: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "replace", full)
        with pytest.raises(StorageError, match="no space left"):
            write_index(replace(INDEX, records=INDEX.records[:1]), path)
        monkeypatch.undo()
        assert path.read_text().count("\n") == 3
        assert [child.name for child in tmp_path.iterdir() if child.name.endswith(".part")] == []
