"""The record: every answer, review and refusal in SQLite, on disk before anybody is told of it."""

from __future__ import annotations

import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from lesionlens.core.artifact import storage_errors
from lesionlens.core.errors import ArtifactError, StorageError
from lesionlens.serving.problems import Problem
from lesionlens.serving.schema_sql import APPLICATION_ID, TABLES, VERSION

BUSY_SECONDS = 30.0
PROBE_BYTES = 64 * 1024
MOST_AT_ONCE = 256  # operations in one commit
Result = TypeVar("Result")
Operation = Callable[[sqlite3.Connection], Any]


class LogEntry(NamedTuple):
    """One answer as it is kept.

    Attributes:
        id: of the prediction.
        created: ISO 8601, UTC, milliseconds.
        request_id: of the request.
        who: name of the token.
        bundle_id: that answered.
        input_sha256: of the uploaded bytes.
        file_name: as sent, or None.
        outcome: `diagnosis`, `not_sure` or `not_usable`.
        diagnosis: code, or None.
        answer: the JSON that the client gets.
        maps: compressed heat maps, or None.
        map_shape: `K,h,w`, or None.
        timings_ms: for the metrics; kept inside `answer` only.
    """

    id: str
    created: str
    request_id: str
    who: str
    bundle_id: str
    input_sha256: str
    file_name: str | None
    outcome: str
    diagnosis: str | None
    answer: str
    maps: bytes | None
    map_shape: str | None
    timings_ms: dict[str, float]


