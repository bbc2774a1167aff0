"""The prediction log: every prediction, review and refusal in SQLite, on disk before its response is sent."""

from __future__ import annotations

import os
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
from lesionlens.serving.batches import Batches
from lesionlens.serving.problems import Problem
from lesionlens.serving.schema_sql import APPLICATION_ID, TABLES, VERSION

BUSY_SECONDS = 30.0
PROBE_BYTES = 64 * 1024
MOST_AT_ONCE = 256  # operations in one commit
UNWRITABLE = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_BUSY")
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


class PredictionLog:
    """The file, open for writing by one thread; readers open it for themselves.

    Operations that arrive while one commit is written share the next one. `synchronous=FULL` makes
    SQLite wait for the disk at every commit, so when `submit` is done, the data survives a power cut.

    Args:
        path: the file; created, with mode 0600, if missing.

    Attributes:
        failure: SQLite's name of the last fault; empty after a successful prediction or probe.

    Raises:
        ArtifactError: if the file is something else, damaged, or of another version.
        StorageError: if it is not writable.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.failure = ""
        self._jobs: Batches[tuple[Operation, Future[Any]]] = Batches()
        create_log(path)
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
        detail = f"the prediction log cannot be written ({self.failure}), and nothing is predicted unlogged; free some disk space"
        for future in futures:
            future.set_exception(Problem("record_unwritable", detail))


def insert_prediction(connection: sqlite3.Connection, entry: LogEntry) -> None:
    """Add a prediction."""
    connection.execute("INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", entry[:9])
    connection.execute("INSERT INTO payloads VALUES (?, ?, ?, ?)", (entry.id, entry.body, entry.maps, entry.map_shape))


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


def create_log(path: Path) -> None:
    """Create the file if it is missing, and check that it is a prediction log of this version.

    Raises:
        ArtifactError: if the file is something else, damaged, or of another version.
        StorageError: if it is not writable.
    """
    try:
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            path.chmod(0o600)  # SQLite gives its -wal and -shm files the mode of this one
    except (FileExistsError, NotADirectoryError) as error:
        raise StorageError(f"prediction log {path} cannot be created ({error.strerror}); choose another --record") from error
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
    open_log(path).close()


def open_log(path: Path, read_only: bool = False) -> sqlite3.Connection:
    """Open an existing prediction log; the caller closes it.

    Raises:
        ArtifactError: if it is missing, something else, damaged, or of another version.
    """
    if not path.is_file():
        raise ArtifactError(f"there is no prediction log at {path}; `lesionlens serve` creates one. Give its path with --record")
    try:
        address = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}"
        connection = sqlite3.connect(address, timeout=BUSY_SECONDS, isolation_level=None, uri=True, check_same_thread=False)
        _check_version(path, connection)
        for pragma in ("synchronous = FULL", "foreign_keys = ON", "trusted_schema = OFF"):
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.DatabaseError as error:
        raise _unusable(path, error) from error
    return connection


def timestamp(moment: datetime | None = None) -> str:
    """ISO 8601 in UTC with milliseconds, of now unless another moment is given."""
    moment = datetime.fromtimestamp(time.time(), UTC) if moment is None else moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _check_version(path: Path, connection: sqlite3.Connection) -> None:
    owner, version = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    if (owner, version) == (APPLICATION_ID, VERSION):
        return
    connection.close()
    if owner != APPLICATION_ID:
        raise ArtifactError(f"{path} is a database, but not a prediction log of lesionlens; choose another --record")
    raise ArtifactError(
        f"prediction log {path} is of version {version}; this lesionlens writes version {VERSION}. "
        "Install the version that wrote it, or choose another --record"
    )


def _unusable(path: Path, error: sqlite3.DatabaseError) -> ArtifactError | StorageError:
    if getattr(error, "sqlite_errorname", "").startswith(UNWRITABLE):
        return StorageError(f"prediction log {path} cannot be written ({error}); free some space, or choose another --record")
    return ArtifactError(f"{path} is not readable as a prediction log ({error}); restore a backup, or choose another --record")
