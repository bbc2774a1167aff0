"""The store: decoded images in one memory-mapped file."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from lesionlens.core.artifact import (
    atomic_folder,
    hash_value,
    read_json,
    stamp_path,
    write_json,
    write_stamp,
)
from lesionlens.core.errors import ArtifactError, DataError, ImageError
from lesionlens.data.image import InputSpec, decode_image, prepare
from lesionlens.data.index import ImageList, Record, select
from lesionlens.data.parallel import Progress, in_threads

IMAGES_FILE = "images.npy"
FACTS_FILE = "store.json"
NAMED_ERRORS = 5


class Store:
    """Packed images, opened for reading.

    Attributes:
        path: the folder.
        images: uint8 pixels, memory-mapped, shape (N, F, F, 3).
        ids: image id of each row.
        frame_hash: `InputSpec.frame_hash` that the pixels were prepared with.
        index_hash: hash of the index that the images came from.
        dropped: image id and reason of each unreadable image that was left out on request.
        notes: what decoding converted or assumed, and the ids of the images of which it is true.
        hash: SHA-256 over ids, frame and pixels.
    """

    def __init__(self, path: Path, images: np.ndarray, facts: dict[str, Any]):
        self.path = path
        self.images = images
        self.ids: tuple[str, ...] = tuple(facts["ids"])
        self.frame_hash: str = facts["frame_hash"]
        self.index_hash: str = facts["index_hash"]
        self.dropped: dict[str, str] = facts["dropped"]
        self.notes: dict[str, list[str]] = facts.get("notes", {})
        self.hash: str = facts["hash"]
        self._row = {image_id: row for row, image_id in enumerate(self.ids)}

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def open(cls, path: Path) -> Store:
        """Open a packed store.

        Raises:
            ArtifactError: if it is missing, cut short, or its parts do not belong together.
        """
        facts = read_json(path / FACTS_FILE)
        try:
            images = np.load(path / IMAGES_FILE, mmap_mode="r")
            frame = facts["frame"]
            expected = (len(facts["ids"]), frame, frame, 3)
            store = cls(path, images, facts)
            intact = facts["hash"] == _store_hash(facts) and len(facts["row_hashes"]) == len(facts["ids"])
        except (OSError, ValueError, EOFError, KeyError, TypeError) as error:
            raise ArtifactError(f"store {path} is damaged or cut short ({error}); pack it again with: lesionlens pack") from error
        if images.dtype != np.uint8 or images.shape != expected or not intact:
            raise ArtifactError(
                f"store {path} holds {images.dtype} {images.shape}, not uint8 {expected} as its {FACTS_FILE} says; "
                "pack it again with: lesionlens pack"
            )
        return store

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Row numbers of `ids`, int64, in that order.

        Raises:
            ArtifactError: if one of them was not packed.
        """
        missing = [image_id for image_id in ids if image_id not in self._row]
        if missing:
            why = f" ({self.dropped[missing[0]]})" if missing[0] in self.dropped else ""
            raise ArtifactError(
                f"{len(missing)} images are not in store {self.path}, the first is {missing[0]!r}{why}; "
                "pack it again from this index with: lesionlens pack"
            )
        return np.array([self._row[image_id] for image_id in ids], dtype=np.int64)


def pack(
    index: ImageList,
    spec: InputSpec,
    path: Path,
    ids: Sequence[str] | None = None,
    workers: int = 0,
    progress: Progress | None = None,
    skip_broken: bool = False,
) -> Store:
    """Decode and scale images into a store, which replaces any at `path` only when it is whole.

    Args:
        index: where the images are.
        spec: how to prepare them.
        path: folder to make.
        ids: which images, in this order; all of the index if None.
        workers: threads that decode; 0 means one for each core.
        progress: called with the number of images done since the last call.
        skip_broken: leave unreadable images out and list them in the store instead of raising.

    Raises:
        ImageError: if images cannot be read; one error names the first of them all and their number.
        DataError: if `ids` is empty, repeats an id, or names one that the index does not hold.
        StorageError: if the disk is full; nothing is left behind.
    """
    records = select(index, index.ids if ids is None else ids)
    if not records or len({record.image_id for record in records}) != len(records):
        raise DataError(f"{len(records)} images to pack; it must be at least one, and none twice")
    with atomic_folder(path, mark=FACTS_FILE) as folder:
        with _Rows(folder / IMAGES_FILE, len(records), spec.prepared) as rows:
            hashes, broken, notes = _pack_rows(index, records, spec, rows, workers, progress)
            if broken and (not skip_broken or len(broken) == len(records)):
                raise ImageError(_describe(broken, len(records)))
            kept = [number for number, row_hash in enumerate(hashes) if row_hash]
            rows.keep(kept)
        facts = {
            "ids": [records[number].image_id for number in kept],
            "frame": spec.prepared,
            "frame_hash": spec.frame_hash,
            "index_hash": index.hash,
            "dropped": broken,
            "notes": notes,
            "row_hashes": [hashes[number] for number in kept],
        }
        write_json(folder / FACTS_FILE, {**facts, "hash": _store_hash(facts)})
        stamp_path(path).unlink(missing_ok=True)
    write_stamp(path, {}, {"count": len(kept), "dropped": len(broken)})
    return Store.open(path)


