"""Files below a folder: found by name whatever the layout, and never guessed between different ones."""

import doctest
import os
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lesionlens.data.files
from lesionlens.core.errors import DataError
from lesionlens.data.files import ImageFiles, LeftOut, image_files, path_id, scan, stem_of, walk


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
    with pytest.raises(DataError, match=r"different files have one name: .*a.jpg and .*a.jpg; keep one"):
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
        ("C:\\pictures\\b.jpg", "b", "pictures_b"),
        ("1.2.840.10008.7", "1.2.840.10008.7", "1.2.840.10008.7"),
    ],
)
def test_names(value: str, stem: str, whole: str) -> None:
    assert stem_of(value) == stem
    assert path_id(value) == whole


def test_walk_is_sorted_and_does_not_search_what_is_hidden(tmp_path: Path) -> None:
    touch(tmp_path, "b.txt", "a.jpg", ".x.jpg", "sub/c.png", "__MACOSX/d.jpg", ".git/e.jpg", "Sub2/f.gif")
    (tmp_path / "sub" / "again").symlink_to(tmp_path)
    found = [path.relative_to(tmp_path).as_posix() for path in walk(tmp_path)]
    assert found == [".git", ".x.jpg", "__MACOSX", "a.jpg", "b.txt", "Sub2/f.gif", "sub/c.png"]


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


JPEG, DICOM = b"\xff\xd8\xff\xe0 a photograph", bytes(128) + b"DICM"


class TestContent:
    """What is an image by its bytes is one, whatever it is called."""

    def test_names_without_an_extension_or_with_another(self, tmp_path: Path) -> None:
        touch(tmp_path, "IM000001", "1.2.840.113619.2", content=DICOM)
        touch(tmp_path, "photo.jpg_original", "photo.JFIF", content=JPEG)
        touch(tmp_path, "HAM10000_metadata", "notes.md")
        files = scan(tmp_path)
        assert files.paths == ["1.2.840.113619.2", "IM000001", "photo.JFIF", "photo.jpg_original"]
        assert files.tables == ["HAM10000_metadata"]
        assert files.notes == ["left out 1 file, no images in a known format: notes.md"]
        assert files.find_image("IM000001") == "IM000001"
        assert files.find_image("1.2.840.113619.2") == "1.2.840.113619.2"

    @pytest.mark.parametrize("extension", ["heic", "avif", "jp2", "jfif", "jxl", "HIF"])
    def test_extensions_of_other_formats(self, tmp_path: Path, extension: str) -> None:
        touch(tmp_path, f"a.{extension}")
        assert scan(tmp_path).find_image("a") == f"a.{extension}"

    def test_a_pipe_is_not_opened(self, tmp_path: Path) -> None:
        if not hasattr(os, "mkfifo"):
            pytest.skip("this system has no named pipes")
        touch(tmp_path, "a.jpg")
        os.mkfifo(tmp_path / "pipe")
        files = scan(tmp_path)
        assert files.paths == ["a.jpg"]
        assert files.tables == ["pipe"]

    def test_a_file_that_cannot_be_read_is_named(self, tmp_path: Path) -> None:
        touch(tmp_path, "a.jpg")
        (tmp_path / "gone.xyz").symlink_to(tmp_path / "nowhere")
        assert scan(tmp_path).notes == ["left out 1 file, not readable: gone.xyz"]


class TestNames:
    def test_decomposed_on_disk_and_composed_in_the_table(self, tmp_path: Path) -> None:
        name = unicodedata.normalize("NFD", "Läsion_é.jpg")
        touch(tmp_path, f"Ärm/{name}".replace("Ä", "A\u0308"))
        files = scan(tmp_path)
        assert files.find_image("läsion_é") == f"A\u0308rm/{name}"
        assert files.find_image("Ärm/Läsion_é.jpg") == f"A\u0308rm/{name}"

    @pytest.mark.parametrize(
        "value",
        [
            "C:\\Users\\Ann\\pictures\\p\\A.jpg",
            "c:/data/p/a.jpg",
            "/mnt/old/p/a.jpg",
            "D:\\a.jpg",
            "p\\a.jpg",
            "\\\\server\\p\\a.jpg",
        ],
    )
    def test_paths_of_another_machine(self, tmp_path: Path, value: str) -> None:
        touch(tmp_path, "p/a.jpg", "q/b.jpg")
        assert scan(tmp_path).find_image(value) == "p/a.jpg"

    def test_paths_of_another_machine_choose_by_their_folders(self, tmp_path: Path) -> None:
        touch(tmp_path, "p/a.jpg")
        touch(tmp_path, "q/a.jpg", content=b"another")
        assert scan(tmp_path).find_image("C:\\x\\q\\a.jpg") == "q/a.jpg"
        with pytest.raises(DataError, match="different files have one name"):
            scan(tmp_path).find_image("C:\\x\\a.jpg")

    def test_a_path_that_begins_further_down(self, tmp_path: Path) -> None:
        touch(tmp_path, "x/p/a.jpg", "x/q/a.jpg")
        assert scan(tmp_path).find_image("q/a.jpg") == "x/q/a.jpg"
        assert scan(tmp_path).find_image("r/a.jpg") is None

    def test_an_image_that_is_named_like_a_mask(self, tmp_path: Path) -> None:
        touch(tmp_path, "lesion_mask.jpg", "b.jpg", "b_mask.png")
        files = scan(tmp_path)
        assert files.find_image("lesion_mask") == "lesion_mask.jpg"
        assert files.find_image("lesion_mask.jpg") == "lesion_mask.jpg"
        assert files.find_image("b") == "b.jpg"
        assert files.notes == ["1 lesion masks belong to no image here (lesion_mask.jpg)"]


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(lesionlens.data.files).failed == 0


FOLDERS = st.sampled_from(["", "a/", "a/b/", "masks/", ".git/", "__MACOSX/", "läs/"])
NAMES = st.sampled_from(
    [
        "a.jpg",
        "B.HEIC",
        "c.jxl",
        "IM0001",
        "table.csv",
        "x.txt",
        "readme",
        "a_mask.png",
        "d.segmentation.png",
        ".DS_Store",
        "e.pdf",
    ]
)
CONTENTS = st.sampled_from([JPEG, DICOM, b"", b"words", b"\x89PNG\r\n\x1a\n"])


def offered(root: Path) -> Iterator[Path]:
    """Every file, and every hidden folder as one."""
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root).parts[:-1]
        hidden = [name.startswith(".") or name == "__MACOSX" for name in (*inside, path.name)]
        if not any(hidden[:-1]) and (path.is_file() or hidden[-1]):
            yield path


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.builds(str.__add__, FOLDERS, NAMES), CONTENTS, max_size=12))
def test_what_is_offered_is_used_or_counted(tree: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for path, content in tree.items():
            touch(root, path, content=content)
        n_offered = len(list(offered(root)))
        left_out = LeftOut()
        assert len(list(image_files(root, left_out))) + sum(left_out.counts.values()) == n_offered
        files = ImageFiles(root)
        n_masks = sum(map(len, files.masks.values()))
        assert len(files.paths) + n_masks + len(files.tables) + sum(files.left_out.counts.values()) == n_offered
