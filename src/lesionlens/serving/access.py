"""Access control: tokens with a role and an expiry date, stored as hashes, revocable at any time.

A token is 256 random bits, so nobody can guess it from its SHA-256: the slow hashes that
passwords need, because people choose them badly, would protect nothing here and slow every request.
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
    """What is stored of a token.

    Attributes:
        name: for people, and in the prediction log.
        role: a key of `ROLES`.
        sha256: of the token, hexadecimal.
        created: ISO 8601, UTC.
        expires: likewise; empty: never.
        revoked: likewise; empty: not revoked.
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
    """The sender of a request.

    Attributes:
        name: of the token, or `local`.
        role: a key of `ROLES`.
    """

    name: str
    role: str

    @property
    def may_review(self) -> bool:
        """Whether the caller may review, and see the predictions of others."""
        return "review" in ROLES[self.role]

    def require_review(self) -> None:
        """Refuse a caller without the role `review`.

        Raises:
            Problem: `role_missing`.
        """
        if not self.may_review:
            raise Problem("role_missing", f"this needs a token with the role review; yours has the role {self.role}")


class Access:
    """Checks tokens; a change of their file, such as a revocation, takes effect with the next request.

    Args:
        path: the file of tokens; None: no token is needed.

    Raises:
        ArtifactError: if the file is damaged.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._version: tuple[int, int, int] | None = None
        self._tokens: list[Token] = []
        self._refresh()

    @property
    def required(self) -> bool:
        """Whether a token is needed."""
        return self.path is not None

    def caller(self, authorization: str, now: datetime | None = None) -> Caller:
        """The sender of a request with this `Authorization` header.

        Raises:
            Problem: `token_missing`, `token_invalid`, `token_expired` or `token_revoked`.
        """
        if self.path is None:
            return Caller(LOCAL, "review")
        scheme, _, secret = authorization.strip().partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise _refusal("missing", "send the header `Authorization: Bearer ...` with a token of this server", "")
        self._refresh()
        token = self._find(_hash(secret.strip()))
        if token is None:
            raise _refusal("invalid", "this server does not know the token; ask its operator for one")
        state = token.state(now or datetime.now(UTC))
        if state != "usable":
            raise _refusal(state, f"the token is {state}; ask the operator of this server for a new one")
        return Caller(token.name, token.role)

    def _find(self, sha256: str) -> Token | None:
        match = None
        for token in self._tokens:  # all of them, each in constant time: the time taken tells nothing
            if hmac.compare_digest(token.sha256, sha256):
                match = token
        return match

    def _refresh(self) -> None:
        if self.path is None:
            return
        try:
            status = self.path.stat()
            version = (status.st_mtime_ns, status.st_size, status.st_ino)
        except FileNotFoundError:
            version = None
        if version != self._version or version is None:
            self._tokens = read_tokens(self.path)
            self._version = version


def create_token(path: Path, name: str, role: str, expires: str = "", now: datetime | None = None) -> str:
    """Create a token and store its hash.

    Args:
        path: the file of tokens.
        name: for people and the prediction log; letters, digits, `.`, `_`, `-`, `@`.
        role: a key of `ROLES`.
        expires: lifetime, for example `90d`, `12h`, `30m`; empty: unlimited.
        now: time of creation.

    Returns:
        The token; it cannot be read again.

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
    with _locked(path):
        tokens = read_tokens(path)
        if any(token.name == name for token in tokens):
            raise RecipeError(f"{path} has a token called {name} already, and the log tells tokens by name; choose another name")
        write_tokens(path, [*tokens, Token(name, role, _hash(secret), _iso(now), end)])
    return secret


def revoke_token(path: Path, name: str, now: datetime | None = None) -> None:
    """Revoke a token; it stays in the file, so that its name is not used again.

    Raises:
        RecipeError: if there is none of that name.
    """
    when = _iso(now or datetime.now(UTC))
    with _locked(path):
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
        raise ArtifactError(f"{path} is not a file of access tokens ({error}); restore it, or create new ones") from error
    if any(token.role not in ROLES for token in tokens):
        raise ArtifactError(f"{path} names a role that is none of {', '.join(ROLES)}; restore it from a backup")
    return tokens


def write_tokens(path: Path, tokens: list[Token]) -> None:
    """Write the file, whole or not at all, readable by its owner only."""
    text = json.dumps({"format": FORMAT, "tokens": [asdict(token) for token in tokens]}, indent=2)
    with atomic_file(path, mode=0o600) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep other processes from changing the file: a revocation must not be lost to a token created meanwhile."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f".{path.name}.lock").open("w")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _refusal(code: str, detail: str, error: str = ', error="invalid_token"') -> Problem:
    return Problem(f"token_{code}", detail, {"WWW-Authenticate": CHALLENGE + error})


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _duration(text: str) -> timedelta:
    match = DURATION.fullmatch(text)
    if not match:
        raise RecipeError(f"expires {text!r}; it must be a number of days, hours or minutes, for example 90d, 12h, 30m")
    return int(match[1]) * UNITS[match[2]]


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
