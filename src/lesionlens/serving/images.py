"""Uploaded images: for some minutes in memory for their overlays, and on disk only if asked for."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from pathlib import Path

from lesionlens.core.artifact import atomic_file


class RecentImages:
    """The last uploads, bounded in bytes and time.

    Args:
        n_bytes: of all of them.
        seconds: for which one is kept at most.
    """

    def __init__(self, n_bytes: int, seconds: float) -> None:
        self._most = n_bytes
        self._seconds = seconds
        self._images: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self.held = 0

    def put(self, id_: str, data: bytes | bytearray | memoryview, now: float | None = None) -> None:
        """Keep the upload of a prediction."""
        now = time.monotonic() if now is None else now
        size = data.nbytes if isinstance(data, memoryview) else len(data)
        if self._seconds > 0 and size <= self._most:
            self._images[id_] = (now + self._seconds, bytes(data))
            self.held += size
        self.drop_old(now)

    def get(self, id_: str, now: float | None = None) -> bytes | None:
        """The upload, if it is still here."""
        self.drop_old(time.monotonic() if now is None else now)
        found = self._images.get(id_)
        return None if found is None else found[1]

    def drop_old(self, now: float) -> None:
        """Forget what is over its time, or beyond the bytes."""
        while self._images:
            end, data = next(iter(self._images.values()))
            if end > now and self.held <= self._most:
                return
            self._images.popitem(last=False)
            self.held -= len(data)


class KeptImages:
    """Uploads on disk by their hash, for their owner only.

    Args:
        folder: made if missing, with mode 0700.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()

    def put(self, sha256: str, data: bytes | bytearray | memoryview) -> None:
        """Keep an upload; one that is here already is left alone.

        Raises:
            StorageError: if the disk is full or may not be written.
            OSError: for other faults of the disk.
        """
        path = self.path(sha256)
        with self._lock:
            if path.exists():
                os.utime(path)  # it is wanted anew: retention looks at its age
            else:
                self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                with atomic_file(path, mode=0o600) as temporary:
                    temporary.write_bytes(data)

    def get(self, sha256: str) -> bytes | None:
        """The upload, if it is here."""
        try:
            return self.path(sha256).read_bytes()
        except FileNotFoundError:
            return None

    def path(self, sha256: str) -> Path:
        """Where an upload lies; the hash is ours, never a client's."""
        return self.folder / sha256


def images_folder(record: Path) -> Path:
    """Where kept images lie: beside the record."""
    return record.with_name(record.name + ".images")
