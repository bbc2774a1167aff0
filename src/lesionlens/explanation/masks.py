"""Lesion masks, prepared for the network exactly like the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from lesionlens.core.errors import DataError, ImageError
from lesionlens.data.image import InputSpec, centre_crop, open_image, prepare
from lesionlens.data.index import Index, Record


@dataclass
class MaskCount:
    """Number of masks used, and of those skipped by reason.

    Attributes:
        used: masks used.
        not_listed: images without a mask in the index.
        missing: masks in the index whose file is missing.
        unreadable: masks that cannot be read as an image.
        empty: masks without a lesion inside the network's input.
        examples: the first example of each reason.
    """

    used: int = 0
    not_listed: int = 0
    missing: int = 0
    unreadable: int = 0
    empty: int = 0
    examples: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, int | dict[str, str]]:
        """Counts by name, and the first example of each reason."""
        return dict(vars(self))


def has_masks(index: Index, records: Sequence[Record]) -> bool:
    """Whether any of the images has a mask file."""
    paths = (index.mask_path(record) for record in records)
    return any(path is not None and path.is_file() for path in paths)


def check_any_mask(index: Index, records: Sequence[Record]) -> None:
    """Refuse images of which none has a mask file.

    Raises:
        DataError: if none has one.
    """
    if has_masks(index, records):
        return
    listed = sum(bool(record.mask) for record in records)
    raise DataError(
        f"none of {len(records)} images has a lesion mask on disk ({listed} are in the index); agreement with lesions "
        "cannot be measured. Put the masks beside the images and index them again, or use --no-masks"
    )


def check_any_used(count: MaskCount) -> None:
    """Refuse a measurement without any usable mask.

    Raises:
        DataError: if no mask was used, with the first reason.
    """
    if not count.used:
        reason, example = next(iter(count.examples.items()))
        raise DataError(
            f"no lesion mask is usable; the first is {reason.replace('_', ' ')} ({example}). Repair the masks, or use --no-masks"
        )


def read_masks(index: Index, records: Sequence[Record], spec: InputSpec, count: MaskCount) -> list[np.ndarray | None]:
    """Read the masks of `records`, prepared for the network.

    Args:
        index: index with the paths of the masks.
        records: the images.
        spec: how the images are prepared.
        count: counts the masks used and skipped.

    Returns:
        A bool array (size, size) for each record, or None if it has no usable mask.
    """
    return [_read(index, record, spec, count) for record in records]


def _read(index: Index, record: Record, spec: InputSpec, count: MaskCount) -> np.ndarray | None:
    path = index.mask_path(record)
    if path is None or not path.is_file():
        _skip(count, "not_listed" if path is None else "missing", record.image_id)
        return None
    try:
        mask = open_image(path)
        if spec.resize != "squash":  # a mask may differ in shape from its image, which matters unless both are squashed
            mask = mask.resize(open_image(index.image_path(record)).size, Image.Resampling.BILINEAR)
    except ImageError as error:
        _skip(count, "unreadable", str(error))
        return None
    pixels = centre_crop(prepare(mask, spec, record.image_id), spec.size)[..., 0]
    inside: np.ndarray = pixels > np.asarray(mask).max() / 2  # half covered; masks come as 0 and 255 or as 0 and 1
    if not inside.any():
        _skip(count, "empty", record.image_id)
        return None
    count.used += 1
    return inside


def _skip(count: MaskCount, reason: str, example: str) -> None:
    setattr(count, reason, getattr(count, reason) + 1)
    count.examples.setdefault(reason, example)
