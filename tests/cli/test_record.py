import csv
import io
import json
import stat

import pytest
from tests.serving.conftest import option
from typer.testing import CliRunner

from lesionlens.cli.main import app
from lesionlens.serving.examples import PREDICTION, UNUSABLE
from lesionlens.serving.prediction_log import LogEntry, PredictionLog, insert_prediction, insert_review
from lesionlens.serving.refusals import Refusal, RefusalLog


def run(*arguments):
    return CliRunner().invoke(app, ["record", *arguments])


def fill(record):
    """Two predictions, a review and a refusal; returns what `--record` takes."""
    log = PredictionLog(record)
    for number, body in enumerate((PREDICTION, UNUSABLE)):
        id_ = f"01M82VDBJZ10K4N0HN98RYPJT{number}"
        text = json.dumps({**body, "id": id_, "file_name": "=1+1"})
        one = LogEntry(
            id_,
            body["created"],
            "q",
            "local",
            "b",
            "0" * 64,
            "=1+1",
            body["outcome"],
            body["diagnosis"],
            text,
            None,
            None,
            {},
        )
        log.submit(lambda connection, one=one: insert_prediction(connection, one)).result()
    review = {"conclusion": "nv", "note": "line one\nline two", "reviewer": "dr", "created": "2026-11-22T20:05:00.000Z"}
    log.submit(lambda connection: insert_review(connection, id_, "q", review)).result()
    refusal = Refusal("2026-11-22T20:05:00.000Z", "q", "", "POST /v1/predictions", 401, "token_missing")
    log.submit(lambda connection: RefusalLog().insert(connection, refusal)).result()
    log.close()
    return option(record)


@pytest.fixture
def filled(record):
    return fill(record)


@pytest.fixture
def path(tmp_path):
    fill(tmp_path / "record.sqlite")
    return tmp_path / "record.sqlite"


def test_csv(filled, tmp_path):
    done = run("export", "--record", filled)
    rows = list(csv.DictReader(io.StringIO(done.stdout, newline="")))
    assert [row["outcome"] for row in rows] == ["not_usable", "diagnosis"]
    assert [row["p_mel"] for row in rows] == ["", "0.82"]
    assert {row["file_name"] for row in rows} == {"'=1+1"}
    assert rows[0]["review_note"] == "line one\nline two"
    out = tmp_path / "out.csv"
    assert run("export", "--csv", "--record", filled, "--out", str(out)).exit_code == 0
    assert list(csv.DictReader(io.StringIO(out.read_bytes().decode(), newline=""))) == rows
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_json(filled):
    rows = [json.loads(line) for line in run("export", "--json", "--record", filled).stdout.splitlines()]
    assert [row["kind"] for row in rows] == ["prediction", "prediction", "review", "refusal"]
    assert rows[0]["probabilities"] == PREDICTION["probabilities"]
    assert (rows[3]["code"], rows[3]["times"]) == ("token_missing", 1)


def test_retain(filled):
    done = run("retain", "--days", "36500", "--record", filled, "--json")
    assert json.loads(done.stdout) == {"predictions": 0, "reviews": 0, "refusals": 0, "histology": 0, "deletions": 0, "images": 0}


def test_mistakes(path, tmp_path):
    assert "there is no prediction log" in str(run("export", "--record", str(tmp_path / "none")).exception)
    assert "choose one" in str(run("export", "--csv", "--json", "--record", str(path)).exception)


def test_a_key_for_images_is_created_once(tmp_path):
    done = run("create-key", str(tmp_path / "key"))
    assert done.exit_code == 0
    assert "keep a copy elsewhere" in done.stderr
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    again = run("create-key", str(tmp_path / "key"))
    assert again.exit_code != 0


def test_backup(path, tmp_path):
    out = tmp_path / "copy.sqlite"
    done = run("backup", "--record", str(path), "--out", str(out), "--json")
    assert json.loads(done.stdout) == {"out": str(out), "size_bytes": out.stat().st_size}
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert run("export", "--json", "--record", str(out)).stdout == run("export", "--json", "--record", str(path)).stdout
