"""Graphs as OpenVINO has compiled them, in the user's cache: the next start is spared most of that work.

Each file is a magic line, the SHA-256 of the rest, and what OpenVINO exports. A file that is damaged is removed and made
again, and there is a note. Several processes may read and write one entry: it is replaced as a whole.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lesionlens.core.artifact import atomic_file, hash_value
from lesionlens.core.cache import VARIABLE, cache_folder
from lesionlens.core.errors import StorageError
from lesionlens.core.machine import machine_facts

FOLDER = "compiled"
MAGIC = b"lesionlens compiled graph 1\n"
DIGEST_BYTES = 32
ALIGNMENT = 64  # bytes, of a cache line: OpenVINO computes with the weights where they lie
LIMIT_BYTES = 1 << 30  # of all entries; the ones that were not used for the longest time give way


class CompiledGraph:
    """The place of one compiled graph in the cache.

    Args:
        content: SHA-256 of the graph's files; empty: nothing is kept, and nothing is read.
        settings: everything else that the compiled graph depends on, JSON-ready.

    Attributes:
        notes: what went wrong with the cache, for the user.
        memory: what `load` has read; the compiled graph computes with it, so it must live as long.
    """

    def __init__(self, content: str, settings: Mapping[str, Any]) -> None:
        folder = cache_folder() if content else None
        key = {"content": content, "settings": dict(settings), "machine": machine_facts()}
        name = f"{hash_value(key)[:32]}.blob"
        self.path = None if folder is None else folder / FOLDER / name
        self.notes: tuple[str, ...] = ()
        self.memory: Any = None

    def load(self, core: Any, device: str, config: Mapping[str, Any]) -> Any | None:
        """The compiled graph if it is in the cache and whole, else None.

        Args:
            core: of OpenVINO.
            device: to run on.
            config: as for `compile_model`.
        """
        import openvino

        blob = self._read()
        if blob is None:
            return None
        try:
            memory = openvino.Tensor(blob, shared_memory=True)
            compiled = core.import_model(memory, device, dict(config))
        except RuntimeError as error:
            self._drop(" ".join(str(error).split())[:200])
            return None
        self.memory = memory
        return compiled

    def keep(self, compiled: Any) -> None:
        """Write a graph that was just compiled; a cache that cannot be written gives a note."""
        if self.path is None:
            return
        try:
            blob = compiled.export_model().getvalue()
            # Not flushed to disk, which may take longer than compiling: after a power cut the digest does not fit.
            with atomic_file(self.path, flush=False) as temporary, temporary.open("wb") as stream:
                stream.write(MAGIC + hashlib.sha256(blob).digest())
                stream.write(blob)
            _make_room(self.path)
        except (OSError, StorageError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
            self._note(f"a compiled graph cannot be kept in {self.path.parent} ({reason}); {VARIABLE} names another place")

    def _read(self) -> np.ndarray | None:
        if self.path is None:
            return None
        try:
            with self.path.open("rb") as stream:
                magic, digest = stream.read(len(MAGIC)), stream.read(DIGEST_BYTES)
                blob = _aligned(os.fstat(stream.fileno()).st_size - stream.tell())
                stream.readinto(blob.data)
            self.path.touch()  # the time of its last use
        except FileNotFoundError:
            return None
        except OSError as error:
            self._note(f"the compiled graph {self.path} cannot be read ({error.strerror}) and is made again")
            return None
        if magic != MAGIC or digest != hashlib.sha256(blob.data).digest():
            self._drop("its bytes have changed")
            return None
        return blob

    def _drop(self, reason: str) -> None:
        assert self.path is not None, "there was a file to read"
        self._note(f"the compiled graph {self.path} was damaged ({reason}) and is made again")
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            self._note(f"it cannot be removed ({error.strerror})")

    def _note(self, text: str) -> None:
        self.notes = (*self.notes, text)


def _aligned(n_bytes: int) -> np.ndarray:
    memory = np.empty(n_bytes + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + n_bytes]


def _make_room(kept: Path) -> None:
    """Remove the entries that were not used for the longest time until the rest fits; never the one just written."""
    entries = []
    for path in kept.parent.glob("*.blob"):
        try:
            facts = path.stat()
        except FileNotFoundError:  # another process was faster
            continue
        entries.append((facts.st_mtime, facts.st_size, path))
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if total <= LIMIT_BYTES:
            return
        if path != kept:
            path.unlink(missing_ok=True)
            total -= size
