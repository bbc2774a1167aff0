"""Which few of all pairs of images may show one lesion: an exact search over two descriptors.

The descriptors ignore what photographs of one lesion differ in. The spectrum (magnitude of the Fourier transform in
polar coordinates) does not change with a shift, and a rotation only rolls it; the tiny colour copy keeps the layout of
colours. Every image is compared with every other by blocked matrix products, in each rotation and mirrored, and keeps
its nearest neighbours of other lesions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

TURNS = 24  # rotations of the spectrum in half a circle
RADII = np.geomspace(2, 40, 12)  # spatial frequencies, cycles per height
NEIGHBOURS = 12
BLOCK = 512
CHUNK = 256

Turned = tuple[np.ndarray, bool]  # features in one pose, and whether it is mirrored
Turns = Callable[[np.ndarray], Iterator[Turned]]


def candidates(grey: np.ndarray, colour: np.ndarray, lesions: np.ndarray) -> np.ndarray:
    """Pairs of images of different lesions that may show one and the same.

    Args:
        grey: uint8, shape (N, H, W).
        colour: uint8, shape (N, s, s, 3).
        lesions: lesion number of each image, shape (N,); pairs within a lesion are not looked for.

    Returns:
        Rows (first, second, mirrored), shape (P, 3), sorted: numbers of two images in ascending order, and 1 if the first
        seems to be flipped on the second. A pair has two rows where the descriptors do not agree on that.
    """
    spectra = _unit(polar_spectra(grey))
    layouts = _unit(colour - colour.mean(axis=(0, 1, 2), dtype=np.float32))
    rows = [
        _with_pose(_nearest(features, turns, lesions), features, turns)
        for features, turns in ((spectra, _turned_spectra), (layouts, _turned_layouts))
    ]
    return np.unique(np.concatenate(rows), axis=0)


def polar_spectra(grey: np.ndarray) -> np.ndarray:
    """Log magnitude of the Fourier transform by direction and frequency, less the mean over images.

    Args:
        grey: shape (N, H, W).

    Returns:
        float32, shape (N, TURNS, len(RADII)); direction k is at k / TURNS of half a circle from the x axis.
    """
    height, width = grey.shape[1:]
    window = (np.hanning(height)[:, None] * np.hanning(width)).astype(np.float32)
    angle = np.arange(TURNS)[:, None] * np.pi / TURNS
    y, x = RADII * np.sin(angle), RADII * np.cos(angle) * width / height
    top, left = np.floor(y).astype(np.intp), np.floor(x).astype(np.intp)
    down, right = (y - top).astype(np.float32), (x - left).astype(np.float32)
    spectra = np.empty((len(grey), TURNS, len(RADII)), np.float32)
    for start in range(0, len(grey), CHUNK):
        images = grey[start : start + CHUNK].astype(np.float32)
        images = (images - images.mean(axis=(1, 2), keepdims=True)) * window
        half = np.log1p(np.abs(np.fft.rfft2(images))).astype(np.float32)
        upper = half[:, *_fold(top, left, height)] * (1 - right) + half[:, *_fold(top, left + 1, height)] * right
        lower = half[:, *_fold(top + 1, left, height)] * (1 - right) + half[:, *_fold(top + 1, left + 1, height)] * right
        spectra[start : start + CHUNK] = upper * (1 - down) + lower * down
    return np.asarray(spectra - spectra.mean(axis=0), dtype=np.float32)


def _fold(y: np.ndarray, x: np.ndarray, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Where a frequency is in the half spectrum of rfft2 (a real image's is symmetric)."""
    return np.where(x < 0, -y, y) % height, np.abs(x)


def _turned_spectra(spectra: np.ndarray) -> Iterator[Turned]:
    mirrored = np.roll(spectra[:, ::-1], 1, axis=1)
    for mirror, each in ((False, spectra), (True, mirrored)):
        for turn in range(TURNS):
            yield np.roll(each, turn, axis=1), mirror


