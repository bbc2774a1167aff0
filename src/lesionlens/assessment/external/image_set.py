"""External images, decoded once: prepared frames, prints, sizes, formats and colours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from lesionlens.assessment.external.training_images import FramePrints, frame_prints
from lesionlens.bundle.reference import COLOURS, colour_statistics
from lesionlens.core.errors import DataError, ImageError
from lesionlens.core.progress import SILENT, Reporter
from lesionlens.data.decoding_rules import DECODE_ERRORS
from lesionlens.data.formats import HEAD_BYTES, format_of
from lesionlens.data.groups import groups_of
from lesionlens.data.image import FORMATS, InputSpec, decode_image
from lesionlens.data.index import Index, Record
from lesionlens.data.parallel import in_threads
from lesionlens.data.store import Store, pack


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Readable images of an external index, in its order.

    Attributes:
        index: all images, the unreadable ones too.
        records: of the N readable images.
        frames: as the model's input spec prepares them, uint8 (N, F, F, 3), memory-mapped.
        prints: of the frames.
        sizes: width and height of the files, pixels, int64 (N, 2).
        formats: of the files, such as `JPEG`.
        colours: of the frames, float32 (N, 6); see `bundle.reference.COLOURS`.
        unreadable: reason by image id.
        notes: what decoding converted or assumed, and of how many images.
    """

    index: Index
    records: tuple[Record, ...]
    frames: np.ndarray
    prints: FramePrints
    sizes: np.ndarray
    formats: tuple[str, ...]
    colours: np.ndarray
    unreadable: dict[str, str]
    notes: dict[str, int]

    def __len__(self) -> int:
        return len(self.records)


@contextmanager
def read_images(index: Index, spec: InputSpec, reporter: Reporter = SILENT) -> Iterator[ImageSet]:
    """Decode and prepare every image of an index; those that cannot be read are named, not raised.

    The frames lie in a temporary folder, which is removed at the end of the block.

    Args:
        index: the images.
        spec: of the model.
        reporter: told of progress.

    Raises:
        DataError: if not a single image can be read.
        StorageError: if there is no room for the frames.
    """
    with TemporaryDirectory(prefix="lesionlens-") as folder:
        try:
            with reporter.bar("Preparing", len(index)) as advance:
                store = pack(index, spec, Path(folder) / "store", progress=advance, skip_broken=True)
        except ImageError as error:
            raise DataError(f"none of the {len(index)} external images can be read. {error}") from error
        with reporter.bar("Describing", len(store)) as advance:
            prints = frame_prints(len(store), lambda number: np.asarray(store.images[number]), advance)
        yield _described(index, store, prints)


def _described(index: Index, store: Store, prints: FramePrints) -> ImageSet:
    by_id = index.by_id()
    records = tuple(by_id[image_id] for image_id in store.ids)
    sizes, formats = np.zeros((len(records), 2), np.int64), [""] * len(records)
    colours = np.zeros((len(records), len(COLOURS)), np.float32)

    def describe(number: int) -> None:
        sizes[number], formats[number] = size_and_format(index.image_path(records[number]))
        colours[number] = colour_statistics(np.asarray(store.images[number]))

    in_threads(describe, len(records))
    notes = {note: len(ids) for note, ids in store.notes.items()}
    return ImageSet(index, records, store.images, prints, sizes, tuple(formats), colours, store.dropped, notes)


def size_and_format(path: Path) -> tuple[tuple[int, int], str]:
    """Width and height of an image file, and its format; it is decoded only where Pillow cannot read its header.

    Raises:
        ImageError: if it is not readable.
    """
    try:
        with path.open("rb") as stream:
            kind = format_of(stream.read(HEAD_BYTES))
        with Image.open(path, formats=FORMATS) as image:
            return image.size, kind
    except DECODE_ERRORS:
        return decode_image(path).image.size, kind


def cluster_names(index: Index, records: tuple[Record, ...], by_patient: bool) -> np.ndarray:
    """Lesion (or lesions of one patient together) of each image: the smallest lesion id of the group, text (N,).

    Args:
        index: all images.
        records: some of them, N.
        by_patient: whether lesions of one patient are one group, as intervals need it.
    """
    groups = groups_of(index, by_patient=by_patient).tolist()
    names: dict[int, str] = {}
    for record, group in zip(index.records, groups, strict=True):
        names[group] = min(names.get(group, record.lesion_id), record.lesion_id)
    group_of = dict(zip(index.ids, groups, strict=True))
    return np.array([names[group_of[record.image_id]] for record in records], dtype=np.str_)
