"""A prediction log of an earlier version is brought to this one, with everything in it."""

import json
import sqlite3
from contextlib import closing

import pytest

from lesionlens.core.errors import ArtifactError
from lesionlens.serving.cases import Cases
from lesionlens.serving.examples import ID, PREDICTION, REVIEW, UNUSABLE
from lesionlens.serving.history import Filter, History
from lesionlens.serving.log_file import open_log
from lesionlens.serving.prediction_log import PredictionLog
from lesionlens.serving.schema_sql import APPLICATION_ID, VERSION, VERSION_1

NEW = ("same_image", "case", "lesion", "site", "taken")
OTHER_ID = "01M82VDBJZ10K4N0HN98RYPJT6"


def stored(body, **changes):
    """As version 1 stored it."""
    return {name: value for name, value in {**body, **changes}.items() if name not in NEW}


@pytest.fixture
def old(tmp_path):
    """A log of version 1 with two predictions and a review."""
    path = tmp_path / "record.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")
        image = {**PREDICTION["image"], "frames": 3, "frame": 2}
        for body in (stored(PREDICTION, image=image), stored(UNUSABLE, id=OTHER_ID)):
            values = (body["id"], body["created"], "q", "local", "b", body["input_sha256"], None, body["outcome"], None)
            connection.execute("INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
            connection.execute("INSERT INTO payloads VALUES (?, ?, NULL, NULL)", (body["id"], json.dumps(body)))
        review = (ID, REVIEW["created"], "q", REVIEW["reviewer"], REVIEW["conclusion"], REVIEW["note"])
        columns = "prediction, created, request_id, reviewer, conclusion, note"
        connection.execute(f"INSERT INTO reviews ({columns}) VALUES (?, ?, ?, ?, ?, ?)", review)
        connection.commit()
    return path


def test_a_log_of_version_1_is_brought_to_this_one(old):
    PredictionLog(old).close()
    with closing(open_log(old)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == VERSION == 2
        rows = connection.execute("SELECT prediction, case_id, frame, malignant_share FROM subjects ORDER BY prediction")
        assert rows.fetchall() == [(ID, "", 2, 0.82), (OTHER_ID, "", 0, None)]
    with closing(History(old)) as history:
        first, second = reversed(history.page(Filter(), 10))
        assert first["review"] == REVIEW
        assert (first["case"], first["probabilities"]) == (None, PREDICTION["probabilities"])
        assert second["outcome"] == "not_usable"
        assert Cases(history).page(10) == []


def test_it_is_brought_there_once(old):
    for _ in range(2):
        PredictionLog(old).close()
    with closing(open_log(old)) as connection:
        assert connection.execute("SELECT count(*) FROM subjects").fetchone()[0] == 2


def test_what_only_reads_says_how(old):
    with pytest.raises(
        ArtifactError, match="of version 1; this lesionlens writes version 2. Start `lesionlens serve` with it once"
    ):
        open_log(old, read_only=True)


def test_a_fault_on_the_way_leaves_the_old_log(old):
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("UPDATE payloads SET answer = 'no JSON' WHERE id = ?", (ID,))
        connection.commit()
    with pytest.raises(ArtifactError):
        PredictionLog(old)
    with closing(sqlite3.connect(old)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == 1
        assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'subjects'").fetchall()
