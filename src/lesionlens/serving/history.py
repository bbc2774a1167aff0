"""Reading the prediction log: one prediction, pages of them, heat maps."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

from lesionlens.core.database import Connection
from lesionlens.serving.database_url import Place
from lesionlens.serving.deletion import deleted_when
from lesionlens.serving.entries import unpack_maps
from lesionlens.serving.idempotency import StoredPrediction, find_key
from lesionlens.serving.identifiers import first_of
from lesionlens.serving.problems import Problem
from lesionlens.serving.record import DAMAGED, RESTORE, store_of
from lesionlens.serving.subjects import MINE, Subject, subject_of

SEARCH_SECONDS = 5.0
REVIEW_FIELDS = ("conclusion", "note", "reviewer", "created")
REVIEW = f"SELECT {', '.join(REVIEW_FIELDS)} FROM reviews WHERE prediction = ? ORDER BY number DESC LIMIT 1"
PREDICTIONS = "SELECT a.id, p.answer FROM answers a JOIN payloads p ON p.id = a.id"
LIKE = "lower({}) LIKE lower(?) ESCAPE '\\'"  # of ASCII letters, in either database
NOT_FOUND = "there is no prediction with that id; it may have been deleted, or belong to another token"


@dataclass(frozen=True)
class Filter:
    """Conditions on predictions; None or empty is no condition.

    Attributes:
        outcome: `diagnosis`, `not_sure` or `not_usable`.
        diagnosis: code.
        reviewed: whether there is a review.
        since: created at or after.
        until: created before.
        text: part of the file name, id, request id, input hash or a review's note, ignoring case.
        token_name: of the token that sent the image.
    """

    outcome: str | None = None
    diagnosis: str | None = None
    reviewed: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""
    token_name: str | None = None

    def conditions(self) -> tuple[list[str], list[Any]]:
        """SQL conditions and their values."""
        equal = {"outcome": self.outcome, "diagnosis": self.diagnosis, "who": self.token_name}
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
            matches = [LIKE.format(field) for field in fields]
            matches.append(f"EXISTS (SELECT 1 FROM reviews r WHERE r.prediction = a.id AND {LIKE.format('r.note')})")
            clauses.append(f"({' OR '.join(matches)})")
            values += [pattern] * len(matches)
        return clauses, values


class Maps(NamedTuple):
    """The heat maps of a prediction, float32 (K, h, w), and its JSON."""

    maps: np.ndarray
    prediction: dict[str, Any]


class History:
    """Reads the prediction log, from any thread.

    Args:
        record: where the log is.
    """

    def __init__(self, record: Place) -> None:
        self._store = store_of(record)
        self._idle: list[Connection] = []
        self._lock = threading.Lock()

    def prediction(self, id_: str, token_name: str | None = None) -> dict[str, Any]:
        """One prediction with its newest review.

        Args:
            id_: of the prediction.
            token_name: only if this token sent it; None: any token.

        Raises:
            Problem: `prediction_not_found`.
        """
        with self.reading() as connection:
            return _prediction(connection, id_, token_name)

    def by_key(
        self,
        hash_: str,
        input_sha256: str,
        frame: int,
        metadata: dict[str, Any] | None = None,
        subject: Subject | None = None,
    ) -> StoredPrediction | None:
        """The prediction that an Idempotency-Key made; see `find_key`."""
        with self.reading() as connection:
            return find_key(connection, hash_, input_sha256, frame, metadata, subject)

    def maps(self, id_: str, token_name: str | None = None) -> Maps:
        """The heat maps of one prediction; arguments as for `prediction`.

        Raises:
            Problem: `prediction_not_found`, or `map_not_found` if its bundle has none.
        """
        with self.reading() as connection:
            prediction = _prediction(connection, id_, token_name)
            data, shape = connection.execute("SELECT maps, map_shape FROM payloads WHERE id = ?", (id_,)).fetchone()
        if data is None:
            raise Problem("map_not_found", "this bundle gives no heat maps")
        return Maps(unpack_maps(data, shape), prediction)

    def page(self, conditions: Filter, limit: int, before: str = "") -> list[dict[str, Any]]:
        """The newest predictions that meet the conditions, newest first.

        Args:
            conditions: the filter.
            limit: the most to return.
            before: only those created before the prediction with this id.

        Raises:
            Problem: `search_too_slow`.
        """
        clauses, values = conditions.conditions()
        if before:
            clauses.append("a.id < ?")
            values.append(before)
        where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
        with self.reading() as connection:
            rows = connection.execute(f"{PREDICTIONS} {where} ORDER BY a.id DESC LIMIT ?", (*values, limit)).fetchall()
            return [with_current(connection, id_, text) for id_, text in rows]

    def pages(self, conditions: Filter, size: int = 500, before: str = "") -> Iterator[dict[str, Any]]:
        """All predictions that meet the conditions, newest first, read page by page."""
        while page := self.page(conditions, size, before):
            yield from page
            before = page[-1]["id"]

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for a few statements, which together may take `SEARCH_SECONDS` (in PostgreSQL each of them).

        Raises:
            Problem: `search_too_slow`, `record_damaged` or `record_unavailable`.
        """
        store, connection = self._store, None
        try:
            connection = self._connection()
            store.limit_time(connection, SEARCH_SECONDS)
            yield connection
        except store.errors as error:
            problem = self._problem(error)
            if problem is None:
                raise
            raise problem from error
        finally:
            if connection is not None:
                self._give_back(connection)

    def rows(self, connection: Connection, sql: str, values: Sequence[Any] = ()) -> Iterable[Any]:
        """Rows that may be more than fit into memory."""
        return self._store.rows(connection, sql, values)

    def _connection(self) -> Connection:
        """An idle connection whose database still answers, or a new one."""
        while (connection := self._taken()) is not None:
            if self._store.answers(connection):
                return connection
            connection.close()
        return self._store.open(read_only=True)

    def _taken(self) -> Connection | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _give_back(self, connection: Connection) -> None:
        """Keep a connection for the next read, unless it is broken."""
        if not self._store.is_open(connection):
            connection.close()
            return
        with self._lock:
            self._idle.append(connection)

    def _problem(self, error: Exception) -> Problem | None:
        """The refusal that an error means; None for a mistake of ours."""
        fault = self._store.fault(error)
        if fault.kind == "damaged":
            return Problem("record_damaged", f"{DAMAGED}; {RESTORE}")
        if fault.kind == "unavailable":
            return fault.problem()
        if fault.kind != "too_slow":
            return None
        detail = f"the search took more than {SEARCH_SECONDS:g} s; narrow it, for example with since and until"
        return Problem("search_too_slow", detail, {"Retry-After": "1"})


def _prediction(connection: Connection, id_: str, token_name: str | None) -> dict[str, Any]:
    query = f"{PREDICTIONS} WHERE a.id = ? AND {MINE}"
    row = connection.execute(query, (id_, token_name, token_name)).fetchone()
    if row is None and token_name is None and (when := deleted_when(connection, id_)):
        raise Problem("prediction_deleted", f"this prediction was deleted on request at {when}")
    if row is None:
        raise Problem("prediction_not_found", NOT_FOUND)
    return with_current(connection, *row)


def with_current(connection: Connection, id_: str, text: str) -> dict[str, Any]:
    """A prediction as it was sent, with its newest review, and with what its image shows as it is known now."""
    prediction: dict[str, Any] = json.loads(text)
    row = connection.execute(REVIEW, (id_,)).fetchone()
    if row is not None:
        prediction["review"] = dict(zip(REVIEW_FIELDS, row, strict=True))
    subject = subject_of(connection, id_)
    if subject is not None:
        prediction.update(subject.to_json())
    return prediction
