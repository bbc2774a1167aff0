"""Files below a folder: found by name whatever the layout, and never guessed between different ones."""

import os
from pathlib import Path

import pytest

from lesionlens.core.errors import DataError
from lesionlens.data.files import path_id, scan, stem_of, walk


def touch(root: Path, *paths: str, content: bytes = b"x") -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)


def test_images_masks_and_tables_are_told_apart(tmp_path: Path) -> None:
    touch(tmp_path, "a.JPG", "deep/er/b.png", "HAM10000_Segmentations_lesion/a_segmentation.png", "x/b_mask.png", "masks/c.png")
    touch(tmp_path, "meta.csv", "HAM10000_metadata", "meta.tab", "readme.md")
    files = scan(tmp_path)
    assert files.images == {"a": ["a.JPG"], "b": ["deep/er/b.png"]}
    assert {key: paths[0] for key, paths in files.masks.items()} == {
        "a": "HAM10000_Segmentations_lesion/a_segmentation.png",
        "b": "x/b_mask.png",
        "c": "masks/c.png",
    }
    assert files.tables == ["HAM10000_metadata", "meta.csv", "meta.tab"]


def test_what_zip_files_and_systems_leave_is_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "__MACOSX/b.jpg", "x/__MACOSX/._c.jpg", "._d.jpg", ".hidden/e.jpg", ".DS_Store")
    assert scan(tmp_path).paths == ["a.jpg"]


def test_links_are_followed_and_circles_end(tmp_path: Path) -> None:
    touch(tmp_path, "far/a.jpg", "root/b.jpg")
    (tmp_path / "root" / "link").symlink_to(tmp_path / "far")
    (tmp_path / "root" / "circle").symlink_to(tmp_path / "root")
    assert sorted(scan(tmp_path / "root").paths) == ["b.jpg", "link/a.jpg"]


@pytest.mark.parametrize(
    ("path", "words"), [("none", "does not exist"), ("file", "is not a folder"), ("empty", "no image below")]
)
def test_no_folder_of_images(tmp_path: Path, path: str, words: str) -> None:
    (tmp_path / "empty").mkdir()
    touch(tmp_path, "file", "empty/notes.txt")
    with pytest.raises(DataError, match=words):
        scan(tmp_path / path)


def test_equal_copies_give_the_first_and_different_ones_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "HAM10000_images_part_1/a.jpg", "ham10000_images_part_1/a.jpg")
    assert scan(tmp_path).find_image("a") == "HAM10000_images_part_1/a.jpg"
    touch(tmp_path, "small/a.jpg", content=b"xx")
    with pytest.raises(DataError, match=r"different files bear one name: .*a.jpg and .*a.jpg; keep one"):
        scan(tmp_path).find_image("a")
    assert scan(tmp_path).find_image("small/a.jpg") == "small/a.jpg"


def test_finding(tmp_path: Path) -> None:
    touch(tmp_path, "p/A.b.JPEG", "p/A.b_segmentation.png")
    files = scan(tmp_path)
    assert files.find_image("a.B") == "p/A.b.JPEG"
    assert files.find_image("P/a.b.jpeg") == "p/A.b.JPEG"
    assert files.find_image("q/a.b.jpeg") is None
    assert files.find_image("other") is None
    assert files.find_mask("A.b") == "p/A.b_segmentation.png"
    assert files.find_mask("A.b_segmentation.png") == "p/A.b_segmentation.png"


@pytest.mark.parametrize(
    ("value", "stem", "whole"),
    [
        ("ISIC_1", "ISIC_1", "ISIC_1"),
        ("a/b/ISIC_1.JPG", "ISIC_1", "a_b_ISIC_1"),
        ("a\\b.png", "b", "a_b"),
        ("./a/v1.2", "v1.2", "a_v1.2"),
        ("/a/b.jpg", "b", "a_b"),
    ],
)
def test_names(value: str, stem: str, whole: str) -> None:
    assert stem_of(value) == stem
    assert path_id(value) == whole


def test_walk_is_sorted_and_passes_over_what_is_hidden(tmp_path: Path) -> None:
    touch(tmp_path, "b.txt", "a.jpg", ".x.jpg", "sub/c.png", "__MACOSX/d.jpg", ".git/e.jpg", "Sub2/f.gif")
    (tmp_path / "sub" / "again").symlink_to(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in walk(tmp_path)] == ["a.jpg", "b.txt", "Sub2/f.gif", "sub/c.png"]


def test_a_folder_that_cannot_be_read_is_never_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a.jpg", "sub/b.jpg")

    def refuse(folder: str) -> object:
        if str(folder).endswith("sub"):
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r"sub cannot be read \(Permission denied\); check its permissions"):
        scan(tmp_path)
    told: list[OSError] = []
    assert list(walk(tmp_path, told.append)) == [tmp_path / "a.jpg"]
    assert [error.filename for error in told] == [str(tmp_path / "sub")]
