"""A folder for each diagnosis."""

from pathlib import Path

import pytest
from PIL import Image

from lesionlens.core.errors import DataError
from lesionlens.core.labels import HAM10000
from lesionlens.data.sources.folder import read_folder
from lesionlens.data.sources.rules import Rules


def add(root: Path, *paths: str, shade: int = 0) -> None:
    for number, path in enumerate(paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (shade or number + 1, 0, 0)).save(root / path)


def test_the_folder_is_the_label(tmp_path: Path) -> None:
    add(tmp_path, "MEL/b.jpg", "MEL/deeper/a.png", "nv/c.jpg", "nv/c_mask.png")
    index = read_folder(tmp_path)
    assert sorted((r.image_id, r.dx, r.lesion_id, r.path, r.mask) for r in index.records) == [
        ("a", "mel", "a", "MEL/deeper/a.png", ""),
        ("b", "mel", "b", "MEL/b.jpg", ""),
        ("c", "nv", "c", "nv/c.jpg", "nv/c_mask.png"),
    ]
    assert index.source == "folder"


def test_labels_of_ones_own_and_known_sets(tmp_path: Path) -> None:
    add(tmp_path / "own", "wart/a.jpg", "Merkel/b.jpg")
    own = read_folder(tmp_path / "own", Rules(malignant=("merkel",))).labels
    assert (own.codes, own.malignant) == (("merkel", "wart"), (True, False))
    add(tmp_path / "ham", *(f"{code}/{code}.jpg" for code in HAM10000.codes))
    assert read_folder(tmp_path / "ham").labels == HAM10000


def test_folders_of_parts(tmp_path: Path) -> None:
    add(tmp_path, "train/mel/a.jpg", "train/nv/b.jpg", "Val/mel/c.jpg", "test/nv/d.jpg")
    records = read_folder(tmp_path).by_id()
    assert {name: (records[name].dx, records[name].split) for name in "abcd"} == {
        "a": ("mel", "train"),
        "b": ("nv", "train"),
        "c": ("mel", "validation"),
        "d": ("nv", "test"),
    }


def test_equal_names_of_different_images_become_paths(tmp_path: Path) -> None:
    add(tmp_path, "mel/001.jpg", "nv/001.jpg", "nv/002.jpg")
    assert sorted(read_folder(tmp_path).ids) == ["mel_001", "nv_001", "nv_002"]


def test_one_image_under_two_diagnoses(tmp_path: Path) -> None:
    add(tmp_path, "mel/001.jpg", "nv/001.jpg", shade=7)
    with pytest.raises(DataError, match=r"mel/001.jpg and .*nv/001.jpg are one image"):
        read_folder(tmp_path)


def test_one_image_in_two_parts(tmp_path: Path) -> None:
    add(tmp_path, "train/mel/001.jpg", "test/mel/001.jpg", shade=7)
    add(tmp_path, "train/nv/002.jpg")
    with pytest.raises(DataError, match="one split"):
        read_folder(tmp_path)


def test_copies_within_a_diagnosis_are_dropped_with_a_note(tmp_path: Path) -> None:
    add(tmp_path, "mel/001.jpg", "mel/copy/001.jpg", shade=7)
    add(tmp_path, "nv/002.jpg")
    index = read_folder(tmp_path)
    assert sorted(index.ids) == ["001", "002"]
    assert "1 images are there more than once" in index.notes[0]


def test_images_outside_any_diagnosis(tmp_path: Path) -> None:
    add(tmp_path, "a.jpg", "mel/b.jpg", "nv/c.jpg")
    with pytest.raises(DataError, match="1 images are in .* itself, the first is a.jpg"):
        read_folder(tmp_path)
    add(tmp_path / "parts", "train/a.jpg", "test/mel/b.jpg")
    with pytest.raises(DataError, match="is in no folder of a diagnosis"):
        read_folder(tmp_path / "parts")


def test_one_diagnosis_is_none(tmp_path: Path) -> None:
    add(tmp_path, "mel/a.jpg", "mel/b.jpg")
    with pytest.raises(DataError, match="has 1 diagnosis; a classifier needs two"):
        read_folder(tmp_path)
