"""Which images a gate is fitted on, and what is measured on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from lesionlens.bundle.outputs import Outputs
from lesionlens.bundle.quality import measure_quality
from lesionlens.data.dataset import Dataset
from lesionlens.data.decoding_rules import DECODE_ERRORS
from lesionlens.data.image import FORMATS, InputSpec, centre_crop
from lesionlens.data.index import Index
from lesionlens.data.store import Store
from lesionlens.export.gate_fit import FittedGate, fit_gate, smallest_side

BATCH = 8

Run = Callable[[np.ndarray], Outputs]
Progress = Callable[[int], None]


def gate_for(run: Run, dataset: Dataset, spec: InputSpec, most: int, rate: float, progress: Progress) -> FittedGate:
    """Fit the gate of a network on the images that it was trained with.

    Args:
        run: the network: prepared images, uint8 (N, S, S, 3) with N at most `BATCH`, to its outputs.
        dataset: its training split gives the distribution, its validation split the thresholds.
        spec: how they are prepared.
        most: images to take of each split, spread over the diagnoses as they occur.
        rate: share of the validation images that may be rejected.
        progress: told how many images were looked at.
    """
    chosen = {split: spread_over(dataset.ids(split), dataset.index, most) for split in ("train", "validation")}
    features, _ = look_at(run, chosen["train"], dataset.store, spec, progress)
    found, measures = look_at(run, chosen["validation"], dataset.store, spec, progress)
    sides_px = shorter_sides(dataset.index, chosen["validation"])
    return fit_gate(features, measures, found, smallest_side(spec.size, sides_px), rate)


def spread_over(ids: Sequence[str], index: Index, most: int) -> tuple[str, ...]:
    """At most `most` of the ids, each diagnosis with its share, the same ones at every call."""
    by_id = index.by_id()
    ordered = sorted(ids, key=lambda image_id: (by_id[image_id].dx, image_id))
    rows = np.unique(np.linspace(0, len(ordered) - 1, min(most, len(ordered))).round().astype(int))
    return tuple(ordered[row] for row in rows)


def look_at(
    run: Run, ids: Sequence[str], store: Store, spec: InputSpec, progress: Progress
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Features (N, C) of stored images, and of their quality what can be seen in the prepared pixels, each (N,)."""
    features, qualities = [], []
    rows = np.sort(store.rows(ids))
    for start in range(0, len(rows), BATCH):
        images = np.ascontiguousarray(centre_crop(store.images[rows[start : start + BATCH]], spec.size))
        features.append(run(images).features)
        qualities += [measure_quality(image.shape[:2], image) for image in images]
        progress(len(images))
    return np.concatenate(features), {name: np.array([q[name] for q in qualities]) for name in qualities[0]}


def shorter_sides(index: Index, ids: Sequence[str]) -> np.ndarray | None:
    """Shorter sides of the original images, pixels, of those that are still there; None if none is."""
    by_id = index.by_id()
    sides = [_side(index.image_path(by_id[image_id])) for image_id in ids]
    found = [side for side in sides if side is not None]
    return np.array(found, dtype=np.float64) if found else None


def _side(path: Path) -> int | None:
    try:
        with Image.open(path, formats=FORMATS) as image:
            return min(image.size)
    except DECODE_ERRORS:
        return None
