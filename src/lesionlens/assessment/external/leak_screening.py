"""Which external images a model may have been fitted on."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from lesionlens.assessment.external.training_images import FramePrints, TrainingImages, joined_scenes
from lesionlens.data.audit.duplicates import CERTAIN, SUSPECT, near_duplicates
from lesionlens.data.audit.fingerprint import Fingerprints
from lesionlens.data.index import Record

PIXELS, NEAR, PERCEPTUAL, IMAGE_ID, LESION_ID, PATIENT_ID = KINDS = (
    *("same pixels", "near-duplicate", "same perceptual hash"),
    *("same image id", "same lesion id", "same patient id"),
)
REGISTERED = re.compile(r"(ISIC|HAM|BCN|IL|IP)_\d+")  # ids that one archive assigns; IMG_0001 may be any camera
PERCEPTUAL_BITS = 10  # most differing bits of 128 of a copy; see `bundle.reference.perceptual_hash`
BLOCK = 1024
NOT_SCREENED = (
    "unknown: it could not be screened, as neither the training images nor their hashes are at hand; "
    "give the index of the training images with --training-index"
)


@dataclass(frozen=True)
class Match:
    """One external image that seems to be among the training images.

    Attributes:
        row: of the external image.
        kind: one of `KINDS`.
        training_id: of the training image; empty if only its hash is known.
        is_certain: whether the image is left out; else it is only suspected.
    """

    row: int
    kind: str
    training_id: str
    is_certain: bool


@dataclass(frozen=True, eq=False)
class Screening:
    """What a comparison with the training images found.

    Attributes:
        leaked: which external images a model may have been fitted on, bool (N,).
        matches: certain and suspected ones, by row.
        source: of the training images; empty if there was nothing to compare with.
        compared: the ways in which they were compared.
        n_training: training images that were compared.
        notes: what could not be compared, and why.
    """

    leaked: np.ndarray
    matches: tuple[Match, ...]
    source: str
    compared: tuple[str, ...]
    n_training: int
    notes: tuple[str, ...]

    @property
    def is_screened(self) -> bool:
        """Whether there was anything to compare with."""
        return bool(self.compared)

    def to_json(self, records: tuple[Record, ...], kept: bool) -> dict[str, Any]:
        """JSON-ready: counts by kind, and every match.

        Args:
            records: of the external images.
            kept: whether leaked images stay among the scored ones.
        """
        certain = {(match.row, match.kind) for match in self.matches if match.is_certain}
        suspected = {match.row for match in self.matches if not match.is_certain and not self.leaked[match.row]}
        by_kind = Counter(kind for _, kind in certain)
        rows = [
            {
                "image_id": records[match.row].image_id,
                "kind": match.kind,
                "training_image": match.training_id or None,
                "certain": match.is_certain,
            }
            for match in self.matches
        ]
        return {
            "screened": self.is_screened,
            "source": self.source,
            "n_training": self.n_training,
            "compared": list(self.compared),
            "n_leaked": int(self.leaked.sum()),
            "by_kind": {kind: by_kind[kind] for kind in KINDS if by_kind[kind]},
            "n_suspected": len(suspected),
            "kept": kept,
            "notes": list(self.notes),
            "matches": rows,
        }


def screen(prints: FramePrints, records: tuple[Record, ...], training: TrainingImages | None) -> Screening:
    """Compare external images with the training images in every way that can be compared.

    Equal files have equal pixels, so files are not compared apart. A near-duplicate is told by the keypoints that both images
    share (`data.audit.duplicates`); where only hashes of the training images are known, by a perceptual hash. An equal lesion
    or patient id is a leak; an equal image id only if an archive gives such ids out, or the pixels agree.

    Args:
        prints: of N external images.
        records: of the same images.
        training: the training images; None if nothing is known of them.
    """
    if training is None:
        return Screening(np.zeros(len(records), bool), (), "", (), 0, (NOT_SCREENED,))
    matches, compared, notes = _same_pixels(prints, training), [PIXELS], []
    if prints.scenes is not None and training.prints.scenes is not None:
        compared.append(NEAR)
        matches += _near(joined_scenes(training.prints.scenes, prints.scenes), prints, training)
    else:
        compared.append(PERCEPTUAL)
        matches += _perceptual(prints, training)
        notes.append(
            "near-duplicates were compared by a perceptual hash, which misses crops and rotations: "
            + ("OpenCV is not installed" if training.records else "only hashes of the training images are known")
        )
    if training.records:
        compared += [IMAGE_ID, LESION_ID, PATIENT_ID]
        matches += _same_ids(records, training.records)
    else:
        notes.append("ids of images, lesions and patients were not compared: only hashes of the training images are known")
    missing = int((~training.prints.readable).sum())
    if missing:
        notes.append(f"{missing} training images could not be read and were compared by their ids alone")
    leaked = np.zeros(len(records), bool)
    leaked[[match.row for match in matches if match.is_certain]] = True
    ordered = tuple(sorted(matches, key=lambda match: (match.row, KINDS.index(match.kind), match.training_id)))
    return Screening(leaked, ordered, training.source, tuple(compared), len(training.prints.readable), tuple(notes))


def _same_pixels(prints: FramePrints, training: TrainingImages) -> list[Match]:
    numbers = np.flatnonzero(training.prints.readable).tolist()
    of_hash = {training.prints.frame_hashes[number].item(): number for number in numbers}
    pairs = [(row, of_hash.get(prints.frame_hashes[row].item())) for row in np.flatnonzero(prints.readable).tolist()]
    return [Match(row, PIXELS, _id(training, number), True) for row, number in pairs if number is not None]


def _near(scenes: Fingerprints, prints: FramePrints, training: TrainingImages) -> list[Match]:
    """Pairs across the two sets; within a set, images count as of one lesion, which are not compared."""
    n_training = len(training.records)
    side = np.repeat([0, 1], [n_training, len(prints.readable)])
    pairs = near_duplicates(scenes, side)
    best: dict[int, tuple[int, int]] = {}
    for pair in pairs:
        row = pair.second - n_training
        best[row] = max(best.get(row, (0, 0)), (pair.keypoints, pair.first))
    return [
        Match(row, NEAR, _id(training, number), keypoints >= CERTAIN)
        for row, (keypoints, number) in best.items()
        if keypoints >= SUSPECT
    ]


def _perceptual(prints: FramePrints, training: TrainingImages) -> list[Match]:
    signs = _signs(training.prints.perceptual[training.prints.readable])
    numbers = np.flatnonzero(training.prints.readable)
    if not len(numbers):
        return []
    matches = []
    rows = np.flatnonzero(prints.readable)
    for start in range(0, len(rows), BLOCK):
        some = rows[start : start + BLOCK]
        differing = (signs.shape[1] - _signs(prints.perceptual[some]) @ signs.T) / 2  # (B, N)
        nearest = differing.argmin(axis=1)
        for row, number, bits in zip(some.tolist(), numbers[nearest].tolist(), differing.min(axis=1).tolist(), strict=True):
            if bits <= PERCEPTUAL_BITS:
                matches.append(Match(row, PERCEPTUAL, _id(training, number), True))
    return matches


def _signs(perceptual: np.ndarray) -> np.ndarray:
    """Bits as -1 and 1, float32 (N, 128), so that a product counts the bits that agree."""
    return np.unpackbits(perceptual, axis=1).astype(np.float32) * 2 - 1


def _same_ids(records: tuple[Record, ...], training: tuple[Record, ...]) -> list[Match]:
    images = {record.image_id: record.image_id for record in training}
    lesions = {record.lesion_id: record.image_id for record in training if record.has_lesion_id}
    patients = {record.patient_id: record.image_id for record in training if record.patient_id}
    matches = []
    for row, record in enumerate(records):
        if record.image_id in images:
            matches.append(Match(row, IMAGE_ID, record.image_id, bool(REGISTERED.fullmatch(record.image_id))))
        if record.has_lesion_id and record.lesion_id in lesions:
            matches.append(Match(row, LESION_ID, lesions[record.lesion_id], True))
        if record.patient_id and record.patient_id in patients:
            matches.append(Match(row, PATIENT_ID, patients[record.patient_id], True))
    return matches


def _id(training: TrainingImages, number: int) -> str:
    return training.records[number].image_id if training.records else ""
