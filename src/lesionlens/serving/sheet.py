"""Answers as CSV, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

MEDIA_TYPE = "text/csv; charset=utf-8"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "＝", "＋", "－", "＠")
FIELDS = ("id", "created", "request_id", "file_name", "input_sha256", "outcome", "diagnosis", "malignant_share")
REVIEW_FIELDS = ("conclusion", "note", "reviewer", "created")


def csv_lines(answers: Iterable[dict[str, Any]], codes: Sequence[str]) -> Iterator[str]:
    """A header and one line for each answer (RFC 4180), a probability for each of `codes`."""
    columns = [*FIELDS, *(f"p_{code}" for code in codes), "gate_reasons", "explanation", "bundle_id", "variant"]
    yield _line([*columns, *(f"review_{name}" for name in REVIEW_FIELDS)])
    for answer in answers:
        shares = {row["code"]: row["probability"] for row in answer["probabilities"]}
        reasons = " ".join(reason["code"] for reason in (answer["gate"] or {"reasons": []})["reasons"])
        review = answer["review"] or {}
        values = [*(answer[name] for name in FIELDS), *(shares.get(code) for code in codes), reasons]
        values += [answer["explanation"], answer["bundle"]["id"], answer["bundle"]["variant"]]
        yield _line([*values, *(review.get(name) for name in REVIEW_FIELDS)])


def plain_cell(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula: text that begins like one gets an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value.lstrip(" ").startswith(FORMULA_STARTS) else value


def _line(values: list[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow([plain_cell(value) for value in values])
    return buffer.getvalue()
