"""Unusable images are found, named and left out before anything is built on them."""

from pathlib import Path

import pytest
from PIL import Image

from lesionlens.core.errors import DataError
from lesionlens.core.labels import HAM10000
from lesionlens.data.audit.broken import find_broken, without_broken
from lesionlens.data.decoded_image import NoteTally
from lesionlens.data.index import Index, Record


@pytest.fixture
def index(tmp_path: Path) -> Index:
    for name in "abc":
        Image.new("RGB", (40, 40)).save(tmp_path / f"{name}.png")
    (tmp_path / "b.png").write_bytes(b"")
    return Index(tuple(Record(name, f"{name}.png", "nv", name) for name in "abcd"), HAM10000, tmp_path, "test", ("first",))


def test_found_in_order_and_left_out(index: Index) -> None:
    steps: list[int] = []
    broken = find_broken(index, 2, steps.append)
    assert list(broken) == ["b", "d"]
    assert "0 bytes" in broken["b"]
    assert sum(steps) == 4
    kept = without_broken(index, broken)
    assert kept.ids == ("a", "c")
    assert kept.notes[0] == "first"
    assert "d.png cannot be read" in kept.notes[2]
    assert kept.hash != index.hash


def test_what_decoding_assumed_is_counted(index: Index) -> None:
    for name in "ac":
        Image.new("RGBA", (40, 40), (1, 2, 3, 100)).save(index.root / f"{name}.png")
    tally = NoteTally()
    find_broken(index, 2, tally=tally)
    assert tally.lines() == ["2 images: transparent pixels were laid on white (a.png, c.png)"]


def test_nothing_broken_changes_nothing(index: Index) -> None:
    assert without_broken(index, {}) == index


def test_all_broken(index: Index) -> None:
    with pytest.raises(DataError, match="none of 4 images"):
        without_broken(index, dict.fromkeys(index.ids, "bad"))
