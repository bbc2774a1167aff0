"""Keypoints that two photographs share: the evidence that they show the same skin.

Hairs, pores, dots and the edge of a lesion are found again in every photograph of it. SIFT (Lowe, Int. J. Comput. Vis.
60:91, 2004) describes such points whatever the light, the rotation and the scale. Two images show the same skin if many
points correspond and one affine map takes them onto each other; an affine map and no mere rotation, because skin
stretches and because frames are squashed to squares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lesionlens.core.errors import DataError

HEIGHT, WIDTH = 128, 148  # of the grey picture in which keypoints are found, pixels
MOST_KEYPOINTS = 150  # of one image
CONTRAST = 0.01  # SIFT's threshold; a quarter of the usual one, because skin is pale
RATIO = 0.85  # a match must be closer than this share of the distance to the second best (Lowe's ratio test)
TOLERANCE = 4.0  # how far a point may be from where the map takes it, pixels
FIRST_TOLERANCE = (3.0, 0.25, 8.0)  # the same for the first guess: at its own point, growth per pixel, at most
REFITS = 4
SCREENED = 64  # strongest keypoints that a first look compares
FEWEST_SCREENED = 8  # matches among them that make a second look worth while
FEWEST = 5  # matches that can support an affine map, which three of them determine
DISTINCT = 3  # keypoints within a square of so many pixels count once


@dataclass(frozen=True, eq=False)
class Keypoints:
    """Keypoints of one image, up to `MOST_KEYPOINTS`.

    Attributes:
        points: x, y, diameter (pixels) and direction (degrees, clockwise from the x axis), float32, shape (N, 4).
        descriptors: square roots of SIFT's descriptors in steps of 1/255, uint8, shape (N, 128).
    """

    points: np.ndarray
    descriptors: np.ndarray

    def __len__(self) -> int:
        return len(self.points)


NO_KEYPOINTS = Keypoints(np.zeros((0, 4), np.float32), np.zeros((0, 128), np.uint8))


def require_opencv() -> None:
    """Make sure that OpenCV is installed.

    Raises:
        DataError: if it is not.
    """
    try:
        import cv2  # noqa: F401
    except ModuleNotFoundError as error:
        raise DataError(
            "OpenCV is not installed, and the audit finds duplicates with it; install it with: pip install 'lesionlens[train]'"
        ) from error


def find_keypoints(grey: np.ndarray) -> Keypoints:
    """Find and describe the strongest keypoints of a grey image.

    Args:
        grey: uint8, shape (HEIGHT, WIDTH).
    """
    import cv2

    sift = cv2.SIFT.create(nfeatures=MOST_KEYPOINTS, contrastThreshold=CONTRAST)
    located, described = sift.detectAndCompute(grey, None)
    if not located:
        return NO_KEYPOINTS
    strongest = sorted(range(len(located)), key=lambda n: (-located[n].response, located[n].pt, located[n].angle))
    strongest = strongest[:MOST_KEYPOINTS]
    points = np.array([(*located[n].pt, located[n].size, located[n].angle) for n in strongest], np.float32)
    roots = np.sqrt(described[strongest] / np.maximum(described[strongest].sum(axis=1, keepdims=True), 1e-6))
    return Keypoints(points, np.round(255 * roots).astype(np.uint8))


def mirrored(keypoints: Keypoints) -> Keypoints:
    """Keypoints of the image flipped left to right, without finding them again.

    A descriptor holds 4 by 4 cells of 8 directions, in a frame that turns with the keypoint. Flipped, the cells across
    its direction are in reverse order and the directions run the other way round.
    """
    x, y, size, angle = keypoints.points.T
    points = np.stack([WIDTH - 1 - x, y, size, (180 - angle) % 360], axis=1)
    cells = keypoints.descriptors.reshape(-1, 4, 4, 8)[:, ::-1, :, -np.arange(8) % 8]
    return Keypoints(points.astype(np.float32), np.ascontiguousarray(cells.reshape(-1, 128)))


def screen(first: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which images may show the same skin as a first one, from their strongest keypoints alone.

    On HAM10000 a quarter of the candidates pass. The pairs that are known to show one lesion have 11 to 40 matches here.

    Args:
        first: descriptors of one image as of `strongest`, shape (SCREENED, 128).
        others: the same of M images, shape (M, SCREENED, 128).

    Returns:
        bool, shape (M,): whether `FEWEST_SCREENED` keypoints are each other's nearest, and clearly so.
    """
    count, width = others.shape[:2]
    likeness = (others.reshape(-1, 128).astype(np.float32) @ first.T.astype(np.float32)).reshape(count, width, len(first))
    likeness /= 255**2
    nearest = likeness.argmax(axis=1)
    best = np.take_along_axis(likeness, nearest[:, None], axis=1)[:, 0]
    is_mutual = np.take_along_axis(likeness.argmax(axis=2), nearest, axis=1) == np.arange(len(first))
    np.put_along_axis(likeness, nearest[:, None], -1, axis=1)
    is_clear = 1 - best < RATIO**2 * (1 - likeness.max(axis=1))
    return np.asarray((is_mutual & is_clear & (best > 0)).sum(axis=1) >= FEWEST_SCREENED)


