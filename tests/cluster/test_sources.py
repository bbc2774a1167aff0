"""What an archive consists of, on disks and in object stores."""

import doctest
from pathlib import Path

import fsspec
import pytest

from lesionlens.cluster import sources
from lesionlens.cluster.sources import archive_sources
from lesionlens.core.errors import DataError, RecipeError
from lesionlens.data.files import LeftOut

JPEG = b"\xff\xd8\xff" + 100 * b"\0"
NAMES = ("a/1.jpg", "a/2.jpg", "a/1_segmentation.png", "a/notes.txt", "a/.hidden.jpg", "b/x.tar", "b/3.PNG", "b/y.tar.gz")


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    for name in NAMES:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(JPEG if path.suffix != ".txt" and ".tar" not in name else b"text")
    return tmp_path


@pytest.fixture
def store() -> str:
    system = fsspec.filesystem("memory")
    for name in NAMES:
        system.pipe_file(f"/archive/{name}", b"")
    return "memory://archive"


def named(found: list[str], root: object) -> list[str]:
    return [name.removeprefix(f"{root}/") for name in found]


def test_a_folder_on_disk(disk):
    left_out = LeftOut()
    found = list(archive_sources([str(disk)], (), left_out))
    assert named(found, disk) == ["a/1.jpg", "a/2.jpg", "b/3.PNG", "b/x.tar", "b/y.tar.gz"]
    assert left_out.counts == {"mask": 1, "other": 1, "hidden": 1}


def test_a_folder_in_a_store_gives_the_same(disk, store):
    left_out = LeftOut()
    found = list(archive_sources([store], (), left_out))
    assert named(found, "memory://archive") == named(list(archive_sources([str(disk)])), disk)
    assert left_out.counts == {"mask": 1, "other": 1, "hidden": 1}


def test_patterns_and_files_in_a_store(store):
    assert named(list(archive_sources([f"{store}/b/*.tar*"])), "memory://archive") == ["b/x.tar", "b/y.tar.gz"]
    assert list(archive_sources([f"{store}/a/2.jpg"])) == [f"{store}/a/2.jpg"]
    assert list(archive_sources([f"{store}/a/notes.txt"])) == [f"{store}/a/notes.txt"], "a file that is named is tried"


def test_what_is_named_twice_is_scored_once(disk):
    found = list(archive_sources([str(disk / "a"), str(disk / "a" / "1.jpg"), "-"], [f"{disk}/a/2.jpg\n"]))
    assert named(found, disk) == ["a/1.jpg", "a/2.jpg"]


@pytest.mark.parametrize("end", ["none", "none/*.tar", "none.jpg"])
def test_nothing_in_a_store_is_an_error(store, end):
    with pytest.raises(DataError, match=r"does not exist|matches nothing"):
        list(archive_sources([f"{store}/{end}"]))


def test_an_unknown_scheme_is_an_error():
    with pytest.raises(RecipeError, match=r"nosuch://a: .*give a path, s3://"):
        list(archive_sources(["nosuch://a"]))


def test_examples():
    assert not doctest.testmod(sources).failed
