"""The prediction log: every prediction, review and refusal in SQLite, on disk before its response is sent."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from lesionlens.serving.batches import Batches
from lesionlens.serving.log_file import check_sound, create_log, is_damage, open_log
from lesionlens.serving.problems import Problem
from lesionlens.serving.subjects import Subject, insert_subject

DAMAGED, RESTORE = "the prediction log is damaged", "stop the server and restore a backup"
PROBE_BYTES = 64 * 1024
MOST_AT_ONCE = 256  # operations in one commit
Result = TypeVar("Result")
Operation = Callable[[sqlite3.Connection], Any]


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
    """The file, open for writing by one thread; readers open it for themselves.

    Operations that arrive while one commit is written share the next one. `synchronous=FULL` makes
    SQLite wait for the disk at every commit, so when `submit` is done, the data survives a power cut.

    Args:
        path: the file; created, with mode 0600, if missing.

    Attributes:
        failure: SQLite's name of the last fault; empty after a successful prediction or probe.
        damaged: whether SQLite found the file damaged; it stays so until a backup is restored.

    Raises:
        ArtifactError: if the file is something else, damaged, or of another version.
        StorageError: if it is not writable.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.failure = ""
        self.damaged = False
        self._jobs: Batches[tuple[Operation, Future[Any]]] = Batches()
        create_log(path)
        check_sound(path)
        self._thread = threading.Thread(target=self._work, name="prediction-log", daemon=True)
        self._thread.start()

    def submit(self, operation: Callable[[sqlite3.Connection], Result]) -> Future[Result]:
        """Write in the next commit.

        Args:
            operation: executes statements; its return value is the future's result. An exception
                before its first statement affects no other operation.

        Returns:
            Done when the commit is on disk; fails with Problem `record_unwritable` if it cannot be written.
        """
        future: Future[Result] = Future()
        self._jobs.put((operation, future))
        return future

    def size_bytes(self) -> int:
        """Bytes of the file and its write-ahead log."""
        paths = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(path.stat().st_size for path in paths if path.is_file())

    def close(self) -> None:
        """Write what was submitted, and close the file."""
        self._jobs.close()
        self._thread.join()

    def _work(self) -> None:
        with closing(open_log(self.path)) as connection:
            while jobs := self._jobs.take(MOST_AT_ONCE):
                self._commit(connection, [job for job in jobs if job[1].set_running_or_notify_cancel()])

    def _commit(self, connection: sqlite3.Connection, jobs: list[tuple[Operation, Future[Any]]]) -> None:
        results: list[tuple[Future[Any], Any]] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            for operation, future in jobs:
                try:
                    results.append((future, operation(connection)))
                except sqlite3.Error:
                    raise
                except Exception as error:  # raised again where the result is awaited
                    future.set_exception(error)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._fail(connection, error, [future for _, future in jobs if not future.done()])
            return
        for future, result in results:
            future.set_result(result)

    def _fail(self, connection: sqlite3.Connection, error: sqlite3.Error, futures: list[Future[Any]]) -> None:
        self.failure = getattr(error, "sqlite_errorname", type(error).__name__)
        if connection.in_transaction:
            try:
                connection.execute("ROLLBACK")
            except sqlite3.Error:
                self.failure += ", rollback failed"
        for future in futures:
            future.set_exception(self._problem(error))

    def _problem(self, error: sqlite3.Error) -> Problem:
        self.damaged |= is_damage(error)
        if self.damaged:
            return Problem("record_damaged", f"{DAMAGED} ({self.failure}), and nothing is predicted unlogged; {RESTORE}")
        detail = f"the prediction log cannot be written ({self.failure}), and nothing is predicted unlogged; free some disk space"
        return Problem("record_unwritable", detail)


def insert_prediction(connection: sqlite3.Connection, entry: LogEntry) -> None:
    """Add a prediction."""
    connection.execute("INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", entry[:9])
    connection.execute("INSERT INTO payloads VALUES (?, ?, ?, ?)", (entry.id, entry.body, entry.maps, entry.map_shape))
    insert_subject(connection, entry.id, entry.subject, entry.frame, entry.malignant_share)
    if entry.features is not None:
        connection.execute("INSERT INTO features VALUES (?, ?)", (entry.id, entry.features))


def insert_review(connection: sqlite3.Connection, prediction: str, request_id: str, review: dict[str, str]) -> bool:
    """Add a review; False if there is no such prediction (any more)."""
    if connection.execute("SELECT 1 FROM answers WHERE id = ?", (prediction,)).fetchone() is None:
        return False
    values = (prediction, review["created"], request_id, review["reviewer"], review["conclusion"], review["note"])
    columns = "prediction, created, request_id, reviewer, conclusion, note"
    connection.execute(f"INSERT INTO reviews ({columns}) VALUES (?, ?, ?, ?, ?, ?)", values)
    return True


def probe(connection: sqlite3.Connection) -> None:
    """Write more than a prediction takes, over the previous probe, to find out whether the disk has room."""
    connection.execute("INSERT OR REPLACE INTO probes VALUES (1, randomblob(?))", (PROBE_BYTES,))


def timestamp(moment: datetime | None = None) -> str:
    """ISO 8601 in UTC with milliseconds, of now unless another moment is given."""
    moment = datetime.fromtimestamp(time.time(), UTC) if moment is None else moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
