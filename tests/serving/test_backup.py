import os
import sqlite3
import stat
from contextlib import closing

import pytest

from lesionlens.core.errors import ArtifactError
from lesionlens.serving.backup import backup
from lesionlens.serving.log_file import open_log
from lesionlens.serving.prediction_log import PredictionLog

PAGE = 4096


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "record.sqlite"
    log = PredictionLog(path)
    log.submit(lambda connection: connection.execute("INSERT INTO probes VALUES (7, randomblob(200000))")).result()
    log.close()
    return path


def damage(path):
    """Overwrite the inside of a table's pages."""
    size = path.stat().st_size
    with path.open("r+b") as stream:
        for at in range(PAGE, size, PAGE):
            stream.seek(at)
            stream.write(os.urandom(64))


def test_a_copy_for_its_owner_that_opens_as_a_log(path, tmp_path):
    out = tmp_path / "elsewhere" / "copy.sqlite"
    former = os.umask(0)
    try:
        assert backup(path, out) == out.stat().st_size
    finally:
        os.umask(former)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    with closing(open_log(out)) as connection:
        assert connection.execute("SELECT count(*) FROM probes").fetchone() == (1,)
    assert backup(path, out) > 0  # a former copy is replaced
    assert [file.name for file in out.parent.iterdir()] == ["copy.sqlite"]


def test_what_waits_in_the_write_ahead_log_is_in_the_copy(path, tmp_path):
    log = PredictionLog(path)
    log.submit(lambda connection: connection.execute("INSERT INTO probes VALUES (8, zeroblob(10))")).result()
    backup(path, tmp_path / "copy.sqlite")
    log.close()
    with closing(sqlite3.connect(tmp_path / "copy.sqlite")) as connection:
        assert connection.execute("SELECT number FROM probes ORDER BY 1").fetchall() == [(7,), (8,)]


def test_a_damaged_log_does_not_replace_a_sound_copy(path, tmp_path):
    out = tmp_path / "copy.sqlite"
    backup(path, out)
    before = out.read_bytes()
    damage(path)
    with pytest.raises(ArtifactError, match=r"restore a backup"):
        backup(path, out)
    assert out.read_bytes() == before


def test_the_log_is_not_its_own_copy(path):
    with pytest.raises(ArtifactError, match="the prediction log itself"):
        backup(path, path)
