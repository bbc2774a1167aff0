"""Unlabelled images for training: packed like the others, and none of them shown that validation or test hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lesionlens.bundle.reference import frame_hash, perceptual_hash
from lesionlens.core.artifact import hash_value, write_json
from lesionlens.core.errors import ArtifactError, DataError
from lesionlens.data.dataset import Dataset
from lesionlens.data.decoded_image import first_names
from lesionlens.data.groups import groups_of
from lesionlens.data.image import InputSpec
from lesionlens.data.index import Record
from lesionlens.data.parallel import in_threads
from lesionlens.data.sources.unlabelled import UnlabelledImages
from lesionlens.data.split import Split
from lesionlens.data.store import Store, pack

HELD_OUT = ("validation", "test")
PERCEPTUAL_BITS = 10  # most differing bits of 128 of a copy; see `bundle.reference.perceptual_hash`
BLOCK = 1024
SAME_ID, SAME_LESION, SAME_PATIENT, SAME_PIXELS, ALIKE, LABELLED = REASONS = (
    "the id of a validation or test image",
    "a lesion of validation or test",
    "a patient of validation or test",
    "the pixels of a validation or test image",
    "the perceptual hash of a validation or test image",
    "already in the training split, with its diagnosis",
)
SCREENING_FILE = "screening.json"
NOT_SCREENED = (
    "these unlabelled images were compared with no validation or test split, because no labelled data set is given; a training "
    "that starts from their weights compares them with its own"
)


@dataclass(frozen=True, eq=False)
class Prints:
    """What N frames are recognised by.

    Attributes:
        frame_hashes: uint64 (N,); see `bundle.reference.frame_hash`.
        perceptual: uint8 (N, 16); see `bundle.reference.perceptual_hash`.
    """

    frame_hashes: np.ndarray
    perceptual: np.ndarray


def prints_of(store: Store, rows: np.ndarray) -> Prints:
    """Prints of some rows of a store."""
    hashes, perceptual = np.zeros(len(rows), np.uint64), np.zeros((len(rows), 16), np.uint8)

    def describe(number: int) -> None:
        frame = np.ascontiguousarray(store.images[rows[number]])
        hashes[number], perceptual[number] = frame_hash(frame), perceptual_hash(frame)

    in_threads(describe, len(rows))
    return Prints(hashes, perceptual)


@dataclass(frozen=True, eq=False)
class Unlabelled:
    """Unlabelled images that may be trained on.

    Attributes:
        store: their pixels; it may hold others that were left out.
        ids: of the images to train on, sorted.
        prints: of the same images.
        left_out: ids of the others by reason, see `REASONS`.
        unreadable: reason for each image that could not be read, by id.
        screened: whether there was a validation or test split to compare with.
    """

    store: Store
    ids: tuple[str, ...]
    prints: Prints
    left_out: dict[str, tuple[str, ...]]
    unreadable: dict[str, str]
    screened: bool

    @property
    def hash(self) -> str:
        """SHA-256 over their pixels and ids."""
        return hash_value([self.store.hash, list(self.ids)])

    def lines(self) -> list[str]:
        """What became of the images, for people."""
        total = len(self.ids) + sum(map(len, self.left_out.values())) + len(self.unreadable)
        lines = [f"{len(self.ids)} of {total} unlabelled images are used"]
        lines += [
            f"left out {len(ids)} unlabelled images, {why}: {first_names(list(ids), len(ids))}"
            for why, ids in self.left_out.items()
        ]
        if self.unreadable:
            lines.append(
                f"left out {len(self.unreadable)} unlabelled images, not readable: {next(iter(self.unreadable.values()))}"
            )
        return lines if self.screened else [*lines, NOT_SCREENED]

    def to_json(self) -> dict[str, Any]:
        """JSON-ready: how many are used and why the others are not, with their ids."""
        return {
            "used": len(self.ids),
            "screened": self.screened,
            "left_out": {why: list(ids) for why, ids in self.left_out.items()},
            "unreadable": self.unreadable,
        }


def prepare_unlabelled(
    images: UnlabelledImages,
    spec: InputSpec,
    folder: Path,
    dataset: Dataset | None,
    progress: Callable[[int], None] | None = None,
) -> Unlabelled:
    """Pack unlabelled images, and leave out those that validation or test hold.

    An image is left out if its id, lesion or patient is one of the validation or test split, if its pixels or its perceptual
    hash are those of such an image, or if it is a training image already.

    Args:
        images: to pack.
        spec: how the labelled images are prepared.
        folder: of the store; one of the same images is used again. `screening.json` lies in it.
        dataset: the labelled images and their split; None if there are none.
        progress: called with the number of images packed since the last call.

    Raises:
        DataError: if none is left.
    """
    store = _packed(images, spec, folder, progress)
    records = tuple(record for record in images.records if record.image_id not in store.dropped)
    prints = prints_of(store, store.rows([record.image_id for record in records]))
    reasons = screen(records, prints, dataset) if dataset is not None else [""] * len(records)
    kept = [number for number, why in enumerate(reasons) if not why]
    left_out = {
        why: tuple(record.image_id for record, reason in zip(records, reasons, strict=True) if reason == why) for why in REASONS
    }
    result = Unlabelled(
        store=store,
        ids=tuple(records[number].image_id for number in kept),
        prints=Prints(prints.frame_hashes[kept], prints.perceptual[kept]),
        left_out={why: ids for why, ids in left_out.items() if ids},
        unreadable=dict(store.dropped),
        screened=dataset is not None,
    )
    write_json(folder.with_name(f"{folder.name}.{SCREENING_FILE}"), result.to_json())
    if not kept:
        raise DataError(f"none of the {len(images)} unlabelled images of {images.root} is left: {'; '.join(result.lines()[1:])}")
    return result


def _packed(images: UnlabelledImages, spec: InputSpec, folder: Path, progress: Callable[[int], None] | None) -> Store:
    if folder.is_dir():
        try:
            store = Store.open(folder)
        except ArtifactError:
            store = None  # cut short or damaged: packed again
        if store is not None and (store.index_hash, store.frame_hash) == (images.hash, spec.frame_hash):
            return store
    return pack(images, spec, folder, progress=progress, skip_broken=True)


def screen(records: Sequence[Record], prints: Prints, dataset: Dataset) -> list[str]:
    """Why each unlabelled image must be left out, of `REASONS`; empty for those that may stay.

    Args:
        records: of N unlabelled images.
        prints: of the same images.
        dataset: the labelled images.
    """
    held_out = held_out_records(dataset)
    ids = {record.image_id for record in held_out}
    lesions = {record.lesion_id for record in held_out if record.has_lesion_id}
    patients = {record.patient_id for record in held_out if record.patient_id}
    known, trained = dataset.index.by_id(), set(dataset.split.ids["train"])
    pixels, alike = _like_held_out(prints, dataset)
    reasons = []
    for number, record in enumerate(records):
        lesion_ids = {each.lesion_id for each in (record, known.get(record.image_id, record)) if each.has_lesion_id}
        checks = (
            (SAME_ID, record.image_id in ids),
            (SAME_LESION, bool(lesion_ids & lesions)),
            (SAME_PATIENT, record.patient_id in patients),
            (SAME_PIXELS, pixels[number]),
            (ALIKE, alike[number]),
            (LABELLED, record.image_id in trained),
        )
        reasons.append(next((why for why, applies in checks if applies), ""))
    return reasons


def held_out_records(dataset: Dataset) -> tuple[Record, ...]:
    """Records of validation and test and, unless the protocol leaks, of all images that belong to the same groups."""
    held_out = held_out_ids(dataset.split)
    if not dataset.split.leaks:
        groups = groups_of(dataset.index, dataset.split.pairs)
        inside = {group for group, image_id in zip(groups.tolist(), dataset.index.ids, strict=True) if image_id in held_out}
        held_out |= {image_id for group, image_id in zip(groups.tolist(), dataset.index.ids, strict=True) if group in inside}
    return tuple(record for record in dataset.index.records if record.image_id in held_out)


def held_out_ids(split: Split) -> set[str]:
    """Ids of the validation and test images."""
    return {image_id for name in HELD_OUT for image_id in split.ids[name]}


def _like_held_out(prints: Prints, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Which images have the pixels, and which the perceptual hash, of a validation or test image; bool (N,) each."""
    ids = sorted(held_out_ids(dataset.split) - dataset.store.dropped.keys())
    held_out = prints_of(dataset.store, dataset.store.rows(ids))
    return np.isin(prints.frame_hashes, held_out.frame_hashes), are_alike(prints.perceptual, held_out.perceptual)


def are_alike(perceptual: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which of N perceptual hashes (N, 16) differ from one of M others (M, 16) in at most `PERCEPTUAL_BITS`; bool (N,)."""
    signs = _signs(others)
    blocks: Iterable[np.ndarray] = (perceptual[start : start + BLOCK] for start in range(0, len(perceptual), BLOCK))
    if not len(others):
        return np.zeros(len(perceptual), bool)
    alike = [((signs.shape[1] - _signs(block) @ signs.T) / 2).min(axis=1) <= PERCEPTUAL_BITS for block in blocks]
    return np.concatenate([np.zeros(0, bool), *alike])


def _signs(perceptual: np.ndarray) -> np.ndarray:
    """Bits as -1 and 1, float32 (N, 128), so that a product counts the bits that agree."""
    return np.unpackbits(perceptual, axis=1).astype(np.float32) * 2 - 1
