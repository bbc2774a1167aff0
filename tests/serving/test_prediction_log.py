import sqlite3
import stat
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
import pytest

from lesionlens.core.errors import ArtifactError, StorageError
from lesionlens.serving.entries import pack_maps, unpack_maps
from lesionlens.serving.history import Filter, History
from lesionlens.serving.identifiers import Identifiers
from lesionlens.serving.log_file import open_log
from lesionlens.serving.prediction_log import LogEntry, PredictionLog, insert_prediction, insert_review, timestamp
from lesionlens.serving.problems import Problem
from lesionlens.serving.record import open_record
from lesionlens.serving.subjects import Subject

START = datetime(2026, 1, 1, tzinfo=UTC)


def entry(number=0, *, token_name="local", outcome="diagnosis", diagnosis="mel", file_name=None, moment=None, sha256="0" * 64):
    moment = moment or START + timedelta(hours=number)
    id_ = Identifiers().new(int(moment.timestamp() * 1000))
    maps, shape = pack_maps(np.full((2, 3, 3), float(number), dtype=np.float32))
    text = f'{{"id":"{id_}","number":{number},"review":null}}'
    return LogEntry(
        id_, timestamp(moment), f"req-{number}", token_name, "b", sha256, file_name, outcome, diagnosis, text, maps, shape, {}
    )


def write(record, *entries):
    log = PredictionLog(record)
    for one in entries:
        log.submit(lambda connection, one=one: insert_prediction(connection, one)).result()
    log.close()
    return list(entries)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "record.sqlite"


def test_what_is_written_is_read(record):
    (one,) = write(record, entry(3))
    history = History(record)
    assert history.prediction(one.id) == {"id": one.id, "number": 3, "review": None, **Subject().to_json()}
    assert (history.maps(one.id).maps == 3).all()
    with pytest.raises(Problem) as found:
        history.prediction(Identifiers().new())
    assert found.value.code == "prediction_not_found"
    history.close()


