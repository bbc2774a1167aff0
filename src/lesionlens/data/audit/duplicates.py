"""Pairs of images that show one lesion under different lesion ids: exact and near duplicates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lesionlens.data.audit.candidates import candidates
from lesionlens.data.audit.fingerprint import Fingerprints
from lesionlens.data.audit.keypoints import Keypoints, mirrored, screen, shared_keypoints, strongest
from lesionlens.data.parallel import in_threads

SUSPECT = 7
LIKELY = 8
CERTAIN = 10


@dataclass(frozen=True)
class Duplicate:
    """Two images that seem to show one lesion.

    Attributes:
        first: number of an image.
        second: number of another, larger than `first`.
        kind: `exact` (equal bytes or equal pixels) or `near`.
        keypoints: how many keypoints they share; for exact ones, how many there are.
    """

    first: int
    second: int
    kind: str
    keypoints: int


def is_certain(keypoints: int, same_patient: bool) -> bool:
    """Whether a near duplicate is sure enough to be united into one group without a look.

    Args:
        keypoints: how many keypoints the images share.
        same_patient: whether patient ids, or else age, sex and site, are known and equal; one pair of strangers in 150
            of HAM10000 agrees in age, sex and site, so this is evidence apart from the pixels.
    """
    return keypoints >= (LIKELY if same_patient else CERTAIN)


def exact_duplicates(prints: Fingerprints) -> list[Duplicate]:
    """Images of equal bytes or equal pixels, each paired with the first of its kind."""
    first: dict[str, int] = {}
    pairs = []
    for number, digest in enumerate(prints.pixel_hashes):
        if digest and first.setdefault(digest, number) != number:
            pairs.append(Duplicate(first[digest], number, "exact", len(prints.keypoints[number])))
    return pairs


def near_duplicates(prints: Fingerprints, lesions: np.ndarray, workers: int = 0) -> list[Duplicate]:
    """Pairs of images of different lesions that share keypoints.

    Args:
        prints: fingerprints of N images.
        lesions: lesion number of each, shape (N,); pairs within a lesion are expected and not listed.
        workers: threads; 0 means one for each core.

    Returns:
        Pairs that share at least `SUSPECT` keypoints, most of them first.
    """
    usable = np.flatnonzero([bool(digest) for digest in prints.pixel_hashes])
    if len(usable) < 2:
        return []
    keypoints = [prints.keypoints[number] for number in usable.tolist()]
    rows = _screened(candidates(prints.grey[usable], prints.colour[usable], lesions[usable]), keypoints, workers)
    shared = np.zeros(len(rows), np.int64)

    def compare(number: int) -> None:
        first, second, flipped = rows[number].tolist()
        one = keypoints[first]
        shared[number] = shared_keypoints(mirrored(one) if flipped else one, keypoints[second])

    in_threads(compare, len(rows), workers)
    best: dict[tuple[int, int], int] = {}
    for (first, second), count in zip(usable[rows[:, :2]].tolist(), shared.tolist(), strict=True):
        best[first, second] = max(count, best.get((first, second), 0))
    near = [Duplicate(first, second, "near", count) for (first, second), count in best.items() if count >= SUSPECT]
    return sorted(near, key=lambda pair: (-pair.keypoints, pair.first, pair.second))


def _screened(rows: np.ndarray, keypoints: list[Keypoints], workers: int) -> np.ndarray:
    """The candidates, shape (P, 3), whose strongest keypoints match; an image is compared with all of its own at once."""
    descriptors = np.stack([strongest(each) for each in keypoints])
    _, starts = np.unique(rows[:, 0], return_index=True)
    groups = np.split(np.arange(len(rows)), starts[1:])
    kept = np.zeros(len(rows), bool)

    def look(number: int) -> None:
        group = groups[number]
        first = keypoints[rows[group[0], 0]]
        for flipped in (0, 1):
            some = group[rows[group, 2] == flipped]
            if len(some):
                kept[some] = screen(strongest(mirrored(first) if flipped else first), descriptors[rows[some, 1]])

    in_threads(look, len(groups) if len(rows) else 0, workers)
    return rows[kept]
