"""Files on disk and in stores: written completely or not at all, and errors in one line."""

import pytest

from lesionlens.cluster.files import Folder, filesystem, is_url, opened
from lesionlens.core.errors import DataError, StorageError


@pytest.mark.parametrize("name", ["{tmp}/a/b", "memory://a/b"])
def test_a_folder_is_written_and_listed(tmp_path, name):
    folder = Folder(name.format(tmp=tmp_path))
    assert folder.files() == []
    folder.write("b.txt", b"one")
    folder.write("a.txt", b"two")
    folder.write("b.txt", b"three")
    assert folder.files() == ["a.txt", "b.txt"]
    assert folder.read("b.txt") == b"three"
    with pytest.raises(DataError, match=r"c\.txt does not exist"):
        folder.read("c.txt")


def test_a_folder_of_s3(s3):
    folder = Folder("s3://bucket/out/of space")
    assert folder.files() == []
    large = bytes(range(256)) * 60_000  # more than one part of an upload
    folder.write("part-1", large)
    folder.write("part-2", b"small")
    assert folder.files() == ["part-1", "part-2"]
    assert folder.read("part-1") == large
    assert s3.objects["out/of space/part-2"] == b"small"
    with pytest.raises(DataError, match="none does not exist"):
        folder.read("none")


@pytest.mark.slow
def test_s3_that_does_not_answer_is_one_line(monkeypatch):
    for name, value in {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises((DataError, StorageError)) as caught:
        Folder("s3://bucket/out").write("a", b"a")
    assert "\n" not in str(caught.value)
    assert "s3://bucket/out/a" in str(caught.value)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="is a file; give a folder with --out"):
        Folder(str(tmp_path / "file")).files()


def test_names():
    assert is_url("s3://a/b")
    assert not is_url("a/b")
    assert not is_url("C:/a")
    assert filesystem("memory://a/b")[1] == "/a/b"
    with pytest.raises(DataError, match="does not exist"), opened("memory://none"):
        pass
