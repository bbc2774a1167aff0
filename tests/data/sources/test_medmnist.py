"""MedMNIST: images inside an .npz become files once, with HAM10000's labels for DermaMNIST."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lesionlens.core.errors import DataError, StorageError
from lesionlens.core.labels import HAM10000
from lesionlens.data.sources.rules import Rules
from lesionlens.data.sources.source import read_source

COUNTS = {"train": 7, "val": 2, "test": 3}


def arrays() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    content: dict[str, np.ndarray] = {}
    for key, count in COUNTS.items():
        content[f"{key}_images"] = random.integers(0, 255, (count, 64, 64, 3), dtype=np.uint8)
        content[f"{key}_labels"] = (np.arange(count) % 7).astype(np.uint8)[:, None]
    return content


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    path = tmp_path / "dermamnist_64.npz"
    np.savez(path, **arrays())
    return path


@pytest.mark.parametrize("give", ["file", "folder"])
def test_dermamnist(npz: Path, tmp_path: Path, give: str) -> None:
    index = read_source(npz if give == "file" else npz.parent, rules=Rules(unpack_to=tmp_path / "out" / "images"))
    assert (index.source, index.labels, len(index)) == ("dermamnist_64", HAM10000, 12)
    assert [(r.image_id, r.dx, r.split) for r in index.records[6:8]] == [
        ("train_000006", "vasc", "train"),
        ("val_000000", "akiec", "validation"),
    ]
    with Image.open(index.image_path(index.records[-1])) as image:
        assert np.array_equal(np.asarray(image), arrays()["test_images"][2])
    assert index.summary()["without_lesion_id"] == 12
    assert any("images of one lesion are in several of its splits" in note for note in index.notes)


def test_beside_the_file_and_only_once(npz: Path) -> None:
    index = read_source(npz)
    assert index.root == npz.parent / "dermamnist_64"
    before = index.image_path(index.records[0]).stat().st_mtime_ns
    assert read_source(npz) == index
    assert index.image_path(index.records[0]).stat().st_mtime_ns == before


def test_a_folder_of_somebody_elses_is_kept(npz: Path) -> None:
    (npz.parent / "dermamnist_64").mkdir()
    (npz.parent / "dermamnist_64" / "mine.txt").write_text("mine")
    with pytest.raises(StorageError, match="is not something that LesionLens made"):
        read_source(npz)


def test_numbers_of_another_set_are_asked_about(npz: Path) -> None:
    other = npz.rename(npz.with_name("bloodmnist_64.npz"))
    with pytest.raises(DataError, match="not known whether 0, 1, 2, 3, 4, 5, 6 is malignant"):
        read_source(other)
    assert not read_source(other, rules=Rules(benign_only=True)).labels.has_malignant


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"val_images": None}, "has no val_images of shape"),
        ({"train_images": np.zeros((7, 64, 64), np.uint8)}, "has no train_images of shape"),
        ({"test_images": np.zeros((3, 28, 28, 3), np.uint8)}, "28x28 pixels.*at least 32.*dermamnist_224.npz"),
        ({"test_labels": np.zeros((2, 1), np.uint8)}, "one label for each image"),
        ({"extra": np.array([object()])}, "cannot be read as .npz"),
    ],
)
def test_other_contents(tmp_path: Path, change: dict[str, np.ndarray | None], words: str) -> None:
    content = {key: value for key, value in {**arrays(), **change}.items() if value is not None}
    np.savez(tmp_path / "dermamnist_64.npz", **content)
    with pytest.raises(DataError, match=words):
        read_source(tmp_path / "dermamnist_64.npz")


def test_no_npz_at_all(tmp_path: Path) -> None:
    (tmp_path / "dermamnist.npz").write_bytes(b"PK nothing")
    with pytest.raises(DataError, match="cannot be read as .npz"):
        read_source(tmp_path / "dermamnist.npz")
