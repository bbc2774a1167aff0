"""The file of the prediction log in SQLite: created, checked and opened."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from lesionlens.core.artifact import storage_errors
from lesionlens.core.database import Connection, Cursor, Values
from lesionlens.core.errors import ArtifactError, StorageError
from lesionlens.serving.idempotency import TABLE as KEYS
from lesionlens.serving.record import Fault
from lesionlens.serving.schema_sql import APPLICATION_ID, VERSION, statements_after

BUSY_SECONDS = 30.0
CHECK_STEPS = 20_000  # of SQLite's virtual machine between two looks at the clock
CHECKPOINTS = 3
HEAD = b"SQLite format 3\0"
APPLICATION_ID_AT = slice(68, 72)  # of the head, https://www.sqlite.org/fileformat2.html
UNWRITABLE = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_BUSY")
DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


class SqliteStore:
    """The prediction log in one file; see `record.Store`.

    Args:
        path: of the file.
    """

    is_remote = False
    errors: tuple[type[Exception], ...] = (sqlite3.Error,)

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = f"prediction log {path}"

    def create(self) -> None:
        """Create the file if it is missing, bring one of an earlier version to this one, and check all of it."""
        create_log(self.path)
        check_sound(self.path)

    def open(self, read_only: bool = False) -> Connection:
        """Open the file."""
        return open_log(self.path, read_only)

    def begin(self, connection: Connection) -> None:
        """Begin a transaction that writes."""
        connection.execute("BEGIN IMMEDIATE")

    def begin_snapshot(self, connection: Connection) -> None:
        """Begin a transaction that reads."""
        connection.execute("BEGIN")

    def rows(self, connection: Connection, sql: str, values: Values = ()) -> Cursor:
        """Execute a statement; SQLite reads its rows one by one."""
        return connection.execute(sql, values)

    def limit_time(self, connection: Connection, seconds: float) -> None:
        """End what reads longer from now on."""
        assert isinstance(connection, sqlite3.Connection)
        until = time.monotonic() + seconds
        connection.set_progress_handler(lambda: time.monotonic() > until, CHECK_STEPS)

    def is_open(self, connection: Connection) -> bool:
        """A connection to a file stays open."""
        return True

    def answers(self, connection: Connection) -> bool:
        """A file does."""
        return True

    def clean(self, connection: Connection) -> None:
        """Rewrite the file without gaps, and empty the write-ahead log."""
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def forget_deleted(self) -> bool:
        """Copy the write-ahead log into the file and empty it, so that no deleted content stays in it.

        Returns:
            Whether it is empty; False while others read. The night's `record retain` empties it as well.
        """
        with closing(open_log(self.path)) as connection:
            return any(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0 for _ in range(CHECKPOINTS))

    def fault(self, error: Exception) -> Fault:
        """What an error of SQLite means."""
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        if name.startswith(DAMAGED):
            return Fault("damaged", name)
        if name == "SQLITE_INTERRUPT":
            return Fault("too_slow", name)
        return Fault("refused" if isinstance(error, sqlite3.IntegrityError) else "unwritable", name)

    def notes(self) -> tuple[str, ...]:
        """Nothing that is not in the documentation."""
        return ()

    def size_bytes(self) -> int:
        """Bytes of the file and its write-ahead log."""
        paths = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(path.stat().st_size for path in paths if path.is_file())


def create_log(path: Path) -> None:
    """Create the file if it is missing, bring one of an earlier version to this one, and check that it is a prediction log.

    Raises:
        ArtifactError: if the file is something else, damaged, or of another version.
        StorageError: if it is not writable.
    """
    try:
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _look(path)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            path.chmod(0o600)  # SQLite gives its -wal and -shm files the mode of this one
    except (FileExistsError, NotADirectoryError) as error:
        raise StorageError(f"prediction log {path} cannot be created ({error.strerror}); choose another --record") from error
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            _bring_to_version(connection)
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
        for pragma in ("synchronous = FULL", "foreign_keys = ON", "trusted_schema = OFF", "secure_delete = ON"):
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.DatabaseError as error:
        raise _unusable(path, error) from error
    return connection


def check_sound(path: Path) -> None:
    """Have SQLite look through the whole file for damage (`PRAGMA quick_check`).

    Raises:
        ArtifactError: if there is any.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", timeout=BUSY_SECONDS, uri=True)) as connection:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise _unusable(path, error) from error
    if found != "ok":
        raise ArtifactError(
            f"prediction log {path} is damaged ({' '.join(found.split())}); restore a backup, or choose another --record"
        )


def _look(path: Path) -> None:
    """See that an existing file is a prediction log, before its mode or content is changed."""
    if not path.exists():
        return
    if not path.is_file():
        raise ArtifactError(f"{path} is not a file; choose another --record")
    with path.open("rb") as stream:
        head = stream.read(100)
    if head and not head.startswith(HEAD):
        raise ArtifactError(f"{path} is not readable as a prediction log (it is no database); choose another --record")
    if head and int.from_bytes(head[APPLICATION_ID_AT], "big") != APPLICATION_ID:
        raise _not_ours(path)


def _bring_to_version(connection: sqlite3.Connection) -> None:
    """Create what is missing in an empty file or a log of an earlier version; leave anything else as it is."""
    is_new = not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if is_new:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    elif _value(connection, "application_id") != APPLICATION_ID:
        return
    version = _value(connection, "user_version")
    if is_new or 1 <= version < VERSION:
        for statement in statements_after(version):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute(KEYS)  # version 1 did not have it at first


def _not_ours(path: Path) -> ArtifactError:
    return ArtifactError(f"{path} is a database, but not a prediction log of lesionlens; choose another --record")


def _check_version(path: Path, connection: sqlite3.Connection) -> None:
    owner, version = _value(connection, "application_id"), _value(connection, "user_version")
    if (owner, version) == (APPLICATION_ID, VERSION):
        return
    connection.close()
    if owner != APPLICATION_ID:
        raise _not_ours(path)
    raise other_version(f"prediction log {path}", version)


def other_version(name: str, version: int) -> ArtifactError:
    """A prediction log that another lesionlens wrote."""
    remedy = "Start `lesionlens serve` with it once" if version < VERSION else "Install the version that wrote it"
    return ArtifactError(
        f"{name} is of version {version}; this lesionlens writes version {VERSION}. {remedy}, or choose another --record"
    )


def _value(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def _unusable(path: Path, error: sqlite3.DatabaseError) -> ArtifactError | StorageError:
    if getattr(error, "sqlite_errorname", "").startswith(UNWRITABLE):
        return StorageError(f"prediction log {path} cannot be written ({error}); free some space, or choose another --record")
    return ArtifactError(f"{path} is not readable as a prediction log ({error}); restore a backup, or choose another --record")
