"""Messages between the server and a decoder over pipes: a JSON head, then raw bytes."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any, Protocol

LENGTHS = struct.Struct("<IQ")  # of the head, and of the bytes after it
Owned = bytes | bytearray
Buffer = bytes | bytearray | memoryview


class Writable(Protocol):
    """The writing end of a pipe."""

    def write(self, data: Buffer, /) -> int | None:
        """Write some of the bytes and return how many."""


def send(stream: Writable, head: dict[str, Any], data: Buffer = b"") -> None:
    """Write one message."""
    text = json.dumps(head).encode()
    size = data.nbytes if isinstance(data, memoryview) else len(data)
    for piece in (LENGTHS.pack(len(text), size) + text, data):
        left = memoryview(piece)
        while left:
            left = left[stream.write(left) or 0 :]


def receive(read: Callable[[int], Owned]) -> tuple[dict[str, Any], Owned]:
    """Read one message.

    Args:
        read: returns the given number of bytes, fewer only at the end.

    Raises:
        EOFError: if the other side has ended.
    """
    n_head, n_bytes = LENGTHS.unpack(_read_all(read, LENGTHS.size))
    return json.loads(_read_all(read, n_head)), _read_all(read, n_bytes)


def _read_all(read: Callable[[int], Owned], size: int) -> Owned:
    data = read(size)
    if len(data) < size:
        raise EOFError
    return data
