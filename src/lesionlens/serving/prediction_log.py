"""The prediction log: every prediction, review and refusal in a database, on disk before its response is sent."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

from lesionlens.core.database import Connection
from lesionlens.serving.batches import Batches
from lesionlens.serving.database_url import Place
from lesionlens.serving.record import Fault, store_of
from lesionlens.serving.subjects import Subject, insert_subject

PROBE_BYTES = 64 * 1024
MOST_AT_ONCE = 256  # operations in one commit
Result = TypeVar("Result")
Operation = Callable[[Connection], Any]
Job = tuple[Operation, "Future[Any]"]


class LogEntry(NamedTuple):
    """One prediction as it is stored.

    Attributes:
        id: of the prediction.
        created: ISO 8601, UTC, milliseconds.
        request_id: of the request.
        token_name: of the caller.
        bundle_id: of the bundle.
        input_sha256: of the uploaded bytes.
        file_name: as sent, or None.
        outcome: `diagnosis`, `not_sure` or `not_usable`.
        diagnosis: code, or None.
        body: the JSON that the client receives.
        maps: compressed heat maps, or None.
        map_shape: `K,h,w`, or None.
        timings_ms: for the metrics; stored inside `body` only.
        subject: what the image shows.
        frame: of the file, from 0.
        malignant_share: in [0, 1], or None.
        features: as `entries.pack_features` packs them, or None.
    """

    id: str
    created: str
    request_id: str
    token_name: str
    bundle_id: str
    input_sha256: str
    file_name: str | None
    outcome: str
    diagnosis: str | None
    body: str
    maps: bytes | None
    map_shape: str | None
    timings_ms: dict[str, float]
    subject: Subject = Subject()
    frame: int = 0
    malignant_share: float | None = None
    features: bytes | None = None


class PredictionLog:
    """The database, open for writing by one thread; readers open it for themselves.

    Operations that arrive while one commit is written share the next one. SQLite (`synchronous=FULL`) and PostgreSQL
    (`synchronous_commit=on`) wait for the disk at every commit, so when `submit` is done, the data survives a power cut.
    An operation may be executed again where its first transaction failed before its end.

    Args:
        record: where it is; created if missing, a file with mode 0600.

    Attributes:
        store: the database.
        failure: the database's name of the last fault; empty after a successful prediction or probe.
        damaged: whether the database found itself damaged; it stays so until a backup is restored.

    Raises:
        ArtifactError: if the file is something else, damaged, or of another version.
        StorageError: if it is not writable, or cannot be reached.
    """

    def __init__(self, record: Place) -> None:
        self.store = store_of(record)
        self.failure = ""
        self.damaged = False
        self._jobs: Batches[Job] = Batches()
        self._connection: Connection | None = None
        self.store.create()
        self._thread = threading.Thread(target=self._work, name="prediction-log", daemon=True)
        self._thread.start()

    def submit(self, operation: Callable[[Connection], Result]) -> Future[Result]:
        """Write in the next commit.

        Args:
            operation: executes statements; its return value is the future's result. An exception
                before its first statement affects no other operation.

        Returns:
            Done when the commit is on disk; fails with Problem `record_unwritable` or `record_unavailable` if it cannot be
            written.
        """
        future: Future[Result] = Future()
        self._jobs.put((operation, future))
        return future

    def close(self) -> None:
        """Write what was submitted, and close the database."""
        self._jobs.close()
        self._thread.join()

    def _work(self) -> None:
        while jobs := self._jobs.take(MOST_AT_ONCE):
            self._commit([job for job in jobs if job[1].set_running_or_notify_cancel()])
        self._drop()

    def _commit(self, jobs: list[Job]) -> None:
        """Write operations in one commit; where the database refuses one of them, each in its own."""
        error = self._attempt(jobs)
        if error is None:
            return
        left = [job for job in jobs if not job[1].done()]
        fault = self._fault(error)
        if fault.kind == "refused":
            if len(left) == 1:
                left[0][1].set_exception(error)
                return
            for job in left:
                self._commit([job])
            return
        self.failure = fault.name
        self.damaged |= fault.kind == "damaged"
        problem = (fault._replace(kind="damaged") if self.damaged else fault).problem
        for _, future in left:
            future.set_exception(problem())

    def _attempt(self, jobs: list[Job], is_first: bool = True) -> Exception | None:
        """Execute and commit; returns what failed. A connection that was gone before the commit is opened again once."""
        results: list[tuple[Future[Any], Any]] = []
        committing = False
        try:
            connection = self._opened()
            self.store.begin(connection)
            for operation, future in jobs:
                if not future.done():
                    self._execute(connection, operation, future, results)
            committing = True
            connection.execute("COMMIT")
        except Exception as error:  # of the database or the way to it; those of operations are with their futures
            is_lost = self._connection is not None and not self._rolled_back()
            return self._attempt(jobs, False) if is_lost and is_first and not committing else error
        for future, result in results:
            future.set_result(result)
        return None

    def _execute(self, connection: Connection, operation: Operation, future: Future[Any], results: list[Any]) -> None:
        try:
            results.append((future, operation(connection)))
        except self.store.errors:
            raise
        except Exception as error:  # raised again where the result is awaited
            future.set_exception(error)

    def _opened(self) -> Connection:
        if self._connection is None:
            self._connection = self.store.open()
        return self._connection

    def _rolled_back(self) -> bool:
        """Roll back; returns whether the connection can still be used. One that cannot is closed."""
        assert self._connection is not None
        with suppress(*self.store.errors):  # it is gone, or has rolled back by itself
            self._connection.execute("ROLLBACK")
        if self.store.is_open(self._connection):
            return True
        self._drop()
        return False

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _fault(self, error: Exception) -> Fault:
        fault = self.store.fault(error)
        if fault.kind == "unavailable":
            self._drop()  # the next connection may lead to another server
        return fault


def insert_prediction(connection: Connection, entry: LogEntry) -> None:
    """Add a prediction."""
    connection.execute("INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", entry[:9])
    connection.execute("INSERT INTO payloads VALUES (?, ?, ?, ?)", (entry.id, entry.body, entry.maps, entry.map_shape))
    insert_subject(connection, entry.id, entry.subject, entry.frame, entry.malignant_share)
    if entry.features is not None:
        connection.execute("INSERT INTO features VALUES (?, ?)", (entry.id, entry.features))


def insert_review(connection: Connection, prediction: str, request_id: str, review: dict[str, str]) -> bool:
    """Add a review; False if there is no such prediction (any more)."""
    if connection.execute("SELECT 1 FROM answers WHERE id = ?", (prediction,)).fetchone() is None:
        return False
    values = (prediction, review["created"], request_id, review["reviewer"], review["conclusion"], review["note"])
    columns = "prediction, created, request_id, reviewer, conclusion, note"
    connection.execute(f"INSERT INTO reviews ({columns}) VALUES (?, ?, ?, ?, ?, ?)", values)
    return True


def probe(connection: Connection) -> None:
    """Write more than a prediction takes, over the previous probe, to find out whether the disk has room."""
    sql = "INSERT INTO probes VALUES (1, ?) ON CONFLICT (number) DO UPDATE SET filler = excluded.filler"
    connection.execute(sql, (os.urandom(PROBE_BYTES),))


def reach(connection: Connection) -> None:
    """See that the database is there."""
    connection.execute("SELECT 1")


def timestamp(moment: datetime | None = None) -> str:
    """ISO 8601 in UTC with milliseconds, of now unless another moment is given."""
    moment = datetime.fromtimestamp(time.time(), UTC) if moment is None else moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
