"""Who may: access tokens, kept as hashes, with roles, an end and a way to revoke them.

A token is 256 random bits, so nobody can guess it back from its SHA-256: the slow hashes that
passwords need, because people choose them badly, would protect nothing here and cost every request.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lesionlens.core.artifact import atomic_file, read_json, storage_errors
from lesionlens.core.errors import ArtifactError, RecipeError
from lesionlens.serving.problems import Problem

FORMAT = 1
PREFIX = "ll_"
TOKEN_BYTES = 32
ROLES = {"predict": ("predict",), "review": ("predict", "review")}
NAME = re.compile(r"[\w.@-]{1,64}", re.ASCII)
DURATION = re.compile(r"([1-9]\d{0,4})([dhm])")
UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}
LOCAL = "local"
CHALLENGE = 'Bearer realm="lesionlens"'


@dataclass(frozen=True)
class Token:
    """What is kept of a token.

    Attributes:
        name: for people, and in the record.
        role: a key of `ROLES`.
        sha256: of the token, hexadecimal.
        created: ISO 8601, UTC.
        expires: likewise; empty: never.
        revoked: likewise; empty: it is not.
    """

    name: str
    role: str
    sha256: str
    created: str
    expires: str = ""
    revoked: str = ""

    def state(self, now: datetime) -> str:
        """`usable`, `expired` or `revoked`."""
        if self.revoked:
            return "revoked"
        return "expired" if self.expires and datetime.fromisoformat(self.expires) <= now else "usable"


@dataclass(frozen=True)
class Caller:
    """Who sends a request.

    Attributes:
        name: of the token, or `local`.
        role: a key of `ROLES`.
    """

    name: str
    role: str

    @property
    def may_review(self) -> bool:
        """Whether the caller may review, and see what others sent."""
        return "review" in ROLES[self.role]

    def require_review(self) -> None:
        """Refuse who may not review.

        Raises:
            Problem: `role_missing`.
        """
        if not self.may_review:
            raise Problem("role_missing", f"this needs a token with the role review; yours has the role {self.role}")


EVERYONE = Caller(LOCAL, "review")


class Access:
    """Checks tokens; a change of their file, such as a revocation, holds from the next request on.

    Args:
        path: the file of tokens; None: everyone may.

    Raises:
        ArtifactError: if the file is damaged.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._tokens: list[Token] = []
        self._refresh()

    @property
    def required(self) -> bool:
        """Whether a token is needed."""
        return self.path is not None

    def caller(self, authorization: str, now: datetime | None = None) -> Caller:
        """Who sends a request with this `Authorization` header.

        Raises:
            Problem: `token_missing`, `token_invalid`, `token_expired` or `token_revoked`.
        """
        if self.path is None:
            return EVERYONE
        scheme, _, secret = authorization.strip().partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise _refused("missing", "send the header `Authorization: Bearer ...` with a token of this server", "")
        self._refresh()
        token = self._find(_hash(secret.strip()))
        if token is None:
            raise _refused("invalid", "this server does not know the token; ask who runs it for one")
        state = token.state(now or datetime.now(UTC))
        if state != "usable":
            raise _refused(state, f"the token has been {state}; ask who runs this server for a new one")
        return Caller(token.name, token.role)

    def _find(self, sha256: str) -> Token | None:
        found = None
        for token in self._tokens:  # all of them, each in constant time: no answer comes sooner than another
            if hmac.compare_digest(token.sha256, sha256):
                found = token
        return found

    def _refresh(self) -> None:
        if self.path is None:
            return
        try:
            facts = self.path.stat()
            seen = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
        except FileNotFoundError:
            seen = None
        if seen != self._seen or seen is None:
            self._tokens = read_tokens(self.path)
            self._seen = seen


def create_token(path: Path, name: str, role: str, expires: str = "", now: datetime | None = None) -> str:
    """Make a token and keep its hash.

    Args:
        path: the file of tokens.
        name: for people and the record; letters, digits, `.`, `_`, `-`, `@`.
        role: a key of `ROLES`.
        expires: after how long, for example `90d`, `12h`, `30m`; empty: never.
        now: the time of its making.

    Returns:
        The token; it can be read nowhere afterwards.

    Raises:
        RecipeError: if an argument is not valid, or the name is taken.
    """
    if not NAME.fullmatch(name) or name == LOCAL:
        raise RecipeError(f"token name {name!r}; it must be 1 to 64 letters, digits, or any of ._-@, and not {LOCAL}")
    if role not in ROLES:
        raise RecipeError(f"role {role!r}; it must be {' or '.join(ROLES)}")
    now = now or datetime.now(UTC)
    secret = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    end = _iso(now + _duration(expires)) if expires else ""
    with _alone(path):
        tokens = read_tokens(path)
        if any(token.name == name for token in tokens):
            raise RecipeError(f"a token called {name} is in {path} already, and the record tells tokens by name; choose another")
        write_tokens(path, [*tokens, Token(name, role, _hash(secret), _iso(now), end)])
    return secret


def revoke_token(path: Path, name: str, now: datetime | None = None) -> None:
    """Revoke a token; it stays in the file, so that its name is not given again.

    Raises:
        RecipeError: if there is none of that name.
    """
    when = _iso(now or datetime.now(UTC))
    with _alone(path):
        tokens = read_tokens(path)
        if all(token.name != name for token in tokens):
            raise RecipeError(f"no token is called {name} in {path}; see: lesionlens token list --tokens {path}")
        write_tokens(path, [replace(token, revoked=token.revoked or when) if token.name == name else token for token in tokens])


def read_tokens(path: Path) -> list[Token]:
    """The tokens of a file; none if it does not exist.

    Raises:
        ArtifactError: if it is damaged or of another version.
    """
    if not path.exists():
        return []
    value = read_json(path)
    try:
        if value["format"] != FORMAT:
            raise ArtifactError(f"{path} is of format {value['format']!r}; this lesionlens reads format {FORMAT}")
        tokens = [Token(**row) for row in value["tokens"]]
    except (KeyError, TypeError) as error:
        raise ArtifactError(f"{path} is not a file of access tokens ({error}); restore it, or make new ones") from error
    if any(token.role not in ROLES for token in tokens):
        raise ArtifactError(f"{path} names a role that is none of {', '.join(ROLES)}; restore it from a backup")
    return tokens


def write_tokens(path: Path, tokens: list[Token]) -> None:
    """Write the file, whole or not at all, for its owner only."""
    text = json.dumps({"format": FORMAT, "tokens": [asdict(token) for token in tokens]}, indent=2)
    with atomic_file(path, mode=0o600) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Change the file while nobody else does: a revocation must not be lost to a token that is made meanwhile."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f".{path.name}.lock").open("w")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _refused(code: str, detail: str, error: str = ', error="invalid_token"') -> Problem:
    return Problem(f"token_{code}", detail, {"WWW-Authenticate": CHALLENGE + error})


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _duration(text: str) -> timedelta:
    found = DURATION.fullmatch(text)
    if not found:
        raise RecipeError(f"expires {text!r}; it must be a number of days, hours or minutes, for example 90d, 12h, 30m")
    return int(found[1]) * UNITS[found[2]]


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
