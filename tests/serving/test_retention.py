import os
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from lesionlens.core.errors import ArtifactError, RecipeError
from lesionlens.serving.entries import pack_maps
from lesionlens.serving.identifiers import Identifiers
from lesionlens.serving.images import KeptImages, images_folder
from lesionlens.serving.log_file import open_log
from lesionlens.serving.prediction_log import LogEntry, PredictionLog, insert_prediction, insert_review, timestamp
from lesionlens.serving.record import open_record
from lesionlens.serving.refusals import MANY, MOST_ROWS, ROWS_A_MINUTE, Refusal, RefusalLog
from lesionlens.serving.retention import retain

NOW = datetime.now(UTC)
SECRET = "Erika_Mustermann_1964.jpg"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "record.sqlite"


def fill(record, folder=None):
    log, ids, images = PredictionLog(record), Identifiers(), KeptImages(images_folder(record, folder))
    maps = pack_maps(np.ones((2, 3, 3), dtype=np.float32))
    for days, name in ((40, SECRET), (1, "new.jpg")):
        moment = NOW - timedelta(days=days)
        sha256 = f"{days:064x}"
        id_ = ids.new(int(moment.timestamp() * 1000))
        one = LogEntry(
            id_, timestamp(moment), "q", "local", "b", sha256, name, "diagnosis", "mel", '{"probabilities":[]}' + name, *maps, {}
        )
        review = {"conclusion": "mel", "note": f"note of {name}", "reviewer": "dr", "created": timestamp(moment)}
        refusal = Refusal(timestamp(moment), "q", "x", "POST /v1/predictions", 422, "image_unreadable")
        log.submit(lambda connection, one=one: insert_prediction(connection, one)).result()
        log.submit(lambda connection, i=id_, r=review: insert_review(connection, i, "q", r)).result()
        log.submit(lambda connection, r=refusal: RefusalLog().insert(connection, r)).result()
        images.put(sha256, b"image")
        os.utime(images.path(sha256), (moment.timestamp(), moment.timestamp()))
    log.close()


def test_what_is_old_goes_without_a_trace_and_the_rest_stays(path):
    fill(path)
    assert SECRET.encode() in path.read_bytes()
    assert retain(path, 30, NOW) == (1, 1, 1, 0, 0, 1)
    for file in path.parent.iterdir():
        if file.is_file():
            assert SECRET.encode() not in file.read_bytes()
    with closing(open_log(path)) as connection:
        for table in ("answers", "payloads", "reviews", "refusals"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 1
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert [file.name for file in images_folder(path).iterdir()] == [f"{1:064x}"]
    assert retain(path, 30, NOW) == (0, 0, 0, 0, 0, 0)


def test_what_is_old_goes_from_either_record(record, tmp_path):
    folder = tmp_path / "images"
    fill(record, folder)
    assert retain(record, 30, NOW, folder) == (1, 1, 1, 0, 0, 1)
    with closing(open_record(record, read_only=True)) as connection:
        for table in ("answers", "payloads", "reviews", "refusals"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 1
    assert retain(record, 30, NOW, folder) == (0, 0, 0, 0, 0, 0)


def test_it_works_beside_a_server_that_writes(path):
    fill(path)
    record = PredictionLog(path)
    assert retain(path, 30, NOW).predictions == 1
    record.submit(lambda connection: connection.execute("SELECT 1").fetchone()).result()
    record.close()


def test_an_old_image_that_a_new_answer_speaks_of_stays(path):
    fill(path)
    kept = images_folder(path) / f"{1:064x}"
    os.utime(kept, (0, 0))
    (images_folder(path) / "notes.txt").write_text("not ours")
    os.utime(images_folder(path) / "notes.txt", (0, 0))
    retain(path, 30, NOW)
    assert sorted(file.name for file in images_folder(path).iterdir()) == [kept.name, "notes.txt"]


def test_arguments(path):
    with pytest.raises(ArtifactError, match="there is no prediction log"):
        retain(path, 30)
    for days in (0, -1, 40_000):
        with pytest.raises(RecipeError, match="days"):
            retain(path, days)


def test_a_flood_of_refusals_is_added_up(record):
    log, refusals = PredictionLog(record), RefusalLog()

    def refuse(number, minute, code="image_unreadable"):
        when = f"2026-01-01T00:{minute:02d}:{number % 60:02d}.000Z"
        refusal = Refusal(when, f"r{number}", "x", "POST /v1/predictions", 422, code)
        return log.submit(lambda connection: refusals.insert(connection, refusal))

    for done in [refuse(number, 0) for number in range(500)]:
        done.result()
    for done in [refuse(number, 1, code) for number in range(70) for code in ("busy", "image_unreadable")]:
        done.result()
    log.close()
    with closing(open_record(record)) as connection:
        rows = connection.execute("SELECT created, request_id, code, times FROM refusals ORDER BY number").fetchall()
    first = [row for row in rows if row[0].startswith("2026-01-01T00:00")]
    assert len(first) == ROWS_A_MINUTE + 1
    assert first[-1] == ("2026-01-01T00:00:00.000Z", MANY, "image_unreadable", 500 - ROWS_A_MINUTE)
    assert sum(row[3] for row in rows) == 500 + 140
    assert len(rows) == (ROWS_A_MINUTE + 1) + (ROWS_A_MINUTE + 2)


def test_the_oldest_refusals_go_in_the_end(record):
    log, refusals = PredictionLog(record), RefusalLog()

    def many(connection):
        connection.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO refusals "
            "(created, request_id, who, operation, status, code) SELECT '2025', 'q', '', '', 400, 'x' FROM n",
            (MOST_ROWS + 999,),
        )
        refusals.insert(connection, Refusal("2026-01-01T00:00:00.000Z", "q", "", "", 400, "x"))
        return connection.execute("SELECT count(*) FROM refusals").fetchone()[0]

    started = time.monotonic()
    assert log.submit(many).result() == MOST_ROWS
    assert time.monotonic() - started < 20
    log.close()
