"""Requests that are sent again after a lost response: the same key gives the same prediction, and one entry in the log.

The header is that of the IETF draft "The Idempotency-Key HTTP Header Field". Keys are stored as hashes, because clients
may make them of anything, and live as long as their prediction.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from lesionlens.core.database import Connection
from lesionlens.serving.problems import Problem
from lesionlens.serving.subjects import Subject, told_before

HEADER = "Idempotency-Key"
KEY = re.compile(r'"?([!#-~]{1,255})"?')  # printable, as a structured-field string or bare
TABLE = """
CREATE TABLE IF NOT EXISTS keys (
    hash TEXT PRIMARY KEY,
    frame INTEGER NOT NULL,
    prediction TEXT NOT NULL REFERENCES answers (id) ON DELETE CASCADE
) WITHOUT ROWID
"""
STORED = """SELECT k.frame, a.input_sha256, a.id, p.answer FROM keys k
    JOIN answers a ON a.id = k.prediction JOIN payloads p ON p.id = a.id WHERE k.hash = ?"""


class StoredPrediction(NamedTuple):
    """A prediction as it was sent.

    Attributes:
        id: of the prediction.
        body: the JSON that the client receives.
        replayed: whether it was made for an earlier request with the same key.
    """

    id: str
    body: str
    replayed: bool = False


def key_hash(header: str, token_name: str) -> str:
    """The hash of a caller's key; empty without a key.

    Raises:
        Problem: `invalid_parameter`, if it is no key.
    """
    if not header:
        return ""
    match = KEY.fullmatch(header.strip())
    if match is None:
        raise Problem("invalid_parameter", f"{HEADER}: it must have 1 to 255 printable ASCII characters, for example a UUID")
    return hashlib.sha256(f"{token_name}\0{match[1]}".encode()).hexdigest()


def find_key(
    connection: Connection,
    hash_: str,
    input_sha256: str,
    frame: int,
    metadata: dict[str, Any] | None = None,
    subject: Subject | None = None,
) -> StoredPrediction | None:
    """The prediction that was made with a key; None if there is none.

    Args:
        connection: to the log.
        hash_: of the key.
        input_sha256: of the image.
        frame: of the image.
        metadata: what the prediction would say of the patient.
        subject: what the request says of the image; None: not to be compared.

    Raises:
        Problem: `idempotency_key_reused`, if it was made of another image, frame, patient or lesion.
    """
    row = connection.execute(STORED, (hash_,)).fetchone()
    if row is None:
        return None
    stored_frame, stored_sha256, id_, body = row
    stored = json.loads(body)
    is_other = (stored_frame, stored_sha256, stored.get("metadata")) != (frame, input_sha256, metadata)
    if is_other or (subject is not None and not told_before(subject, stored)):
        raise Problem(
            "idempotency_key_reused", f"this {HEADER} belongs to another image or patient; send a new key with each image"
        )
    return StoredPrediction(id_, body, replayed=True)


def check_key(connection: Connection, hash_: str) -> None:
    """Refuse a key that another server used since this one looked; who asks again gets the prediction that it made.

    Raises:
        Problem: `idempotency_key_in_use`.
    """
    if hash_ and connection.execute("SELECT 1 FROM keys WHERE hash = ?", (hash_,)).fetchone() is not None:
        raise in_use()


def insert_key(connection: Connection, hash_: str, frame: int, prediction: str) -> None:
    """Remember that a key made a prediction."""
    connection.execute("INSERT INTO keys VALUES (?, ?, ?)", (hash_, frame, prediction))


def in_use() -> Problem:
    """Another request with the same key runs, or has just ended on another server."""
    return Problem("idempotency_key_in_use", f"a request with this {HEADER} is running; ask again soon", {"Retry-After": "1"})


class KeysInUse:
    """The keys of running requests, from one event loop."""

    def __init__(self) -> None:
        self._hashes: set[str] = set()

    @contextmanager
    def used(self, hash_: str) -> Iterator[None]:
        """Keep a key for one request at a time; an empty one is no key.

        Raises:
            Problem: `idempotency_key_in_use`.
        """
        if hash_ in self._hashes:
            raise in_use()
        if hash_:
            self._hashes.add(hash_)
        try:
            yield
        finally:
            self._hashes.discard(hash_)
