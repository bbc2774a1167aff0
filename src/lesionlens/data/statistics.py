"""Mean and standard deviation per channel, in one pass over a store."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lesionlens.core.errors import DataError
from lesionlens.data.store import Store

Channels = tuple[float, float, float]


def channel_statistics(store: Store, rows: Sequence[int] | np.ndarray, chunk: int = 256) -> tuple[Channels, Channels]:
    """Mean and standard deviation of each channel over all pixels of the given rows.

    Sums are whole numbers, so neither the order of the rows nor the chunk changes the result.
    Give it the training split alone: statistics over all splits would leak.

    Args:
        store: packed images.
        rows: row numbers into `store.images`, at least one.
        chunk: images held in memory at a time.

    Returns:
        Mean and population standard deviation (red, green, blue), in [0, 1].

    Raises:
        DataError: if `rows` is empty or `chunk` is below 1.
    """
    rows = np.sort(np.asarray(rows, dtype=np.int64))  # in the order of the file, which is read faster
    if rows.size == 0 or chunk < 1:
        raise DataError(f"channel statistics over {rows.size} images in chunks of {chunk}; both must be at least 1")
    total, squares = np.zeros(3, dtype=np.uint64), np.zeros(3, dtype=np.uint64)
    for start in range(0, rows.size, chunk):
        images = store.images[rows[start : start + chunk]]  # (n, F, F, 3)
        total += _channel_sum(images)
        squares += _channel_sum(np.square(images, dtype=np.uint16))
    pixels = rows.size * store.images.shape[1] * store.images.shape[2]
    mean = total.astype(np.float64) / pixels / 255
    variance = [(pixels * int(square) - int(one) ** 2) / pixels**2 / 255**2 for one, square in zip(total, squares, strict=True)]
    return _channels(mean), _channels(np.sqrt(variance))


def _channel_sum(values: np.ndarray) -> np.ndarray:
    per_pixel = values.sum(axis=0, dtype=np.uint64)  # (F, F, 3)
    return np.asarray(per_pixel.sum(axis=(0, 1)), dtype=np.uint64)


def _channels(values: np.ndarray) -> Channels:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
