"""Uploaded images: in memory for some minutes, for overlays; on disk only with `--keep-images`."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from pathlib import Path

from lesionlens.core.artifact import atomic_file
from lesionlens.serving.messages import Buffer


class RecentImages:
    """The latest uploads, bounded in bytes and time.

    Args:
        n_bytes: of all of them together.
        seconds: how long each is kept at most.
    """

    def __init__(self, n_bytes: int, seconds: float) -> None:
        self._most = n_bytes
        self._seconds = seconds
        self._images: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self.held = 0

    def put(self, id_: str, data: Buffer, now: float | None = None) -> None:
        """Keep the upload of a prediction."""
        now = time.monotonic() if now is None else now
        size = data.nbytes if isinstance(data, memoryview) else len(data)
        if self._seconds > 0 and size <= self._most:
            self._images[id_] = (now + self._seconds, bytes(data))
            self.held += size
        self._drop(now)

    def get(self, id_: str, now: float | None = None) -> bytes | None:
        """The upload, if it is still here."""
        self._drop(time.monotonic() if now is None else now)
        image = self._images.get(id_)
        return None if image is None else image[1]

    def _drop(self, now: float) -> None:
        while self._images:
            end, data = next(iter(self._images.values()))
            if end > now and self.held <= self._most:
                return
            self._images.popitem(last=False)
            self.held -= len(data)


class KeptImages:
    """Uploads on disk, named by their hash, readable by their owner only.

    Args:
        folder: created if missing, with mode 0700.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()

    def put(self, sha256: str, data: Buffer) -> None:
        """Keep an upload; one that is here already is not written again.

        Raises:
            StorageError: if the disk is full or not writable.
            OSError: for other faults of the disk.
        """
        path = self.path(sha256)
        with self._lock:
            if path.exists():
                os.utime(path)  # retention goes by its age
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
        """The path of an upload; the hash is computed here, never taken from a client."""
        return self.folder / sha256


def images_folder(log: Path) -> Path:
    """The folder of kept images: beside the prediction log."""
    return log.with_name(log.name + ".images")
