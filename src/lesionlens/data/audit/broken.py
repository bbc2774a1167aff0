"""Images that cannot be used, found before anything is built on them."""

from __future__ import annotations

from dataclasses import replace

from lesionlens.core.errors import DataError, ImageError
from lesionlens.data.decoded_image import NoteTally
from lesionlens.data.image import decode_image
from lesionlens.data.index import Index
from lesionlens.data.parallel import Progress, in_threads


def find_broken(
    index: Index, workers: int = 0, progress: Progress | None = None, tally: NoteTally | None = None
) -> dict[str, str]:
    """Decode every image.

    Args:
        index: where they are.
        workers: threads; 0 means one for each core.
        progress: called with the number of images done since the last call.
        tally: counts what decoding converted or assumed.

    Returns:
        What is wrong, by image id, in the order of the index; images that can be used are not in it.
    """
    reasons = [""] * len(index)
    notes: list[tuple[str, ...]] = [()] * len(index)

    def check(number: int) -> None:
        try:
            notes[number] = decode_image(index.image_path(index.records[number])).notes
        except ImageError as error:
            reasons[number] = str(error)

    in_threads(check, len(index), workers, progress)
    if tally is not None:
        for record, of_image in zip(index.records, notes, strict=True):
            tally.add(record.path, of_image)
    return {record.image_id: reason for record, reason in zip(index.records, reasons, strict=True) if reason}


def without_broken(index: Index, broken: dict[str, str]) -> Index:
    """The index without the images that `find_broken` named; a note says which.

    Raises:
        DataError: if no image is left.
    """
    kept = tuple(record for record in index.records if record.image_id not in broken)
    if not kept:
        raise DataError(f"none of {len(index)} images can be used: {next(iter(broken.values()))}")
    notes = tuple(f"left out: {reason}" for reason in broken.values())
    return replace(index, records=kept, notes=index.notes + notes)
