"""The file of the prediction log: created, checked and opened."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from lesionlens.core.artifact import storage_errors
from lesionlens.core.errors import ArtifactError, StorageError
from lesionlens.serving.idempotency import TABLE as KEYS
from lesionlens.serving.schema_sql import APPLICATION_ID, FILL_VERSION_2, VERSION, VERSION_1, VERSION_2

BUSY_SECONDS = 30.0
HEAD = b"SQLite format 3\0"
APPLICATION_ID_AT = slice(68, 72)  # of the head, https://www.sqlite.org/fileformat2.html
UNWRITABLE = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_BUSY")
DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


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
            if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                _run(connection, VERSION_1, f"PRAGMA application_id = {APPLICATION_ID}", "PRAGMA user_version = 1")
            if _value(connection, "application_id") == APPLICATION_ID:
                connection.execute(KEYS)  # version 1 did not have it at first
                if _value(connection, "user_version") == 1:
                    _run(connection, VERSION_2, FILL_VERSION_2, "PRAGMA user_version = 2")
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


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite found the file itself damaged, which no free space mends."""
    return getattr(error, "sqlite_errorname", "").startswith(DAMAGED)


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


def _not_ours(path: Path) -> ArtifactError:
    return ArtifactError(f"{path} is a database, but not a prediction log of lesionlens; choose another --record")


def _check_version(path: Path, connection: sqlite3.Connection) -> None:
    owner, version = _value(connection, "application_id"), _value(connection, "user_version")
    if (owner, version) == (APPLICATION_ID, VERSION):
        return
    connection.close()
    if owner != APPLICATION_ID:
        raise _not_ours(path)
    remedy = "Start `lesionlens serve` with it once" if version < VERSION else "Install the version that wrote it"
    raise ArtifactError(
        f"prediction log {path} is of version {version}; this lesionlens writes version {VERSION}. "
        f"{remedy}, or choose another --record"
    )


def _run(connection: sqlite3.Connection, *scripts: str) -> None:
    """Execute statements inside the running transaction, which `executescript` would end."""
    for statement in ";".join(scripts).split(";"):
        connection.execute(statement)


def _value(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def _unusable(path: Path, error: sqlite3.DatabaseError) -> ArtifactError | StorageError:
    if getattr(error, "sqlite_errorname", "").startswith(UNWRITABLE):
        return StorageError(f"prediction log {path} cannot be written ({error}); free some space, or choose another --record")
    return ArtifactError(f"{path} is not readable as a prediction log ({error}); restore a backup, or choose another --record")