class PredictionLog:
    """The file, open for writing by one thread; readers open it for themselves.

    What waits while one commit is written to disk shares the next one. `synchronous=FULL` makes
    SQLite wait for the disk at every commit, so a result of `submit` means: it is there, also
    after a power cut.

    Args:
        path: the file; made, with mode 0600, if missing.

    Attributes:
        failure: SQLite's name for the last fault, until an answer or a probe was written since; empty: none.

    Raises:
        ArtifactError: if the file is something else, damaged, or of another version.
        StorageError: if it may not be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.failure = ""
        self._jobs: queue.SimpleQueue[tuple[Operation, Future[Any]] | None] = queue.SimpleQueue()
        create_log(path)
        self._thread = threading.Thread(target=self._work, name="record", daemon=True)
        self._thread.start()

    def submit(self, operation: Callable[[sqlite3.Connection], Result]) -> Future[Result]:
        """Write in the next commit.

        Args:
            operation: executes statements; what it returns is the future's result. What it raises
                before its first statement hurts no other operation.

        Returns:
            Done when the commit is on disk; fails with Problem `record_unwritable` if it cannot be.
        """
        future: Future[Result] = Future()
        self._jobs.put((operation, future))
        return future

    def close(self) -> None:
        """Write what was submitted, and close the file."""
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        with closing(open_log(self.path)) as connection:
            while (job := self._jobs.get()) is not None:
                jobs = [job]
                while len(jobs) < MOST_AT_ONCE and not self._jobs.empty():
                    following = self._jobs.get()
                    if following is None:
                        self._jobs.put(None)
                        break
                    jobs.append(following)
                self._commit(connection, [job for job in jobs if job[1].set_running_or_notify_cancel()])

    def _commit(self, connection: sqlite3.Connection, jobs: list[tuple[Operation, Future[Any]]]) -> None:
        done: list[tuple[Future[Any], Any]] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            for operation, future in jobs:
                try:
                    done.append((future, operation(connection)))
                except sqlite3.Error:
                    raise
                except Exception as error:  # a mistake in one answer belongs to who waits for it
                    future.set_exception(error)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._fail(connection, error, [future for _, future in jobs if not future.done()])
            return
        for future, result in done:
            future.set_result(result)

    def _fail(self, connection: sqlite3.Connection, error: sqlite3.Error, futures: list[Future[Any]]) -> None:
        self.failure = error.sqlite_errorname if hasattr(error, "sqlite_errorname") else type(error).__name__
        if connection.in_transaction:
            try:
                connection.execute("ROLLBACK")
            except sqlite3.Error:
                self.failure += ", rollback failed"
        for future in futures:
            detail = f"the record cannot be written ({self.failure}), and nothing is answered unrecorded; free some disk space"
            future.set_exception(Problem("record_unwritable", detail))


def insert_prediction(connection: sqlite3.Connection, entry: LogEntry) -> None:
    """Add an answer."""
    connection.execute("INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", entry[:9])
    connection.execute("INSERT INTO payloads VALUES (?, ?, ?, ?)", (entry.id, entry.answer, entry.maps, entry.map_shape))


def insert_review(connection: sqlite3.Connection, prediction: str, request_id: str, review: dict[str, str]) -> bool:
    """Add a review; False if the prediction is not there (any more)."""
    if connection.execute("SELECT 1 FROM answers WHERE id = ?", (prediction,)).fetchone() is None:
        return False
    values = (prediction, review["created"], request_id, review["reviewer"], review["conclusion"], review["note"])
    columns = "prediction, created, request_id, reviewer, conclusion, note"
    connection.execute(f"INSERT INTO reviews ({columns}) VALUES (?, ?, ?, ?, ?, ?)", values)
    return True


def probe(connection: sqlite3.Connection) -> None:
    """Write what is larger than an answer over what the last probe wrote, to see whether one can."""
    connection.execute("INSERT OR REPLACE INTO probes VALUES (1, randomblob(?))", (PROBE_BYTES,))


def create_log(path: Path) -> None:
    """Make the file if it is missing, and check that it is a record of this version.

    Raises:
        ArtifactError: if the file is something else, damaged, or of another version.
        StorageError: if it may not be written.
    """
    try:
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            path.chmod(0o600)  # SQLite gives its -wal and -shm files the mode of this one
    except (FileExistsError, NotADirectoryError) as error:
        raise StorageError(f"record {path} cannot be made ({error.strerror}); choose another --record") from error
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                for statement in TABLES.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute("COMMIT")
            connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.DatabaseError as error:
        raise _unusable(path, error) from error
    with closing(open_log(path)):
        return


def open_log(path: Path, read_only: bool = False) -> sqlite3.Connection:
    """Open an existing record; the caller closes it.

    Raises:
        ArtifactError: if it is missing, something else, damaged, or of another version.
    """
    if not path.is_file():
        raise ArtifactError(f"there is no record at {path}; `lesionlens serve` makes one, give its place with --record")
    try:
        mode = "ro" if read_only else "rw"
        address = f"{path.absolute().as_uri()}?mode={mode}"
        connection = sqlite3.connect(address, timeout=BUSY_SECONDS, isolation_level=None, uri=True, check_same_thread=False)
        _check_version(path, connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
    except sqlite3.DatabaseError as error:
        raise _unusable(path, error) from error
    return connection


def timestamp(moment: datetime | None = None) -> str:
    """ISO 8601 in UTC with milliseconds, of now unless another moment is given."""
    moment = datetime.fromtimestamp(time.time(), UTC) if moment is None else moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _check_version(path: Path, connection: sqlite3.Connection) -> None:
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if owner == APPLICATION_ID and version == VERSION:
        return
    connection.close()
    if owner != APPLICATION_ID:
        raise ArtifactError(f"{path} is a database, but no record of lesionlens; choose another --record")
    raise ArtifactError(
        f"record {path} is of version {version}; this lesionlens writes version {VERSION}. "
        "Install the version that wrote it, or choose another --record"
    )


def _unusable(path: Path, error: sqlite3.DatabaseError) -> ArtifactError | StorageError:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_BUSY")):
        return StorageError(f"record {path} cannot be written ({error}); free some space, or choose another --record")
    return ArtifactError(f"{path} is not readable as a record ({error}); restore it from a backup, or choose another --record")
