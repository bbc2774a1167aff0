"""Pairs of images that show one lesion under different lesion ids: exact and near duplicates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lesionlens.data.audit.candidates import Candidates, candidates
from lesionlens.data.audit.fingerprint import Fingerprints
from lesionlens.data.audit.registration import SIDE, Pose, detail_agreement, local_contrast, refine, shift_between, spectrum, warp
from lesionlens.data.parallel import in_threads

# Chosen by eye on the 642 pairs of HAM10000 at 0.30 and above: from 0.60 on all show one lesion, below 0.45 hardly
# any does, and between them those do whose patients agree in age, sex and site.
SUSPECT = 0.40
LIKELY = 0.45
CERTAIN = 0.62
COARSE_SIDE, FINE_SIDE = 32, 64
LOOKED_AT = 2  # candidates of each image that are registered finely
FINE_LEAST = 0.7  # correlation below which a finely registered pair is dropped
BATCH = 1024


@dataclass(frozen=True)
class Duplicate:
    """Two images that seem to show one lesion.

    Attributes:
        first: number of an image.
        second: number of another, larger than `first`.
        kind: `exact` (equal bytes or equal pixels) or `near`.
        correlation: how far their details agree, in [-1, 1]; 1 for exact. See `detail_agreement`.
    """

    first: int
    second: int
    kind: str
    correlation: float


def is_certain(correlation: float, same_patient: bool) -> bool:
    """Whether a pair is sure enough to be united into one group without a look.

    Args:
        correlation: see `Duplicate`.
        same_patient: whether age, sex and site are known and equal; one pair of strangers in 150
            of HAM10000 agrees in all three, so this is evidence apart from the pixels.
    """
    return correlation >= (LIKELY if same_patient else CERTAIN)


def exact_duplicates(prints: Fingerprints) -> list[Duplicate]:
    """Images of equal bytes or equal pixels, each paired with the first of its kind."""
    first: dict[str, int] = {}
    found = []
    for number, digest in enumerate(prints.pixel_hashes):
        if digest and first.setdefault(digest, number) != number:
            found.append(Duplicate(first[digest], number, "exact", 1.0))
    return found


def near_duplicates(prints: Fingerprints, lesions: np.ndarray, workers: int = 0) -> list[Duplicate]:
    """Pairs of images of different lesions whose details agree once one is laid over the other.

    Candidates come from an exact search over two descriptors, are registered coarsely, the better
    ones finely (rotation, scale, shift, mirror), and what remains is correlated block by block.

    Args:
        prints: fingerprints of N images.
        lesions: lesion number of each, shape (N,); pairs within a lesion are expected, not found.
        workers: threads; 0 means one for each core.

    Returns:
        Pairs with a correlation of at least `SUSPECT`, most alike first.
    """
    usable = np.flatnonzero([bool(digest) for digest in prints.pixel_hashes])
    if len(usable) < 2:
        return []
    grey = prints.grey[usable]
    found = candidates(grey, prints.colour[usable], lesions[usable])
    rows = _most_promising(found.pairs, _coarse_correlations(grey, found, workers) + found.likeness)
    correlations = np.zeros(len(rows))

    def look(number: int) -> None:
        row = rows[number]
        first, second = grey[found.pairs[row]].astype(np.float32)
        small = local_contrast(_shrink(np.stack([first, second]), FINE_SIDE))
        likeness, pose = refine(small[0], small[1], bool(found.mirror[row]), float(found.angle_deg[row]))
        if likeness >= FINE_LEAST:
            correlations[number] = detail_agreement(first, second, pose)

    in_threads(look, len(rows), workers)
    pairs = usable[found.pairs[rows]].tolist()
    near = [
        Duplicate(first, second, "near", round(float(correlation), 4))
        for (first, second), correlation in zip(pairs, correlations, strict=True)
        if correlation >= SUSPECT
    ]
    return sorted(near, key=lambda pair: (-pair.correlation, pair.first, pair.second))


def _coarse_correlations(grey: np.ndarray, found: Candidates, workers: int) -> np.ndarray:
    """Correlation of each candidate in its guessed pose, at the best shift, on 32x32 pixels; shape (P,)."""
    small = np.concatenate([local_contrast(_shrink(grey[at : at + BATCH], COARSE_SIDE)) for at in range(0, len(grey), BATCH)])
    upright = np.concatenate([spectrum(small[at : at + BATCH]) for at in range(0, len(small), BATCH)])
    correlations = np.empty(len(found.pairs), np.float32)
    tasks = []
    for flip, turn in np.unique(np.stack([found.mirror, found.angle_deg], axis=1), axis=0):
        rows = np.flatnonzero((found.mirror == flip) & (found.angle_deg == turn))
        tasks += [(Pose(bool(flip), float(turn)), rows[at : at + BATCH]) for at in range(0, len(rows), BATCH)]

    def correlate(number: int) -> None:
        pose, rows = tasks[number]
        laid, _ = warp(small[found.pairs[rows, 0]], pose)
        correlations[rows] = shift_between(spectrum(laid), upright[found.pairs[rows, 1]])[0]

    in_threads(correlate, len(tasks), workers)
    return correlations


def _most_promising(pairs: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Rows of the best pose of pairs that are among the best of either image, ascending.

    Args:
        pairs: image numbers, shape (P, 2).
        score: the higher, the more promising, shape (P,).
    """
    best_first = np.lexsort((-score, pairs[:, 1], pairs[:, 0]))
    _, at = np.unique(pairs[best_first], axis=0, return_index=True)
    poses = best_first[at]  # one row for each pair
    kept = np.zeros(len(poses), bool)
    images = np.concatenate([pairs[poses, 0], pairs[poses, 1]])
    order = np.lexsort((-np.tile(score[poses], 2), images))
    starts = np.searchsorted(images[order], images[order])
    place = np.arange(len(order)) - starts
    kept[order[place < LOOKED_AT] % len(poses)] = True
    return np.sort(poses[kept])


def _shrink(images: np.ndarray, side: int) -> np.ndarray:
    """Mean over squares: (N, 128, 128) to (N, side, side), float32."""
    step = SIDE // side
    return np.asarray(images.reshape(len(images), side, step, side, step).mean(axis=(2, 4), dtype=np.float32))
