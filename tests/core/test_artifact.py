import subprocess
import sys
from pathlib import Path

import pytest

from lesionlens.core import artifact
from lesionlens.core.errors import ArtifactError, StorageError


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing(tmp_path):
    path = tmp_path / "a" / "x.json"
    artifact.write_json(path, {"a": 1})
    with pytest.raises(ZeroDivisionError), artifact.atomic_file(path) as temporary:
        temporary.write_text("half")
        _ = 1 / 0
    assert artifact.read_json(path) == {"a": 1}
    assert [p.name for p in path.parent.iterdir()] == ["x.json"]


def test_a_failed_folder_keeps_the_old_one(tmp_path):
    path = tmp_path / "store"
    with artifact.atomic_folder(path) as temporary:
        (temporary / "a").write_text("1")
    artifact.write_stamp(path, {})
    with pytest.raises(ZeroDivisionError), artifact.atomic_folder(path) as temporary:
        (temporary / "a").write_text("2")
        _ = 1 / 0
    assert (path / "a").read_text() == "1"
    with artifact.atomic_folder(path) as temporary:
        (temporary / "b").write_text("3")
    assert [p.name for p in path.iterdir()] == ["b"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["store", "store.stamp.json"]


def test_a_folder_of_the_users_own_is_never_replaced(tmp_path):
    (tmp_path / "photos").mkdir()
    with artifact.atomic_folder(tmp_path / "photos") as temporary:
        (temporary / "a").write_text("into an empty folder")
    with pytest.raises(StorageError, match="not something that LesionLens made"), artifact.atomic_folder(tmp_path / "photos"):
        pass
    assert [p.name for p in (tmp_path / "photos").iterdir()] == ["a"]


def test_a_file_is_not_written_over_a_folder(tmp_path):
    with pytest.raises(StorageError, match="is a folder"):
        artifact.write_text(tmp_path, "a")


def test_nan_is_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        artifact.write_json(tmp_path / "x.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_one_clear_line():
    with (
        pytest.raises(StorageError, match=r"no space left while writing x.*run the same command again"),
        artifact.storage_errors("x"),
        Path("/dev/full").open("w") as full,
    ):
        full.write("a")
        full.flush()


def test_no_permission_is_one_clear_line(tmp_path):
    with pytest.raises(StorageError, match="may not write"), artifact.storage_errors(tmp_path):
        raise PermissionError(13, "Permission denied")


def test_mode_follows_the_umask(tmp_path):
    artifact.write_text(tmp_path / "x", "a")
    plain = tmp_path / "plain"
    plain.write_text("a")
    assert (tmp_path / "x").stat().st_mode == plain.stat().st_mode


def test_killed_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.json"
    artifact.write_json(path, {"a": 1})
    code = (
        "import os, sys, pathlib\nfrom lesionlens.core.artifact import atomic_file\n"
        "with atomic_file(pathlib.Path(sys.argv[1])) as t:\n    t.write_text('half')\n    os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == -9
    assert artifact.read_json(path) == {"a": 1}
    assert len(list(tmp_path.iterdir())) == 2
    artifact.write_json(path, {"a": 2})
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_unreadable_json(tmp_path):
    with pytest.raises(ArtifactError, match="does not exist"):
        artifact.read_json(tmp_path / "x.json")
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(ArtifactError, match="not readable as JSON"):
        artifact.read_json(tmp_path / "x.json")


def test_stamps_tell_what_is_current(tmp_path):
    path = tmp_path / "plan.csv"
    path.write_text("a")
    assert not artifact.is_current(path, {"split": "1"})
    artifact.write_stamp(path, {"split": "1"}, {"rows": 1})
    assert artifact.is_current(path, {"split": "1"})
    assert not artifact.is_current(path, {"split": "2"})
    assert artifact.read_stamp(path)["facts"] == {"rows": 1}
    path.write_text("b")
    assert not artifact.is_current(path, {"split": "1"})
    artifact.stamp_path(path).write_text("[]")
    with pytest.raises(ArtifactError, match="not a stamp"):
        artifact.read_stamp(path)


def test_hash_value_ignores_the_order_of_keys():
    assert artifact.hash_value({"a": 1, "b": [2]}) == artifact.hash_value({"b": [2], "a": 1})
    assert artifact.hash_value({"a": 1}) != artifact.hash_value({"a": 2})


def test_hash_file_by_hand(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert artifact.hash_file(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
