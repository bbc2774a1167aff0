"""Predictions as CSV and JSON lines, for people and other programs."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any

from lesionlens.core.metadata import FIELDS as METADATA
from lesionlens.serving.database_url import Place
from lesionlens.serving.history import REVIEW_FIELDS, Filter, History
from lesionlens.serving.record import open_record, store_of
from lesionlens.serving.subjects import COLUMNS, Subject

CSV_TYPE = "text/csv; charset=utf-8"
BOM = "\ufeff"  # tells Excel that the file is UTF-8
FORMULA = "=+\\-@|%＝＋－＠"
# A cell begins with a formula, or a part of it would where a spreadsheet takes `;` or a tab for the separator or a line end
# for the end of a row: such a reader does not see the quotes that RFC 4180 puts around the cell.
FORMULA_START = re.compile(rf"""^(?=[ ]*[{FORMULA}\t\r\n])|(?<=[;\t\r\n])(?=[ "']*[{FORMULA}])""")
SUBJECT = {"same_image": "same_image", "case": "case", "lesion": "lesion", "lesion_site": "site", "taken": "taken"}
FIELDS = ("id", "created", "request_id", "file_name", "input_sha256", "outcome", "diagnosis", "malignant_share")
OTHER_TABLES = {
    "move": ("moves", ("prediction", "created", "request_id", "who", "former")),
    "histology": ("histology", ("case_id", "lesion_id", "created", "request_id", "who", "dx", "note", "correction")),
    "deletion": ("deletions", ("prediction", "created", "request_id", "who", "reason")),
    "review": ("reviews", ("prediction", "created", "request_id", "reviewer", "conclusion", "note")),
    "refusal": ("refusals", ("created", "request_id", "who", "operation", "status", "code", "times")),
}


def csv_export(record: Place, bom: bool = False) -> Iterator[str]:
    """Predictions, newest first, as lines of CSV; a probability for each diagnosis that occurs.

    Args:
        record: where the prediction log is.
        bom: begin with a byte order mark, by which Excel knows UTF-8.

    Raises:
        ArtifactError: if there is no prediction log.
    """
    with closing(History(record)) as history:
        yield from csv_lines(history.pages(Filter()), _codes(record), bom)


def json_export(record: Place) -> Iterator[str]:
    """Predictions, reviews and refusals, one JSON object per line, told apart by the field `kind`.

    Raises:
        ArtifactError: if there is no prediction log.
    """
    store = store_of(record)
    with closing(store.open(read_only=True)) as connection:
        store.begin_snapshot(connection)  # one moment of the log, whatever is written meanwhile
        query = f"""SELECT p.answer, a.who, {COLUMNS} FROM answers a JOIN payloads p ON p.id = a.id
            JOIN subjects s ON s.prediction = a.id ORDER BY a.id"""
        for text, token_name, *subject in store.rows(connection, query):
            yield _json_line({"kind": "prediction", "who": token_name, **json.loads(text), **Subject(*subject).to_json()})
        for kind, (table, fields) in OTHER_TABLES.items():
            for row in store.rows(connection, f"SELECT {', '.join(fields)} FROM {table} ORDER BY number"):
                yield _json_line({"kind": kind, **dict(zip(fields, row, strict=True))})


def csv_lines(predictions: Iterable[dict[str, Any]], codes: Sequence[str], bom: bool = False) -> Iterator[str]:
    """A header and one line for each prediction (RFC 4180), a probability for each of `codes`; safe in a spreadsheet."""
    if bom:
        yield BOM
    columns = [*FIELDS, *(f"p_{code}" for code in codes), "gate_reasons", "explanation", "bundle_id", "variant"]
    yield _csv_line([*columns, *(f"review_{name}" for name in REVIEW_FIELDS), *METADATA, "metadata_missing", *SUBJECT])
    for prediction in predictions:
        by_code = {row["code"]: row["probability"] for row in prediction["probabilities"]}
        reasons = " ".join(reason["code"] for reason in (prediction["gate"] or {"reasons": []})["reasons"])
        review = prediction["review"] or {}
        values = [*(prediction[name] for name in FIELDS), *(by_code.get(code) for code in codes), reasons]
        values += [prediction["explanation"], prediction["bundle"]["id"], prediction["bundle"]["variant"]]
        values += [review.get(name) for name in REVIEW_FIELDS]
        metadata = prediction.get("metadata") or {"used": {}, "missing": []}
        values += [*(metadata["used"].get(name) for name in METADATA), " ".join(metadata["missing"])]
        yield _csv_line([*values, *(prediction.get(name) for name in SUBJECT.values())])


def plain_cell(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula, whatever it takes for the separator.

    Example:
        >>> plain_cell("=1+1"), plain_cell("seen; =1+1"), plain_cell("a-b; c")
        ("'=1+1", "seen;' =1+1", 'a-b; c')
    """
    return FORMULA_START.sub("'", value) if isinstance(value, str) else value


def _codes(record: Place) -> list[str]:
    """The diagnoses of every bundle in the log."""
    newest = "SELECT max(id) FROM answers WHERE outcome != 'not_usable' GROUP BY bundle_id"
    codes: dict[str, None] = {}
    with closing(open_record(record, read_only=True)) as connection:
        for (text,) in connection.execute(f"SELECT answer FROM payloads WHERE id IN ({newest}) ORDER BY id"):
            codes |= {row["code"]: None for row in json.loads(text)["probabilities"]}
    return list(codes)


def _csv_line(values: list[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow([plain_cell(value) for value in values])
    return buffer.getvalue()


def _json_line(value: dict[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"
