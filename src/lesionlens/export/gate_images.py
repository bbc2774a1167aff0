"""The images that a gate is fitted on, and their features and quality."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from lesionlens.bundle.outputs import Outputs
from lesionlens.bundle.quality import measure_quality
from lesionlens.core.seeds import generator
from lesionlens.data.dataset import Dataset
from lesionlens.data.decoding_rules import DECODE_ERRORS
from lesionlens.data.image import FORMATS, InputSpec, centre_crop
from lesionlens.data.index import Index
from lesionlens.data.store import Store
from lesionlens.export.clinical_photos import ITA_DEG, KINDS, clinical_photo
from lesionlens.export.gate_fit import FittedGate, TrainingFeatures, fit_gate, smallest_side
from lesionlens.export.skin_tone import shift_tone

BATCH = 8
OTHER_TONE = 0.3  # of the training images count once more with another skin tone
PHOTOGRAPHS = 1200  # drawn at most

Run = Callable[[np.ndarray], Outputs]
Progress = Callable[[int], None]
Draw = Callable[[np.ndarray, int], np.ndarray]


def fit_gate_on_dataset(run: Run, dataset: Dataset, spec: InputSpec, most: int, rate: float, progress: Progress) -> FittedGate:
    """Fit the gate of a network on the data set that it was trained with.

    Args:
        run: the network, from prepared images, uint8 (N, S, S, 3) with N at most `BATCH`, to its outputs.
        dataset: its training split gives the distribution, its validation split the thresholds. Part of the training images
            count again with another skin tone, and drawn photographs without a dermatoscope show what is to be refused.
        spec: how the images are prepared.
        most: images of each split at most, stratified by diagnosis.
        rate: share of the validation images that may be rejected.
        progress: called with the number of images of each batch.
    """
    ids = {split: stratified_ids(dataset.ids(split), dataset.index, most) for split in ("train", "validation")}
    counts = gate_counts({split: len(dataset.ids(split)) for split in ids}, most)
    features, _ = features_and_quality(run, ids["train"], dataset.store, spec, progress)
    rows = np.sort(dataset.store.rows(ids["train"]))
    shifted = _drawn_features(run, _of_other_tone, counts["other_tone"], rows, dataset.store, spec, progress)
    photographs = _drawn_features(run, _photograph, counts["photographs"], rows, dataset.store, spec, progress)
    validation_features, measures = features_and_quality(run, ids["validation"], dataset.store, spec, progress)
    sides_px = shorter_sides(dataset.index, ids["validation"])
    learnt_from = TrainingFeatures(features, shifted, photographs)
    dark = _quality_of_dark_skin(ids["validation"], dataset.store, spec)
    return fit_gate(learnt_from, measures, validation_features, smallest_side(spec.size, sides_px), rate, dark)


def gate_counts(sizes: Mapping[str, int], most: int) -> dict[str, int]:
    """Number of images that a gate is fitted on, by kind.

    Args:
        sizes: images of the splits `train` and `validation`.
        most: images of each split at most.

    Example:
        >>> gate_counts({"train": 7000, "validation": 1000}, 2000)
        {'train': 2000, 'validation': 1000, 'other_tone': 600, 'photographs': 1000}
    """
    counts = {split: min(sizes[split], most) for split in ("train", "validation")}
    return {
        **counts,
        "other_tone": int(OTHER_TONE * counts["train"]),
        "photographs": min(PHOTOGRAPHS, counts["train"] // 2),
    }


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
    return np.concatenate(features), _columns(qualities)


def _drawn_features(
    run: Run, draw: Draw, count: int, rows: np.ndarray, store: Store, spec: InputSpec, progress: Progress
) -> np.ndarray | None:
    """Features (count, C) of images drawn from stored ones, spread evenly over `rows`; None if `count` is 0."""
    features = []
    chosen = rows[evenly_spaced(len(rows), count)]
    for start in range(0, count, BATCH):
        images = centre_crop(store.images[chosen[start : start + BATCH]], spec.size)
        features.append(run(np.stack([draw(image, start + place) for place, image in enumerate(images)])).features)
        progress(len(images))
    return np.concatenate(features) if features else None


def _quality_of_dark_skin(ids: Sequence[str], store: Store, spec: InputSpec) -> dict[str, np.ndarray]:
    """Measures of quality of stored images whose skin is shifted to the darkest tone, each (N,)."""
    qualities = []
    for row in np.sort(store.rows(ids)):
        image = shift_tone(np.ascontiguousarray(centre_crop(store.images[row], spec.size)), ITA_DEG[0])
        qualities.append(measure_quality(image.shape[:2], image))
    return _columns(qualities)


def _columns(rows: Sequence[Mapping[str, float]]) -> dict[str, np.ndarray]:
    """Measures of images by name, each (N,)."""
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _of_other_tone(image: np.ndarray, number: int) -> np.ndarray:
    return shift_tone(image, float(generator("other tone", number).uniform(*ITA_DEG)))


def _photograph(image: np.ndarray, number: int) -> np.ndarray:
    kinds = tuple(KINDS)
    return clinical_photo(kinds[number % len(kinds)], number, image)


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
