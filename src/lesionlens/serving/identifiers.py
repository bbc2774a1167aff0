"""Identifiers of predictions and requests."""

from __future__ import annotations

import re
import secrets
import threading
import time

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32
LENGTH, RANDOM_BITS, TIME_BITS = 26, 80, 48
PATTERN = f"^[0-7][{ALPHABET}]{{{LENGTH - 1}}}$"
REQUEST_ID = re.compile(r"[0-9A-Za-z._-]{1,64}", re.ASCII)
_ID = re.compile(PATTERN[1:-1], re.ASCII)


class Identifiers:
    """Makes identifiers that sort by time (https://github.com/ulid/spec)."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def new(self, time_ms: int | None = None) -> str:
        """An identifier of 26 characters (48 bits of time, 80 random bits), greater than every earlier one."""
        now = time.time_ns() // 1_000_000 if time_ms is None else time_ms
        with self._lock:
            self._last = max(self._last + 1, now << RANDOM_BITS | secrets.randbits(RANDOM_BITS))
            return _encoded(self._last)


def first_of(time_ms: int) -> str:
    """The lowest identifier of a millisecond: later identifiers are not below it."""
    return _encoded(min(max(0, time_ms), (1 << TIME_BITS) - 1) << RANDOM_BITS)


def is_identifier(text: str) -> bool:
    """Whether `text` has the form of an identifier."""
    return _ID.fullmatch(text) is not None


def request_id(text: str) -> str:
    """The client's own request id if it is short and of safe characters, else a new one."""
    return text if REQUEST_ID.fullmatch(text) else secrets.token_hex(8)


def _encoded(number: int) -> str:
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(LENGTH)))
