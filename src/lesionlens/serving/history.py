"""Reading the record: one answer, pages of them, heat maps."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lesionlens.serving.entries import unpack_maps
from lesionlens.serving.identifiers import first_of
from lesionlens.serving.prediction_log import open_log
from lesionlens.serving.problems import Problem

SEARCH_SECONDS = 5.0
STEPS_BETWEEN_LOOKS = 20_000
REVIEW = "SELECT conclusion, note, reviewer, created FROM reviews WHERE prediction = ? ORDER BY number DESC LIMIT 1"


@dataclass(frozen=True)
class Filter:
    """Which answers are wanted; what is None or empty does not filter.

    Attributes:
        outcome: `diagnosis`, `not_sure` or `not_usable`.
        diagnosis: code.
        reviewed: whether somebody reviewed it.
        since: made at or after.
        until: made before.
        text: found in file name, id, request id, input hash or a review's note, whatever the case of its letters.
        who: name of the token that sent it.
    """

    outcome: str | None = None
    diagnosis: str | None = None
    reviewed: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""
    who: str | None = None

    def conditions(self) -> tuple[list[str], list[Any]]:
        """SQL conditions and their values."""
        equal = {"outcome": self.outcome, "diagnosis": self.diagnosis, "who": self.who}
        clauses = [f"a.{name} = ?" for name, value in equal.items() if value is not None]
        values: list[Any] = [value for value in equal.values() if value is not None]
        for sign, moment in ((">=", self.since), ("<", self.until)):
            if moment is not None:
                clauses.append(f"a.id {sign} ?")
                values.append(first_of(int(moment.timestamp() * 1000)))
        if self.reviewed is not None:
            clauses.append(f"{'' if self.reviewed else 'NOT '}EXISTS (SELECT 1 FROM reviews r WHERE r.prediction = a.id)")
        if self.text:
            pattern = "%" + self.text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
            fields = ("a.file_name", "a.id", "a.request_id", "a.input_sha256")
            found = [f"{field} LIKE ? ESCAPE '\\'" for field in fields]
            found.append("EXISTS (SELECT 1 FROM reviews r WHERE r.prediction = a.id AND r.note LIKE ? ESCAPE '\\')")
            clauses.append(f"({' OR '.join(found)})")
            values += [pattern] * len(found)
        return clauses, values


class Maps(NamedTuple):
    """Heat maps of an answer, float32 (K, h, w), and the answer."""

    maps: np.ndarray
    answer: dict[str, Any]


class History:
    """Reads the record, from any thread.

    Args:
        path: of the record.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()

    def answer(self, id_: str, who: str | None = None) -> dict[str, Any]:
        """One answer with its newest review.

        Args:
            id_: of the prediction.
            who: only if this token sent it; None: whoever did.

        Raises:
            Problem: `prediction_not_found`.
        """
        with self._reading() as connection:
            return self._answer(connection, id_, who)

    def maps(self, id_: str, who: str | None = None) -> Maps:
        """The heat maps of one answer; arguments as for `answer`.

        Raises:
            Problem: `prediction_not_found`, or `map_not_found` if its bundle gave none.
        """
        with self._reading() as connection:
            answer = self._answer(connection, id_, who)
            data, shape = connection.execute("SELECT maps, map_shape FROM payloads WHERE id = ?", (id_,)).fetchone()
        if data is None:
            raise Problem("map_not_found", "this bundle gives no heat maps")
        return Maps(unpack_maps(data, shape), answer)

    def page(self, wanted: Filter, limit: int, before: str = "") -> list[dict[str, Any]]:
        """The newest answers that pass a filter, newest first.

        Args:
            wanted: the filter.
            limit: most of them.
            before: only those made before the answer with this id.

        Raises:
            Problem: `search_too_slow`.
        """
        clauses, values = wanted.conditions()
        if before:
            clauses.append("a.id < ?")
            values.append(before)
        where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
        query = f"SELECT a.id, p.answer FROM answers a JOIN payloads p ON p.id = a.id {where} ORDER BY a.id DESC LIMIT ?"
        with self._reading() as connection:
            rows = connection.execute(query, (*values, limit)).fetchall()
            return [_with_review(connection, id_, text) for id_, text in rows]

    def pages(self, wanted: Filter, size: int = 500, before: str = "") -> Iterator[dict[str, Any]]:
        """All answers that pass a filter, newest first, read page by page."""
        while found := self.page(wanted, size, before):
            yield from found
            before = found[-1]["id"]

    def close(self) -> None:
        """Close what is open."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    def _answer(self, connection: sqlite3.Connection, id_: str, who: str | None) -> dict[str, Any]:
        query = "SELECT p.answer FROM answers a JOIN payloads p ON p.id = a.id WHERE a.id = ? AND (? IS NULL OR a.who = ?)"
        row = connection.execute(query, (id_, who, who)).fetchone()
        if row is None:
            raise Problem(
                "prediction_not_found", "there is no prediction of that id; it may have been deleted, or be another token's"
            )
        return _with_review(connection, id_, row[0])

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = open_log(self._path, read_only=True)
        until = time.monotonic() + SEARCH_SECONDS
        connection.set_progress_handler(lambda: time.monotonic() > until, STEPS_BETWEEN_LOOKS)
        try:
            yield connection
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_INTERRUPT":
                raise
            detail = f"the search took more than {SEARCH_SECONDS:g} s; narrow it, for example by since and until"
            raise Problem("search_too_slow", detail, {"Retry-After": "1"}) from error
        finally:
            with self._lock:
                self._idle.append(connection)


def _with_review(connection: sqlite3.Connection, id_: str, text: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(text)
    row = connection.execute(REVIEW, (id_,)).fetchone()
    if row is not None:
        answer["review"] = dict(zip(("conclusion", "note", "reviewer", "created"), row, strict=True))
    return answer
