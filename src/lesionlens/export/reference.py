"""What a bundle remembers of its training images; see `bundle.reference`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np

from lesionlens.bundle.reference import REFERENCE_FILE, Reference, colour_statistics, frame_hash, perceptual_hash
from lesionlens.data.dataset import Dataset
from lesionlens.data.parallel import in_threads

SEEN_SPLITS = ("train", "validation")  # the network learnt from the one; epoch, temperature and thresholds from the other


def seen_ids(dataset: Dataset) -> tuple[str, ...]:
    """Images that the network, its temperature or its thresholds were fitted on, without those the store lacks."""
    return tuple(
        image_id for name in SEEN_SPLITS for image_id in dataset.split.ids[name] if image_id not in dataset.store.dropped
    )


def reference_of(
    dataset: Dataset, distances: np.ndarray | None = None, progress: Callable[[int], None] | None = None
) -> Reference:
    """Hashes, colours and class counts of the images that a network was fitted on, from their stored frames.

    Args:
        dataset: of the run.
        distances: of the gate for validation images, (M,); None without a gate.
        progress: called with the number of images done since the last call.
    """
    ids = seen_ids(dataset)
    rows = dataset.store.rows(ids)
    hashes = np.zeros(len(rows), np.uint64)
    perceptual, colours = np.zeros((len(rows), 16), np.uint8), np.zeros((len(rows), 6), np.float32)

    def describe(number: int) -> None:
        frame = np.ascontiguousarray(dataset.store.images[rows[number]])
        hashes[number], perceptual[number] = frame_hash(frame), perceptual_hash(frame)
        colours[number] = colour_statistics(frame)

    in_threads(describe, len(rows), progress=progress)
    by_id = dataset.index.by_id()
    classes = [dataset.index.labels.index(by_id[image_id].dx) for image_id in ids]
    return Reference(
        frame_hashes=hashes,
        perceptual=perceptual,
        class_counts=np.bincount(classes, minlength=len(dataset.index.labels)).astype(np.int64),
        colour_mean=colours.mean(axis=0),
        colour_sd=colours.std(axis=0),
        distances=np.asarray([] if distances is None else distances, dtype=np.float32),
    )


def write_reference(reference: Reference, folder: Path) -> None:
    """Write reference.npz into the folder of a bundle."""
    arrays = {field.name: getattr(reference, field.name) for field in fields(Reference)}
    with (folder / REFERENCE_FILE).open("wb") as stream:
        np.savez_compressed(stream, **arrays)