def test_it_is_durable_and_private(path):
    record = PredictionLog(path)
    record.submit(lambda connection: insert_prediction(connection, entry())).result()
    mode = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert mode == {"record.sqlite": 0o600, "record.sqlite-wal": 0o600, "record.sqlite-shm": 0o600}
    with closing(open_log(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
    record.close()


def test_what_waits_is_written_in_one_commit(record):
    log = PredictionLog(record)
    blocked = log.submit(lambda connection: time.sleep(0.2))
    with closing(open_record(record, read_only=True)) as reader:
        results = [log.submit(partial(insert_prediction, entry=entry(number))) for number in range(50)]
        blocked.result()
        for result in results:
            result.result()
        assert reader.execute("SELECT count(*) FROM answers").fetchone()[0] == 50
    log.close()


def test_a_mistake_in_one_operation_hurts_no_other(record):
    log = PredictionLog(record)

    def mistaken(connection):
        raise KeyError("oops")

    futures = [log.submit(mistaken), log.submit(lambda connection: insert_prediction(connection, entry(1)))]
    with pytest.raises(KeyError):
        futures[0].result()
    assert futures[1].result() is None
    log.close()


def test_a_full_disk_refuses_and_recovers(path):
    record = PredictionLog(path)

    def cap(pages):
        return record.submit(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()[0]).result()

    pages = cap(1)  # SQLite takes the size that the file has as the least
    big = entry(1)._replace(body="x" * 200_000)
    with pytest.raises(Problem) as found:
        record.submit(lambda connection: insert_prediction(connection, big)).result()
    assert (found.value.code, found.value.status) == ("record_unwritable", 507)
    assert record.failure == "SQLITE_FULL"
    cap(pages + 10_000)
    record.submit(lambda connection: insert_prediction(connection, big)).result()
    record.close()
    with closing(open_log(path)) as connection:
        assert connection.execute("SELECT count(*) FROM answers").fetchone()[0] == 1


def test_reviews_are_all_kept_and_the_newest_shows(record):
    (one,) = write(record, entry())
    log = PredictionLog(record)
    for conclusion in ("nv", "mel"):
        review = {"conclusion": conclusion, "note": "<script>", "reviewer": "dr", "created": timestamp()}
        assert log.submit(lambda connection, r=review: insert_review(connection, one.id, "q", r)).result()
    assert not log.submit(lambda connection: insert_review(connection, Identifiers().new(), "q", review)).result()
    log.close()
    history = History(record)
    assert history.prediction(one.id)["review"]["conclusion"] == "mel"
    history.close()
    with closing(open_record(record)) as connection:
        assert connection.execute("SELECT count(*) FROM reviews").fetchone()[0] == 2


def test_pages_and_filters(record):
    entries = write(
        record,
        entry(0, outcome="not_sure", diagnosis=None, file_name="Anna_100%.jpg"),
        entry(1, diagnosis="nv", token_name="other"),
        entry(2, file_name="anna.jpg"),
        entry(3),
    )
    ids = [one.id for one in entries]
    history = History(record)

    def found(**wanted):
        return [row["number"] for row in history.page(Filter(**wanted), 10)]

    assert found() == [3, 2, 1, 0]
    assert found(outcome="not_sure") == [0]
    assert found(diagnosis="nv") == [1]
    assert found(token_name="other") == [1]
    assert found(since=START + timedelta(hours=2)) == [3, 2]
    assert found(until=START + timedelta(hours=2)) == [1, 0]
    assert found(text="ANNA") == [2, 0]
    assert found(text="a_") == [0]  # no wildcard
    assert found(text="100%") == [0]
    assert found(text=ids[1]) == [1]
    assert found(text="req-3") == [3]
    assert found(text="' OR 1=1 --") == []
    assert found(reviewed=True) == []
    assert found(reviewed=False) == [3, 2, 1, 0]
    assert [row["number"] for row in history.page(Filter(), 2)] == [3, 2]
    assert [row["number"] for row in history.page(Filter(), 2, before=ids[2])] == [1, 0]
    assert [row["number"] for row in history.pages(Filter(), size=1)] == [3, 2, 1, 0]
    history.close()


def test_a_search_that_takes_too_long_is_ended(path, monkeypatch):
    write(path, *(entry(number) for number in range(300)))
    monkeypatch.setattr("lesionlens.serving.history.SEARCH_SECONDS", -1.0)
    monkeypatch.setattr("lesionlens.serving.log_file.CHECK_STEPS", 10)
    history = History(path)
    with pytest.raises(Problem) as found:
        history.page(Filter(text="nothing"), 10)
    assert found.value.code == "search_too_slow"
    history.close()


@pytest.mark.parametrize("content", [b"", b"not a database at all, but long enough to be looked at" * 40])
def test_another_file_is_no_record(path, content):
    path.write_bytes(content)
    if content:
        with pytest.raises(ArtifactError, match="readable as a prediction log"):
            PredictionLog(path)
        assert path.read_bytes() == content
    else:
        PredictionLog(path).close()  # an empty file becomes one


def test_another_database_is_left_alone(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE patients (name)")
        connection.commit()
    with pytest.raises(ArtifactError, match="not a prediction log of lesionlens"):
        PredictionLog(path)
    with closing(sqlite3.connect(path)) as connection:
        assert [row[0] for row in connection.execute("SELECT name FROM sqlite_master")] == ["patients"]


def test_another_version_is_told(path):
    PredictionLog(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 7")
    with pytest.raises(ArtifactError, match="version 7; this lesionlens writes version 2"):
        PredictionLog(path)


def test_a_missing_record_is_not_made_by_reading(path):
    with pytest.raises(ArtifactError, match="there is no prediction log"):
        open_log(path, read_only=True)
    assert not path.exists()


def test_a_place_that_may_not_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="choose another --record"):
        PredictionLog(tmp_path / "file" / "record.sqlite")


def test_maps_are_small_and_close():
    maps = np.random.default_rng(0).random((7, 12, 12), dtype=np.float32) * 30
    data, shape = pack_maps(maps)
    assert len(data) < maps.nbytes / 2 + 100
    assert np.abs(unpack_maps(data, shape) - maps).max() <= 30 * 2**-11
    assert pack_maps(None) == (None, None)
    assert np.isfinite(unpack_maps(*pack_maps(np.full((1, 1, 1), 1e9, np.float32)))).all()
