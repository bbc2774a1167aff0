"""Uploaded images: in memory for some minutes, to be seen; on disk only with `--keep-images`."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from pathlib import Path

from lesionlens.core.artifact import atomic_file
from lesionlens.core.errors import ArtifactError
from lesionlens.serving.database_url import Place
from lesionlens.serving.image_key import ImageKey, is_encrypted
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

    def drop(self) -> None:
        """Forget those whose time is over; a timer calls it, so that none waits for the next request."""
        self._drop(time.monotonic())

    def remove(self, id_: str) -> None:
        """Forget the upload of one prediction."""
        image = self._images.pop(id_, None)
        self.held -= 0 if image is None else len(image[1])

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
        key: encrypts new ones and decrypts those it encrypted; None: new ones are stored as they came.
    """

    def __init__(self, folder: Path, key: ImageKey | None = None) -> None:
        self.folder = folder
        self._key = key
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
                    temporary.write_bytes(data if self._key is None else self._key.encrypt(data, sha256))

    def get(self, sha256: str) -> bytes | None:
        """The upload, if it is here.

        Raises:
            ArtifactError: if it is encrypted and the key is missing, another one, or does not fit.
        """
        try:
            content = self.path(sha256).read_bytes()
        except FileNotFoundError:
            return None
        if not is_encrypted(content):
            return content
        if self._key is None:
            raise ArtifactError("a kept image is encrypted; start the server with its --image-key")
        return self._key.decrypt(content, sha256)

    def remove(self, sha256: str) -> bool:
        """Delete an upload; returns whether it was here."""
        with self._lock:
            try:
                self.path(sha256).unlink()
            except FileNotFoundError:
                return False
        return True

    def path(self, sha256: str) -> Path:
        """The path of an upload; the hash is computed here, never taken from a client."""
        return self.folder / sha256


def images_folder(record: Place, named: Path | None = None) -> Path | None:
    """The folder of kept images: the one that is named, or beside the file of the prediction log; else None."""
    if named is not None:
        return named
    return record.with_name(record.name + ".images") if isinstance(record, Path) else None
