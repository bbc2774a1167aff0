"""The images that a gate is fitted on, and their features and quality."""

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


def fit_gate_on_dataset(run: Run, dataset: Dataset, spec: InputSpec, most: int, rate: float, progress: Progress) -> FittedGate:
    """Fit the gate of a network on the data set that it was trained with.

    Args:
        run: the network, from prepared images, uint8 (N, S, S, 3) with N at most `BATCH`, to its outputs.
        dataset: its training split gives the distribution, its validation split the thresholds.
        spec: how the images are prepared.
        most: images of each split at most, stratified by diagnosis.
        rate: share of the validation images that may be rejected.
        progress: called with the number of images of each batch.
    """
    ids = {split: stratified_ids(dataset.ids(split), dataset.index, most) for split in ("train", "validation")}
    features, _ = features_and_quality(run, ids["train"], dataset.store, spec, progress)
    validation_features, measures = features_and_quality(run, ids["validation"], dataset.store, spec, progress)
    sides_px = shorter_sides(dataset.index, ids["validation"])
    return fit_gate(features, measures, validation_features, smallest_side(spec.size, sides_px), rate)


def stratified_ids(ids: Sequence[str], index: Index, most: int) -> tuple[str, ...]:
    """At most `most` of the ids, stratified by diagnosis; the result does not depend on the order of `ids`."""
    by_id = index.by_id()
    ordered = sorted(ids, key=lambda image_id: (by_id[image_id].dx, image_id))
    return tuple(ordered[row] for row in evenly_spaced(len(ordered), most))


def evenly_spaced(length: int, count: int) -> np.ndarray:
    """At most `count` rows out of `length`, evenly spaced, the first one included.

    >>> evenly_spaced(9, 3)
    array([0, 4, 8])
    """
    return np.unique(np.linspace(0, length - 1, min(count, length)).round().astype(int))


def features_and_quality(
    run: Run, ids: Sequence[str], store: Store, spec: InputSpec, progress: Progress
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Features (N, C) of stored images, and measures of the quality of the prepared pixels, each (N,)."""
    features, qualities = [], []
    rows = np.sort(store.rows(ids))
    for start in range(0, len(rows), BATCH):
        images = np.ascontiguousarray(centre_crop(store.images[rows[start : start + BATCH]], spec.size))
        features.append(run(images).features)
        qualities += [measure_quality(image.shape[:2], image) for image in images]
        progress(len(images))
    return np.concatenate(features), {name: np.array([quality[name] for quality in qualities]) for name in qualities[0]}


def shorter_sides(index: Index, ids: Sequence[str]) -> np.ndarray | None:
    """Shorter sides of the original images that are still readable, pixels; None if there are none."""
    by_id = index.by_id()
    sides = [_side(index.image_path(by_id[image_id])) for image_id in ids]
    known = [side for side in sides if side is not None]
    return np.array(known, dtype=np.float64) if known else None


def _side(path: Path) -> int | None:
    try:
        with Image.open(path, formats=FORMATS) as image:
            return min(image.size)
    except DECODE_ERRORS:
        return None
