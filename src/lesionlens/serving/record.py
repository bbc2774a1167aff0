"""Where the prediction log is: a file of SQLite, or a database of PostgreSQL that several servers share.

Both have the same tables and the same SQL; what differs is in `log_file.SqliteStore` and `postgresql.PostgresqlStore`.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from lesionlens.core.database import Connection, Values
from lesionlens.core.errors import RecipeError
from lesionlens.serving.database_url import DatabaseUrl, Place
from lesionlens.serving.problems import Problem

Kind = Literal["damaged", "unwritable", "unavailable", "too_slow", "refused"]
DAMAGED, RESTORE = "the prediction log is damaged", "stop the server and restore a backup"
AGAIN_SECONDS = 5


class Fault(NamedTuple):
    """What a database reported.

    Attributes:
        kind: `damaged`; `unwritable` (no space); `unavailable` (gone, or locked by another); `too_slow`; or `refused`: one
            statement failed, and others would not.
        name: the database's own name of it, which tells no values.
    """

    kind: Kind
    name: str

    def problem(self) -> Problem:
        """The refusal of a request that met it."""
        if self.kind == "damaged":
            return Problem("record_damaged", f"{DAMAGED} ({self.name}), and nothing is predicted unlogged; {RESTORE}")
        if self.kind in ("unavailable", "too_slow"):  # a write that took too long waited for others
            detail = f"the prediction log cannot be reached ({self.name}), and nothing is predicted unlogged; send it again soon"
            return Problem("record_unavailable", detail, {"Retry-After": str(AGAIN_SECONDS)})
        detail = f"the prediction log cannot be written ({self.name}), and nothing is predicted unlogged; free some disk space"
        return Problem("record_unwritable", detail)


class Store(Protocol):
    """One database as the prediction log.

    Attributes:
        name: for messages; never a password.
        is_remote: whether it may be gone while this machine is well.
        errors: what its connections raise.
    """

    name: str
    is_remote: bool
    errors: tuple[type[Exception], ...]

    def create(self) -> None:
        """Create the tables that are missing, bring an earlier version to this one, and check what is there.

        Raises:
            LesionLensError: if it cannot be used.
        """

    def open(self, read_only: bool = False) -> Connection:
        """Open it; the caller closes it.

        Raises:
            ArtifactError: if there is no prediction log, or one of another version.
            StorageError: if it cannot be reached.
        """

    def begin(self, connection: Connection) -> None:
        """Begin a transaction that writes, and wait until no other one does."""

    def begin_snapshot(self, connection: Connection) -> None:
        """Begin a transaction that reads, and sees one moment."""

    def rows(self, connection: Connection, sql: str, values: Values = ()) -> Iterable[Any]:
        """Execute a statement that reads more than fits into memory."""

    def limit_time(self, connection: Connection, seconds: float) -> None:
        """End statements that read longer from now on."""

    def is_open(self, connection: Connection) -> bool:
        """Whether a connection can be used again."""

    def answers(self, connection: Connection) -> bool:
        """Whether the database still answers on a connection that was idle."""

    def clean(self, connection: Connection) -> None:
        """Free the place of what was deleted, and leave none of it in the files of the tables."""

    def forget_deleted(self) -> bool:
        """See that one deleted prediction is overwritten; returns whether it is by now."""

    def fault(self, error: Exception) -> Fault:
        """What an error of this database means."""

    def notes(self) -> tuple[str, ...]:
        """What the operator should know at the start."""

    def size_bytes(self) -> int:
        """Bytes on this machine."""


def store_of(record: Place) -> Store:
    """The database at a place.

    Raises:
        RecipeError: if psycopg, which PostgreSQL needs, is not installed.
    """
    if isinstance(record, DatabaseUrl):
        if find_spec("psycopg") is None:
            raise RecipeError("a --record in PostgreSQL needs psycopg; install it with: pip install 'lesionlens[postgres]'")
        from lesionlens.serving.postgresql import PostgresqlStore

        return PostgresqlStore(record)
    from lesionlens.serving.log_file import SqliteStore

    return SqliteStore(record)


def open_record(record: Place, read_only: bool = False) -> Any:
    """Open the prediction log at a place; see `Store.open`."""
    return store_of(record).open(read_only)


def record_file(record: Place, remedy: str) -> Path:
    """The file of a prediction log in SQLite, for what PostgreSQL does by itself.

    Args:
        record: the place.
        remedy: what to do with PostgreSQL instead.

    Raises:
        RecipeError: if it is in PostgreSQL.
    """
    if isinstance(record, DatabaseUrl):
        raise RecipeError(f"{record} is a database of PostgreSQL; {remedy}")
    return record
