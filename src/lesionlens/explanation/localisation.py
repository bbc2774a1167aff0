"""How well maps agree with lesion masks: pointing game, energy inside the mask, best overlap.

All three use the map at the size of the image. For each of them the level of chance is the mask's
share of the image, the score of a uniform map; an empty map counts as uniform.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lesionlens.core.errors import DataError

LEVELS = 100
METRICS = ("pointing_game", "energy_inside", "best_iou")


@dataclass(frozen=True)
class Localisation:
    """Metrics of N maps, each (N,) and in [0, 1].

    Attributes:
        pointing_game: see `pointing_game`.
        energy_inside: see `energy_inside`.
        best_iou: see `best_iou`.
        mask_share: share of the image that the mask covers: the level of chance.
        empty: bool, whether the map is zero everywhere.
    """

    pointing_game: np.ndarray
    energy_inside: np.ndarray
    best_iou: np.ndarray
    mask_share: np.ndarray
    empty: np.ndarray


def localise(maps: np.ndarray, masks: np.ndarray) -> Localisation:
    """Compute all metrics of maps against masks.

    Args:
        maps: raw, non-negative maps, (N, H, W).
        masks: bool, (N, H, W), each with at least one pixel inside.

    Raises:
        DataError: if shapes differ, a map is negative or not finite, or a mask is empty.
    """
    _check(maps, masks)
    return Localisation(
        pointing_game(maps, masks),
        energy_inside(maps, masks),
        best_iou(maps, masks),
        masks.mean((1, 2)),
        maps.max((1, 2)) == 0,
    )


def _check(maps: np.ndarray, masks: np.ndarray) -> None:
    if maps.shape != masks.shape or maps.ndim != 3:
        raise DataError(f"maps have shape {maps.shape} and masks {masks.shape}; both must be (N, H, W)")
    if not (maps >= 0).all() or not np.isfinite(maps).all():
        raise DataError("a map holds a negative number, NaN or infinity; apply a ReLU")
    if not masks.any((1, 2)).all():
        raise DataError("a mask is empty; leave out images without a lesion")


def pointing_game(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Whether the map's highest pixel lies in the mask (Zhang 2018, section 4.1, without a margin), (N,).

    Where several pixels are highest, the share of them that lies in the mask.
    """
    highest = maps == maps.max((1, 2), keepdims=True)
    return np.asarray((highest & masks).sum((1, 2)) / highest.sum((1, 2)))


def energy_inside(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Share of the map's sum that lies in the mask (Wang 2020, section 4.3), (N,)."""
    maps = maps.astype(np.float64)
    total = maps.sum((1, 2))
    inside = (maps * masks).sum((1, 2))
    share: np.ndarray = masks.mean((1, 2))
    return np.asarray(np.divide(inside, total, out=share, where=total > 0))


def best_iou(maps: np.ndarray, masks: np.ndarray, levels: int = LEVELS) -> np.ndarray:
    """Overlap (intersection over union) of mask and map at the map's best threshold, (N,).

    Args:
        maps: (N, H, W).
        masks: bool (N, H, W).
        levels: thresholds tried: 0, 1/levels, 2/levels, ... of the map's maximum.
    """
    highest = np.maximum(maps.max((1, 2), keepdims=True), np.finfo(np.float64).tiny)
    bins = np.minimum((maps / highest * levels).astype(np.int64), levels - 1).reshape(len(maps), -1)
    keys = bins + levels * np.arange(len(maps))[:, None]
    inside = masks.reshape(len(maps), -1)
    counts = [np.bincount(pixels.ravel(), minlength=levels * len(maps)) for pixels in (keys, keys[inside])]
    above, hits = (each.reshape(-1, levels)[:, ::-1].cumsum(1) for each in counts)  # highest threshold first
    union = above + inside.sum(1, keepdims=True) - hits
    return np.asarray((hits / union).max(1))
