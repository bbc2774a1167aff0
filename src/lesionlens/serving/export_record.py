"""The record as CSV or JSON lines, for people and other programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from lesionlens.serving.history import Filter, History
from lesionlens.serving.prediction_log import open_log
from lesionlens.serving.sheet import csv_lines

REFUSAL_FIELDS = ("created", "request_id", "who", "operation", "status", "code", "times")


def csv_export(path: Path) -> Iterator[str]:
    """Answers, newest first, as lines of CSV; a probability for each diagnosis that occurs.

    Raises:
        ArtifactError: if there is no record.
    """
    with closing(History(path)) as history:
        yield from csv_lines(history.pages(Filter()), _codes(path))


def json_export(path: Path) -> Iterator[str]:
    """Answers, reviews and refusals, a JSON object on each line, with the field `kind` to tell them apart.

    Raises:
        ArtifactError: if there is no record.
    """
    with closing(open_log(path, read_only=True)) as connection:
        connection.execute("BEGIN")  # one moment of the record, whatever is written meanwhile
        query = "SELECT p.answer, a.who FROM answers a JOIN payloads p ON p.id = a.id ORDER BY a.id"
        for text, who in connection.execute(query):
            yield _line({"kind": "answer", "who": who, **json.loads(text)})
        fields = ("prediction", "created", "request_id", "reviewer", "conclusion", "note")
        for row in connection.execute(f"SELECT {', '.join(fields)} FROM reviews ORDER BY number"):
            yield _line({"kind": "review", **dict(zip(fields, row, strict=True))})
        for row in connection.execute(f"SELECT {', '.join(REFUSAL_FIELDS)} FROM refusals ORDER BY number"):
            yield _line({"kind": "refusal", **dict(zip(REFUSAL_FIELDS, row, strict=True))})


def _codes(path: Path) -> list[str]:
    """The diagnoses that the record's answers give probabilities for, of every bundle that answered."""
    newest = "SELECT max(id) FROM answers WHERE outcome != 'not_usable' GROUP BY bundle_id"
    codes: dict[str, None] = {}
    with closing(open_log(path, read_only=True)) as connection:
        for (text,) in connection.execute(f"SELECT answer FROM payloads WHERE id IN ({newest}) ORDER BY id"):
            codes |= {row["code"]: None for row in json.loads(text)["probabilities"]}
    return list(codes)


def _line(value: dict[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"