def strongest(keypoints: Keypoints) -> np.ndarray:
    """Descriptors of the strongest keypoints, zero where there are fewer, uint8, shape (SCREENED, 128)."""
    descriptors = np.zeros((SCREENED, 128), np.uint8)
    descriptors[: len(keypoints)] = keypoints.descriptors[:SCREENED]
    return descriptors


def shared_keypoints(first: Keypoints, second: Keypoints) -> int:
    """How many keypoints of two images correspond under one affine map.

    Returns:
        0 where fewer than 5 do. Images of different skin share up to 6 by chance, images of the same skin 8 to 150.
    """
    one, other = _matches(first, second)
    if len(one) < FEWEST:
        return 0
    start, end = first.points[one], second.points[other]
    agree = _first_guess(start, end)
    shared = 0
    for _ in range(REFITS):
        if agree.sum() < FEWEST:
            break
        before, agree = agree, _affine_errors(start, end, agree) < TOLERANCE
        shared = max(shared, min(_distinct(start[agree]), _distinct(end[agree])))
        if np.array_equal(before, agree):
            break
    return shared if shared >= FEWEST else 0


def _matches(first: Keypoints, second: Keypoints) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the keypoints that are each other's nearest, and clearly so."""
    if len(first) < FEWEST or len(second) < FEWEST:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    likeness = first.descriptors.astype(np.float32) @ second.descriptors.T.astype(np.float32)
    likeness /= 255**2
    rows, nearest = np.arange(len(first)), likeness.argmax(axis=1)
    best = likeness[rows, nearest]
    is_mutual = likeness.argmax(axis=0)[nearest] == rows
    likeness[rows, nearest] = -1
    clear = 1 - best < RATIO**2 * (1 - likeness.max(axis=1))
    numbers = np.flatnonzero(clear & is_mutual)
    return numbers, nearest[numbers]


def _first_guess(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The matches that agree with the rotation and scale of one of them, for the one that most agree with; bool (M,)."""
    position, target = _complex(start), _complex(end)
    turn = np.clip(end[:, 2] / start[:, 2], 0.5, 2) * np.exp(1j * np.deg2rad(end[:, 3] - start[:, 3]))
    step = position[None] - position[:, None]  # (M, M), from each match to every other
    error = np.abs(turn[:, None] * step + target[:, None] - target[None])
    least, growth, most = FIRST_TOLERANCE
    agree = error < np.minimum(least + growth * np.abs(step), most)
    return np.asarray(agree[agree.sum(axis=1).argmax()])


def _affine_errors(start: np.ndarray, end: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """How far every match is from the affine map that fits those of `fitted` best, pixels, shape (M,)."""
    design = np.column_stack([start[:, :2], np.ones(len(start))])
    solution = np.linalg.lstsq(design[fitted], end[fitted, :2], rcond=None)[0]
    return np.asarray(np.linalg.norm(design @ solution - end[:, :2], axis=1))


def _complex(points: np.ndarray) -> np.ndarray:
    return np.asarray(points[:, 0] + 1j * points[:, 1])


def _distinct(points: np.ndarray) -> int:
    return len(np.unique(points[:, :2] // DISTINCT, axis=0))
