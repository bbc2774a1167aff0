"""The URL of a PostgreSQL database, whose password is never shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from lesionlens.core.errors import RecipeError

SCHEMES = ("postgresql://", "postgres://")
SECRETS = {"password", "sslpassword"}
RULE = "write it as postgresql://USER@HOST:PORT/DATABASE, with the password in ~/.pgpass or PGPASSWORD"


@dataclass(frozen=True)
class DatabaseUrl:
    """A database; `str` and `repr` leave the password out.

    Attributes:
        shown: the URL without password and parameters.
        full: as it was given.
        password: as the database knows it; empty if it is elsewhere.
    """

    shown: str
    full: str
    password: str = ""

    def __str__(self) -> str:
        return self.shown

    def __repr__(self) -> str:
        return f"DatabaseUrl({self.shown!r})"

    def masked(self, text: str) -> str:
        """A text of the database's library without the password."""
        for secret in {self.password, urlsplit(self.full).password or ""} - {""}:
            text = text.replace(secret, "****")
        return text


def read_database_url(text: str) -> DatabaseUrl:
    """Read a URL.

    Raises:
        RecipeError: if it cannot be read for sure; the message does not quote it.

    Example:
        >>> print(read_database_url("postgresql://lesionlens:secret@db.clinic.example/lesionlens"))
        postgresql://lesionlens@db.clinic.example/lesionlens
    """
    try:
        parts = urlsplit(text)
        password = unquote(parts.password or "")
    except ValueError as error:
        raise RecipeError(f"--record is a URL that cannot be read; {RULE}") from error
    if parts.netloc.count("@") > 1 or "@" in parts.path + parts.query or parts.fragment:
        raise RecipeError(
            f"--record has a password with `@`, `/`, `?` or `#`, a URL writes them as %40, %2F, %3F and %23. Or {RULE}"
        )
    if SECRETS & set(parse_qs(parts.query)):
        raise RecipeError(f"--record has a password among its parameters; {RULE}")
    user, at, host = parts.netloc.rpartition("@")
    return DatabaseUrl(f"postgresql://{user.partition(':')[0]}{at}{host}{parts.path}", text, password)


Place = Path | DatabaseUrl
"""Where the prediction log is: a file of SQLite, or a database of PostgreSQL."""


def read_record(text: str) -> Place:
    """The place that an option names: a path, or a URL that begins with `postgresql://`.

    Raises:
        RecipeError: if it is a URL that cannot be used.
    """
    if text.startswith(SCHEMES):
        return read_database_url(text)
    if "://" in text:
        raise RecipeError("--record is a URL of no database that is known; give a file, or postgresql://USER@HOST/DATABASE")
    return Path(text)
