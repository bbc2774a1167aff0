import os
from pathlib import Path

import pytest

from lesionlens.bundle.sources import image_paths
from lesionlens.core.errors import DataError
from lesionlens.data.files import LeftOut


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    names = (
        "b.JPG a.jpg notes.txt .hidden.jpg a_segmentation.png sub/c.png sub/deep/d.tiff __MACOSX/e.jpg .git/f.jpg sub/c_mask.png"
    )
    for name in names.split():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*arguments: str, listed: list[str] | None = None) -> list[str]:
    return [path.as_posix() for path in image_paths(arguments, listed or [])]


def test_a_folder_gives_its_images_sorted(root):
    assert names(".") == ["a.jpg", "b.JPG", "sub/c.png", "sub/deep/d.tiff"]
    assert names("sub") == ["sub/c.png", "sub/deep/d.tiff"]
    assert names(str(root))[0] == f"{root}/a.jpg"


def test_a_file_is_given_whatever_it_is(root):
    assert names("a.jpg", "notes.txt", "a_segmentation.png", "gone.jpg") == [
        "a.jpg",
        "notes.txt",
        "a_segmentation.png",
        "gone.jpg",
    ]


def test_patterns(root):
    assert names("*.jpg") == ["a.jpg"]
    assert names("[ab].*") == ["a.jpg", "b.JPG"]
    assert names("**/*.png") == ["sub/c.png"]
    assert names("su?") == ["sub/c.png", "sub/deep/d.tiff"]
    assert names(f"{root}/*.jpg") == [f"{root}/a.jpg"]
    assert names("*.bmp") == ["*.bmp"]  # whoever opens it says that there is none


def test_a_file_whose_name_looks_like_a_pattern(root):
    (root / "scan[1].jpg").touch()
    assert names("scan[1].jpg") == ["scan[1].jpg"]


def test_a_list(root):
    assert names("-", listed=["a.jpg\n", "\n", "sub\r\n", "-\n", "gone.png"]) == [
        "a.jpg",
        "sub/c.png",
        "sub/deep/d.tiff",
        "gone.png",
    ]
    assert names("b.JPG", "-", "a.jpg", listed=["sub/c.png\n"]) == ["b.JPG", "sub/c.png", "a.jpg"]


def test_a_folder_that_contains_itself_ends(root):
    (root / "sub" / "again").symlink_to(root)
    assert names(".") == ["a.jpg", "b.JPG", "sub/c.png", "sub/deep/d.tiff"]


def test_an_endless_list_is_taken_step_by_step(root):
    def endless():
        while True:
            yield "a.jpg\n"

    found = image_paths(["-"], endless())
    assert [next(found).name for _ in range(3)] == ["a.jpg"] * 3


def test_an_empty_folder_gives_nothing(tmp_path):
    assert list(image_paths([str(tmp_path)])) == []


def test_a_list_of_find_print0(root):
    assert names("-", listed=["a.jpg\0sub/c.png\0"]) == ["a.jpg", "sub/c.png"]
    assert names("-", listed=["a\n", ".jpg"]) == ["a", ".jpg"]


def test_names_that_no_file_can_have(root):
    long = "x" * 300
    assert names(long, f"{long}*") == [long, f"{long}*"]


def test_folders_that_cannot_be_read_are_given_too(root, monkeypatch):
    scan = os.scandir

    def refuse(folder):
        if str(folder).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(folder))
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert names(".") == ["a.jpg", "b.JPG", "sub/c.png", "sub/deep"]


def test_an_image_in_the_place_of_a_list_is_refused():
    listed = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\n".decode("utf-8", "surrogateescape").splitlines(keepends=True)
    with pytest.raises(DataError, match="standard input holds an image"):
        list(image_paths(["-"], listed))


def test_what_is_left_out_is_counted_and_named(root):
    left_out = LeftOut()
    assert len(list(image_paths([".", "notes.*"], left_out=left_out))) == 4
    assert left_out.counts == {"hidden": 3, "mask": 2, "other": 2}
    assert left_out.lines() == [
        "left out 3 files, hidden: .git, .hidden.jpg, __MACOSX",
        "left out 2 files, lesion masks by their name: a_segmentation.png, sub/c_mask.png",
        "left out 2 files, no images in a known format: notes.txt, notes.txt",
    ]


def test_images_are_found_by_their_content(root):
    (root / "IM000001").write_bytes(bytes(128) + b"DICM")
    (root / "photo.heic").touch()
    (root / "scan.bak").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert names(".") == ["IM000001", "a.jpg", "b.JPG", "photo.heic", "scan.bak", "sub/c.png", "sub/deep/d.tiff"]
