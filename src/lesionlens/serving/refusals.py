"""Refusals in the prediction log, in bounded space: a flood of bad uploads must not fill the disk.

The first refusals of each minute get one row each. Later ones of that minute are counted in one row per
operation, code and token. Beyond `MOST_ROWS` the oldest rows are deleted.
"""

from __future__ import annotations

from typing import NamedTuple

from lesionlens.core.database import Connection

ROWS_A_MINUTE = 60
MOST_ROWS = 100_000
CLEAN_EVERY = 1_000
MANY = "many"
INSERT = "INSERT INTO refusals (created, request_id, who, operation, status, code) VALUES (?, ?, ?, ?, ?, ?)"
CLEAN = "DELETE FROM refusals WHERE number <= (SELECT max(number) FROM refusals) - ?"
COUNT = """UPDATE refusals SET times = times + 1
    WHERE number > ? AND created = ? AND request_id = ? AND who = ? AND operation = ? AND status = ? AND code = ?"""


class Refusal(NamedTuple):
    """One refusal.

    Attributes:
        created: ISO 8601, UTC, milliseconds.
        request_id: of the request.
        token_name: of the caller; empty without a valid token.
        operation: method and route.
        status: HTTP status.
        code: of the problem.
    """

    created: str
    request_id: str
    token_name: str
    operation: str
    status: int
    code: str


class RefusalLog:
    """Writes refusals; used only by the thread that writes the prediction log."""

    def __init__(self) -> None:
        self._minute = ""
        self._rows = 0
        self._first = 0
        self._inserted = 0

    def insert(self, connection: Connection, refusal: Refusal) -> None:
        """Add one refusal, as a row of its own or to a count."""
        minute = refusal.created[:16]
        if minute != self._minute:
            newest = connection.execute("SELECT max(number) FROM refusals").fetchone()[0]
            self._minute, self._rows, self._first = minute, 0, newest or 0
        self._rows += 1
        if self._rows > ROWS_A_MINUTE:
            refusal = refusal._replace(created=f"{minute}:00.000Z", request_id=MANY)
            if connection.execute(COUNT, (self._first, *refusal)).rowcount:
                return
        connection.execute(INSERT, refusal)
        if self._inserted % CLEAN_EVERY == 0:
            connection.execute(CLEAN, (MOST_ROWS,))
        self._inserted += 1
