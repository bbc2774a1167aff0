import os
import sqlite3
import stat
from contextlib import closing

import pytest

from lesionlens.core.errors import ArtifactError
from lesionlens.serving.history import Filter, History
from lesionlens.serving.log_file import check_sound, create_log
from lesionlens.serving.prediction_log import PredictionLog
from lesionlens.serving.problems import Problem

PAGE = 4096


@pytest.fixture
def path(tmp_path):
    return tmp_path / "record.sqlite"


def fill(path):
    log = PredictionLog(path)
    log.submit(lambda connection: connection.execute("INSERT INTO probes VALUES (7, randomblob(200000))")).result()
    log.close()


def damage(path, first=1):
    """Overwrite the inside of every page from `first` on."""
    with path.open("r+b") as stream:
        for at in range(first * PAGE, path.stat().st_size, PAGE):
            stream.seek(at)
            stream.write(os.urandom(64))


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("content", [b"a letter of another program" * 99, b"PK\3\4", b"SQLite format 3\0" + bytes(200)])
def test_another_file_keeps_its_mode_and_content(path, content):
    path.write_bytes(content)
    path.chmod(0o644)
    with pytest.raises(ArtifactError, match="choose another --record"):
        create_log(path)
    assert (mode(path), path.read_bytes()) == (0o644, content)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_folder_is_no_log(path):
    path.mkdir()
    with pytest.raises(ArtifactError, match="is not a file; choose another --record"):
        create_log(path)


def test_an_own_file_becomes_private_again(path):
    create_log(path)
    path.chmod(0o644)
    create_log(path)
    assert mode(path) == 0o600


def test_a_damaged_log_is_refused_at_the_start_and_needs_a_backup(path):
    fill(path)
    check_sound(path)
    damage(path)
    before = path.read_bytes()
    with pytest.raises(
        ArtifactError, match=r"damaged \(.*\); restore a backup|readable as a prediction log \(.*\); restore a backup"
    ):
        PredictionLog(path)
    assert path.read_bytes() == before


def test_damage_while_running_is_not_taken_for_a_full_disk(path):
    fill(path)
    log, history = PredictionLog(path), History(path)
    damage(path)
    with pytest.raises(Problem) as found:
        log.submit(lambda connection: connection.execute("SELECT * FROM refusals").fetchall()).result()
    assert (found.value.code, found.value.status) == ("record_damaged", 500)
    assert "restore a backup" in found.value.detail
    assert "disk space" not in found.value.detail
    assert log.damaged
    with pytest.raises(Problem) as read:
        history.page(Filter(), 10)
    assert read.value.code == "record_damaged"
    history.close()
    log.close()


def test_a_log_that_was_killed_while_it_was_created_is_created(path):
    path.touch(0o600)
    create_log(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM answers").fetchone() == (0,)
