"""What a database connection of the prediction log does, whichever database it is.

SQL is written once, with `?` for a value, in words that SQLite and PostgreSQL both know. `sqlite3.Connection` and
`serving.postgresql.PostgresqlConnection` fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

Values = Sequence[Any]


class Cursor(Protocol):
    """The result of a statement."""

    @property
    def rowcount(self) -> int:
        """How many rows a statement changed."""

    def fetchone(self) -> Any:
        """The next row, a tuple; None after the last."""

    def fetchall(self) -> list[Any]:
        """All rows that are left."""

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A connection whose statements each commit, unless a transaction was begun."""

    def execute(self, sql: str, values: Values = (), /) -> Cursor:
        """Execute one statement."""

    def executemany(self, sql: str, rows: Iterable[Values], /) -> Any:
        """Execute one statement for each row of values."""

    def close(self) -> None:
        """Close the connection; what was not committed is rolled back."""