def _turned_layouts(layouts: np.ndarray) -> Iterator[Turned]:
    for mirror, each in ((False, layouts), (True, layouts[:, :, ::-1])):
        for quarter in range(4):
            yield np.rot90(each, -quarter, axes=(1, 2)), mirror


def _unit(features: np.ndarray) -> np.ndarray:
    """Features of mean 0 and norm 1, shape unchanged; a turn only moves them about, so it keeps both."""
    axes = tuple(range(1, features.ndim))
    features = features - features.mean(axis=axes, keepdims=True)
    norms = np.sqrt(np.square(features).sum(axis=axes, keepdims=True))
    return np.asarray(features / np.maximum(norms, 1e-6), dtype=np.float32)


def _nearest(features: np.ndarray, turns: Turns, lesions: np.ndarray) -> np.ndarray:
    """Each image's nearest neighbours of other lesions as pairs in ascending order, shape (P, 2)."""
    flat = features.reshape(len(features), -1)
    near = _Neighbours(len(flat), min(NEIGHBOURS, len(flat) - 1))
    for start in range(0, len(flat), BLOCK):
        block, rest = np.arange(start, min(start + BLOCK, len(flat))), np.arange(start, len(flat))
        best = np.full((len(block), len(rest)), -2, np.float32)
        for turned, _ in turns(features[start : start + BLOCK]):
            np.maximum(best, turned.reshape(len(block), -1) @ flat[start:].T, out=best)
        best[lesions[block, None] == lesions[rest]] = -2
        near.merge(block, best, rest)
        near.merge(rest[len(block) :], best[:, len(block) :].T, block)  # likeness is symmetric
    return near.pairs()


def _with_pose(pairs: np.ndarray, features: np.ndarray, turns: Turns) -> np.ndarray:
    """Pairs with whether the first image is more like the second if it is mirrored: rows as of `candidates`."""
    best, flipped = np.full(len(pairs), -2, np.float32), np.zeros(len(pairs), np.int64)
    for start in range(0, len(pairs), 8 * BLOCK):
        some = slice(start, start + 8 * BLOCK)
        still = features[pairs[some, 1]].reshape(len(pairs[some]), -1)
        for turned, mirror in turns(features[pairs[some, 0]]):
            likeness = np.einsum("pd,pd->p", turned.reshape(still.shape), still)
            better = likeness > best[some]
            best[some][better] = likeness[better]
            flipped[some][better] = mirror
    return np.column_stack([pairs, flipped])


class _Neighbours:
    """The nearest few neighbours of every image, while blocks of likenesses come in."""

    def __init__(self, count: int, keep: int) -> None:
        self.likeness = np.full((count, keep), -2, np.float32)
        self.neighbour = np.zeros((count, keep), np.int64)

    def merge(self, rows: np.ndarray, likeness: np.ndarray, columns: np.ndarray) -> None:
        """Let images `columns` compete, `likeness` of shape (len(rows), len(columns))."""
        for start in range(0, len(rows), BLOCK):
            part = rows[start : start + BLOCK]
            all_likeness = np.hstack([self.likeness[part], likeness[start : start + BLOCK]])
            all_neighbours = np.hstack([self.neighbour[part], np.broadcast_to(columns, (len(part), len(columns)))])
            best = np.argpartition(-all_likeness, self.likeness.shape[1] - 1, axis=1)[:, : self.likeness.shape[1]]
            self.likeness[part] = np.take_along_axis(all_likeness, best, axis=1)
            self.neighbour[part] = np.take_along_axis(all_neighbours, best, axis=1)

    def pairs(self) -> np.ndarray:
        """Each pair of neighbours once, in ascending order, shape (P, 2)."""
        image, place = np.nonzero(self.likeness > 0)
        pairs = np.stack([image, self.neighbour[image, place]], axis=1)
        return np.unique(np.sort(pairs, axis=1), axis=0)
