"""Which few of all pairs of images may show one lesion: an exact search over two descriptors.

The descriptors are blind to what the same lesion's photographs differ in. The spectrum (magnitude
of the Fourier transform in polar coordinates) does not change with a shift, and a rotation only
rolls it; the tiny colour copy keeps the layout of colours. Every image is compared with every
other by blocked matrix products, in each rotation and mirrored, and keeps its nearest neighbours
of other lesions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

TURNS = 18  # rotations of the spectrum in half a circle
TURN_DEG = 180 / TURNS
RADII = np.geomspace(2, 40, 12)  # spatial frequencies, cycles per side
NEIGHBOURS = 12
BLOCK = 512
CHUNK = 256

Turned = tuple[np.ndarray, bool, int]  # features in one pose: mirrored or not, turned by degrees
Turns = Callable[[np.ndarray], Iterator[Turned]]


@dataclass(frozen=True)
class Candidates:
    """Pairs of images that may show one lesion, P rows; a pair stands once for each pose to be tried.

    Attributes:
        pairs: image numbers, each pair in ascending order, shape (P, 2), sorted.
        mirror: whether the first image lies flipped on the second, bool (P,).
        angle_deg: by how much it is rotated, roughly, shape (P,).
        likeness: cosine of the two spectra in their best pose, shape (P,), in [-1, 1].
    """

    pairs: np.ndarray
    mirror: np.ndarray
    angle_deg: np.ndarray
    likeness: np.ndarray


def candidates(grey: np.ndarray, colour: np.ndarray, lesions: np.ndarray) -> Candidates:
    """Pairs of images of different lesions that may show one and the same.

    Args:
        grey: uint8, shape (N, S, S).
        colour: uint8, shape (N, s, s, 3).
        lesions: lesion number of each image, shape (N,); pairs within a lesion are not looked for.
    """
    spectra = _unit(polar_spectra(grey))
    by_spectrum, _ = _poses(_nearest(spectra, _turned_spectra, lesions), spectra, _turned_spectra)
    layouts = _unit(colour - colour.mean(axis=(0, 1, 2), dtype=np.float32))
    by_colour, _ = _poses(_nearest(layouts, _turned_layouts, lesions), layouts, _turned_layouts)
    opposite = by_spectrum + np.array([0, 0, 0, 180])  # a spectrum does not tell 0 from 180 degrees
    upright = np.concatenate([by_spectrum, by_colour]) * np.array([1, 1, 0, 0])  # most photographs are
    rows = np.unique(np.concatenate([by_spectrum, opposite, by_colour, upright]), axis=0)
    pairs, row_of = np.unique(rows[:, :2], axis=0, return_inverse=True)
    _, likeness = _poses(pairs, spectra, _turned_spectra)
    return Candidates(rows[:, :2], rows[:, 2].astype(bool), rows[:, 3].astype(np.float64), likeness[row_of.ravel()])


def polar_spectra(grey: np.ndarray) -> np.ndarray:
    """Log magnitude of the Fourier transform by direction and frequency, less the mean over images.

    Args:
        grey: shape (N, S, S).

    Returns:
        float32, shape (N, TURNS, len(RADII)); direction k is at k * TURN_DEG from the x axis.
    """
    side = grey.shape[-1]
    window = np.hanning(side).astype(np.float32)
    angle = np.deg2rad(np.arange(TURNS) * TURN_DEG)[:, None]
    y, x = RADII * np.sin(angle) + side // 2, RADII * np.cos(angle) + side // 2
    top, left = np.floor(y).astype(np.intp), np.floor(x).astype(np.intp)
    down, right = (y - top).astype(np.float32), (x - left).astype(np.float32)
    spectra = np.empty((len(grey), TURNS, len(RADII)), np.float32)
    for start in range(0, len(grey), CHUNK):
        images = grey[start : start + CHUNK].astype(np.float32)
        images = (images - images.mean(axis=(1, 2), keepdims=True)) * window[:, None] * window
        half = np.log1p(np.abs(np.fft.rfft2(images))).astype(np.float32)
        upper = half[:, *_fold(top, left, side)] * (1 - right) + half[:, *_fold(top, left + 1, side)] * right
        lower = half[:, *_fold(top + 1, left, side)] * (1 - right) + half[:, *_fold(top + 1, left + 1, side)] * right
        spectra[start : start + CHUNK] = upper * (1 - down) + lower * down
    return np.asarray(spectra - spectra.mean(axis=0), dtype=np.float32)


def _fold(row: np.ndarray, column: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Where a centred frequency stands in the half spectrum of rfft2 (a real image's is symmetric)."""
    y, x = row - side // 2, column - side // 2
    y, x = np.where(x < 0, -y, y), np.abs(x)
    return y % side, x


def _turned_spectra(spectra: np.ndarray) -> Iterator[Turned]:
    mirrored = np.roll(spectra[:, ::-1], 1, axis=1)
    for mirror, each in ((False, spectra), (True, mirrored)):
        for turn in range(TURNS):
            yield np.roll(each, turn, axis=1), mirror, round(turn * TURN_DEG)


def _turned_layouts(layouts: np.ndarray) -> Iterator[Turned]:
    for mirror, each in ((False, layouts), (True, layouts[:, :, ::-1])):
        for quarter in range(4):
            yield np.rot90(each, -quarter, axes=(1, 2)), mirror, 90 * quarter


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
        for turned, _, _ in turns(features[start : start + BLOCK]):
            np.maximum(best, turned.reshape(len(block), -1) @ flat[start:].T, out=best)
        best[lesions[block, None] == lesions[rest]] = -2
        near.merge(block, best, rest)
        near.merge(rest[len(block) :], best[:, len(block) :].T, block)  # likeness is symmetric
    return near.pairs()


def _poses(pairs: np.ndarray, features: np.ndarray, turns: Turns) -> tuple[np.ndarray, np.ndarray]:
    """The pose in which the first image of each pair is most like the second.

    Returns:
        Rows (first, second, mirror, degrees), shape (P, 4); and the likeness, shape (P,).
    """
    best, pose = np.full(len(pairs), -2, np.float32), np.zeros((len(pairs), 2), np.int64)
    for start in range(0, len(pairs), 8 * BLOCK):
        some = slice(start, start + 8 * BLOCK)
        still = features[pairs[some, 1]].reshape(len(pairs[some]), -1)
        for turned, mirror, degrees in turns(features[pairs[some, 0]]):
            likeness = np.einsum("pd,pd->p", turned.reshape(still.shape), still)
            better = likeness > best[some]
            best[some][better] = likeness[better]
            pose[some][better] = mirror, degrees
    return np.column_stack([pairs, pose]), best


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
