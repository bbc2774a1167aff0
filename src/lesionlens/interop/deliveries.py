"""Results on their way to other systems: kept in the prediction log until they are taken, tried again while a target is down.

A delivery is claimed for a time before it is sent, so that two servers on one log do not both send it. One that was sent
before its server died is sent again; reports have the same UIDs and FHIR resources the same identifiers every time.
What waits may name a patient: the file has mode 0600, and the content is overwritten once it is delivered.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any, NamedTuple

from lesionlens.core.database import Connection
from lesionlens.interop.senders import DeliveryError

LOG = logging.getLogger("lesionlens.serving")
TABLE = """
CREATE TABLE IF NOT EXISTS deliveries (
    number INTEGER PRIMARY KEY,
    prediction TEXT NOT NULL REFERENCES answers (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    created TEXT NOT NULL,
    content BLOB,
    due REAL NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    delivered TEXT,
    error TEXT NOT NULL DEFAULT '',
    UNIQUE (prediction, kind)
)
"""
INDEX = "CREATE INDEX IF NOT EXISTS deliveries_waiting ON deliveries (due) WHERE delivered IS NULL"
INSERT = "INSERT INTO deliveries (prediction, kind, created, content) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
COLUMNS = ("number", "prediction", "kind", "created", "attempts", "delivered", "error")
CLAIM = """SELECT number, prediction, kind, content, attempts FROM deliveries
    WHERE delivered IS NULL AND due <= ? AND kind IN ({kinds}) ORDER BY number LIMIT ?"""
COUNT = "SELECT count(*) FROM deliveries WHERE delivered IS NULL"
DELIVERED = "UPDATE deliveries SET delivered = ?, content = NULL, error = '' WHERE number = ?"
PUT_OFF = "UPDATE deliveries SET attempts = attempts + 1, error = ?, due = ? WHERE number = ?"
GIVE_BACK = "UPDATE deliveries SET due = 0 WHERE number = ?"
AT_ONCE = 4
CLAIM_SECONDS = 300.0  # longer than `AT_ONCE` attempts that all time out
POLL_SECONDS = 2.0
STOP_SECONDS = 10.0
MOST_WAIT_SECONDS = 600.0
ERROR_CHARACTERS = 300
Operation = Callable[[Connection], Any]
Submit = Callable[[Operation], "Future[Any]"]


class Delivery(NamedTuple):
    """One result for one other system.

    Attributes:
        number: in the queue.
        prediction: id of its prediction.
        kind: `sr`, `sc`, `fhir` or `webhook`.
        content: the object; or what a FHIR resource says of study and patient; None where the prediction is all there is.
        attempts: failed ones so far.
    """

    number: int
    prediction: str
    kind: str
    content: bytes | None
    attempts: int


Send = Callable[[Delivery], None]


def create_table(connection: Connection) -> None:
    """Create the table in a log that does not have it."""
    connection.execute(TABLE)
    connection.execute(INDEX)


def insert(connection: Connection, prediction: str, contents: Mapping[str, bytes | None]) -> None:
    """Queue results of a prediction by their kinds; one that was queued before stays as it is."""
    connection.executemany(INSERT, [(prediction, kind, _now(), content) for kind, content in contents.items()])


def queued(connection: Connection, prediction: str) -> set[str]:
    """Kinds of the results of a prediction that are or were queued."""
    rows = connection.execute("SELECT kind FROM deliveries WHERE prediction = ?", (prediction,))
    return {kind for (kind,) in rows}


def read_deliveries(connection: Connection, waiting: bool | None, limit: int, before: int | None) -> list[dict[str, Any]]:
    """Deliveries, newest first, without their content.

    Args:
        connection: to the log.
        waiting: only those that wait, or only those that were delivered; None: both.
        limit: the most to return.
        before: only those with a lower number.
    """
    clauses = [] if waiting is None else [f"delivered IS {'' if waiting else 'NOT '}NULL"]
    clauses += [] if before is None else ["number < ?"]
    where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
    values = (*(() if before is None else (before,)), limit)
    rows = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM deliveries {where} ORDER BY number DESC LIMIT ?", values)
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


class Deliveries:
    """Sends what is queued, with one thread for each target, so that one that is down does not hold up the others.

    Args:
        submit: writes to the prediction log.
        targets: for each target, what sends each kind to it; kinds that no target takes wait.

    Attributes:
        sent: deliveries since the start.
        failures: attempts that failed since the start.
        waiting: deliveries that wait, as of the last look.
    """

    def __init__(self, submit: Submit, targets: Sequence[Mapping[str, Send]]) -> None:
        self._submit = submit
        self._stopping = False
        self._lock = threading.Lock()
        self._wakes = [threading.Event() for _ in targets]
        self.sent = self.failures = self.waiting = 0
        submit(create_table).result()
        pairs = zip(targets, self._wakes, strict=True)
        self._threads = [threading.Thread(target=self._work, args=pair, name="deliveries", daemon=True) for pair in pairs]

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Look at the queue now."""
        for wake in self._wakes:
            wake.set()

    def close(self) -> None:
        """Stop after the attempts that are running; the rest waits for the next start."""
        self._stopping = True
        self.wake()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(STOP_SECONDS)  # one that waits for its target dies with the process, and tries again later

    def _work(self, senders: Mapping[str, Send], wake: threading.Event) -> None:
        while not self._stopping:
            claimed = self._claimed(senders)
            for number, delivery in enumerate(claimed):
                if self._stopping:
                    numbers = [(left.number,) for left in claimed[number:]]
                    self._write(lambda connection, rows=numbers: connection.executemany(GIVE_BACK, rows))
                    return
                self._attempt(delivery, senders[delivery.kind])
            if not claimed:
                wake.wait(POLL_SECONDS)
                wake.clear()

    def _claimed(self, senders: Mapping[str, Send]) -> list[Delivery]:
        """Those that are due, oldest first, put off for all other servers."""

        def claim(connection: Connection) -> list[Delivery]:
            now, marks = time.time(), ", ".join("?" * len(senders))
            query = CLAIM.format(kinds=marks)
            claimed = [Delivery(*row) for row in connection.execute(query, (now, *senders, AT_ONCE))]
            later = [(now + CLAIM_SECONDS, delivery.number) for delivery in claimed]
            connection.executemany("UPDATE deliveries SET due = ? WHERE number = ?", later)
            self.waiting = connection.execute(COUNT).fetchone()[0]
            return claimed

        claimed: list[Delivery] | None = self._write(claim)
        return claimed or []

    def _attempt(self, delivery: Delivery, send: Send) -> None:
        try:
            send(delivery)
        except DeliveryError as error:
            self._put_off(delivery, str(error))
        except Exception as error:  # a fault of ours must not stop the others; its message may name values
            self._put_off(delivery, f"it cannot be sent ({type(error).__name__})")
        else:
            with self._lock:
                self.sent += 1
            self._write(lambda connection: connection.execute(DELIVERED, (_now(), delivery.number)))

    def _put_off(self, delivery: Delivery, error: str) -> None:
        with self._lock:
            self.failures += 1
        LOG.warning(json.dumps({"delivery": delivery.number, "kind": delivery.kind, "error": error}))
        values = (error[:ERROR_CHARACTERS], time.time() + wait_seconds(delivery.attempts + 1), delivery.number)
        self._write(lambda connection: connection.execute(PUT_OFF, values))

    def _write(self, operation: Operation) -> Any:
        """Write to the queue; if that cannot be done now, what is claimed is tried again once the claim is over."""
        try:
            return self._submit(operation).result()
        except Exception as error:
            LOG.error(json.dumps({"deliveries": "the queue cannot be written", "error": type(error).__name__}))
            return None


def wait_seconds(attempts: int) -> float:
    """How long a delivery rests after so many failed attempts: 2, 4, 8 s, up to ten minutes.

    Example:
        >>> [wait_seconds(attempts) for attempts in (1, 2, 20)]
        [2.0, 4.0, 600.0]
    """
    return min(MOST_WAIT_SECONDS, 2.0 ** min(attempts, 16))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