def _store_hash(facts: dict[str, Any]) -> str:
    return hash_value([facts["ids"], facts["frame_hash"], facts["row_hashes"]])


def _row_hash(pixels: np.ndarray) -> str:
    return blake2b(pixels.data, digest_size=8).hexdigest()


def _describe(broken: dict[str, str], count: int) -> str:
    first = "; ".join(list(broken.values())[:NAMED_ERRORS])
    more = f"; and {len(broken) - NAMED_ERRORS} more" if len(broken) > NAMED_ERRORS else ""
    return (
        f"{len(broken)} of {count} images cannot be used: {first}{more}. "
        "Mend them, or make an index without them: lesionlens index --skip-broken"
    )


class _Rows:
    """Rows of an .npy file that threads write in any order.

    Written by position and not through a memory map: a full disk is then an error that can be
    reported, not a bus error that kills the process.
    """

    def __init__(self, path: Path, count: int, frame: int):
        self.frame = frame
        self.row_bytes = frame * frame * 3
        header = self._header(count)
        self.offset = len(header)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            self._reserve(self.offset + count * self.row_bytes)
            self._write(header, 0)
        except OSError:
            os.close(self._file)
            raise

    def __enter__(self) -> _Rows:
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self._file)

    def _reserve(self, size_bytes: int) -> None:
        # Where the system can, a disk too small is found out before hours of decoding and not after.
        if not hasattr(os, "posix_fallocate"):
            return
        try:
            os.posix_fallocate(self._file, 0, size_bytes)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise

    def _header(self, count: int) -> bytes:
        stream = io.BytesIO()
        shape = (count, self.frame, self.frame, 3)
        np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
        return stream.getvalue()

    def _write(self, data: bytes | memoryview, offset: int) -> None:
        view = memoryview(data).cast("B")
        while view:
            written = os.pwrite(self._file, view, offset)
            view, offset = view[written:], offset + written

    def write(self, row: int, pixels: np.ndarray) -> None:
        """Write one image, uint8 (F, F, 3) and contiguous."""
        self._write(pixels.data, self.offset + row * self.row_bytes)

    def keep(self, rows: list[int]) -> None:
        """Move the given rows (ascending) together, cut off the rest, and flush to disk."""
        for target, row in enumerate(rows):
            if target != row:
                pixels = os.pread(self._file, self.row_bytes, self.offset + row * self.row_bytes)
                self._write(pixels, self.offset + target * self.row_bytes)
        header = self._header(len(rows))
        assert len(header) == self.offset, "numpy pads the header for any number of rows"
        self._write(header, 0)
        os.ftruncate(self._file, self.offset + len(rows) * self.row_bytes)
        os.fsync(self._file)


def _pack_rows(
    index: ImageList, records: Sequence[Record], spec: InputSpec, rows: _Rows, workers: int, progress: Progress | None
) -> tuple[list[str], dict[str, str], dict[str, list[str]]]:
    """Hash of each row ("" if unreadable), the reason for each unreadable image, and the ids of each note."""
    hashes = [""] * len(records)
    notes: list[tuple[str, ...]] = [()] * len(records)
    broken: dict[str, str] = {}

    def pack_one(number: int) -> None:
        record = records[number]
        try:
            decoded = decode_image(index.image_path(record))
        except ImageError as error:
            broken[record.image_id] = str(error)
            return
        pixels = prepare(decoded.image, spec, record.image_id)
        notes[number] = decoded.notes
        rows.write(number, pixels)
        hashes[number] = _row_hash(pixels)

    in_threads(pack_one, len(records), workers, progress)
    ids_of: dict[str, list[str]] = {}
    for record, of_image in zip(records, notes, strict=True):
        for note in of_image:
            ids_of.setdefault(note, []).append(record.image_id)
    return hashes, {record.image_id: broken[record.image_id] for record in records if record.image_id in broken}, ids_of
