"""Predictions of a network for the images of one split, with their true labels."""

from __future__ import annotations

import dataclasses
import json
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lesionlens.core import legacy
from lesionlens.core.artifact import atomic_file
from lesionlens.core.errors import ArtifactError, DataError
from lesionlens.core.labels import LabelSet
from lesionlens.evaluation.calibration import softmax

TEXTS = ("image_ids", "lesion_ids", "sex", "site")


@dataclass(frozen=True)
class Origin:
    """Where predictions come from.

    Attributes:
        name: name of the recipe.
        seed: seed of the recipe.
        protocol: of the split.
        leaks: whether the protocol is known to leak lesions from training into the other splits.
        leak_rate: share of images whose lesion is also in training, among those whose lesion is known; None if there are
            none or it was not measured.
        split: `train`, `validation` or `test`.
        views: test-time views averaged, 1 or 8.
        precision: number format of the forward pass.
        n_dropped: unreadable images of the split that the store leaves out on request.
        hashes: of their inputs, by name: `checkpoint split store index`.
        n_unknown_lesion: images of which it is not known whether their lesion is also in training.
        patient_leak_rate: share of images whose patient is also in training, among those whose patient is known.
        metadata: fields of the patients that the network was told beside the images.
    """

    name: str
    seed: int
    protocol: str
    leaks: bool
    leak_rate: float | None
    split: str
    views: int = 1
    precision: str = "fp32"
    n_dropped: int = 0
    hashes: dict[str, str] = field(default_factory=dict)
    n_unknown_lesion: int = 0
    patient_leak_rate: float | None = None
    metadata: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "metadata", tuple(self.metadata))  # JSON knows lists only


@dataclass(frozen=True, eq=False)
class Predictions:
    """Logits and truth of N images over K diagnoses.

    Attributes:
        image_ids: unique, text (N,).
        lesion_ids: lesion of each image, text (N,); lesions known to be one under two ids
            share an id.
        labels: true class indices, int64 (N,).
        logits: float32 (N, K).
        label_set: the diagnoses, in the order of the logits.
        age: years, float32 (N,), NaN where unknown.
        sex: text (N,), empty where unknown.
        site: text (N,), empty where unknown.
        origin: where they come from.

    Raises:
        DataError: if shapes do not match, there are no images, an id is repeated, a label is out of
            range or a logit is not finite.
    """

    image_ids: np.ndarray
    lesion_ids: np.ndarray
    labels: np.ndarray
    logits: np.ndarray
    label_set: LabelSet
    age: np.ndarray
    sex: np.ndarray
    site: np.ndarray
    origin: Origin

    def __post_init__(self) -> None:
        n_images, n_classes = len(self.image_ids), len(self.label_set)
        for name in (*TEXTS, "labels", "age"):
            if getattr(self, name).shape != (n_images,):
                raise DataError(f"{name} has shape {getattr(self, name).shape}; it must be ({n_images},) as image_ids")
        if self.logits.shape != (n_images, n_classes):
            raise DataError(f"logits have shape {self.logits.shape}; they must be ({n_images}, {n_classes})")
        if not n_images:
            raise DataError("there are no images in these predictions; choose a split that holds some")
        if not np.isfinite(self.logits).all():
            raise DataError("some logits are NaN or infinite; predict again with an undamaged checkpoint")
        if self.labels.min() < 0 or self.labels.max() >= n_classes:
            raise DataError(f"labels reach from {self.labels.min()} to {self.labels.max()}; they must lie in [0, {n_classes})")
        names, counts = np.unique(self.image_ids, return_counts=True)
        if counts.max() > 1:
            raise DataError(f"image {names[counts.argmax()]} occurs {counts.max()} times; each image must occur once")

    def __len__(self) -> int:
        return len(self.image_ids)

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of the diagnoses in the order of the logits."""
        return self.label_set.codes

    @property
    def split(self) -> str:
        """Name of their split."""
        return self.origin.split

    @property
    def probabilities(self) -> np.ndarray:
        """Softmax of the logits, float64 (N, K)."""
        return softmax(self.logits)

    @property
    def predicted(self) -> np.ndarray:
        """First choice of each image, int64 (N,)."""
        return np.asarray(self.logits.argmax(axis=1))

    def take(self, rows: np.ndarray) -> Predictions:
        """The same predictions for some images, or in another order.

        Args:
            rows: row numbers (M,), or a mask (N,).
        """
        arrays = {name: getattr(self, name)[rows] for name in (*TEXTS, "labels", "logits", "age")}
        return dataclasses.replace(self, **arrays)


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Write predictions as an .npz of plain arrays, atomically.

    Raises:
        StorageError: if the disk is full or may not be written.
    """
    meta = {"label_set": predictions.label_set.to_json(), "origin": dataclasses.asdict(predictions.origin)}
    arrays: dict[str, Any] = {name: np.asarray(getattr(predictions, name), dtype=np.str_) for name in TEXTS}
    arrays["labels"] = predictions.labels.astype(np.int64)
    arrays["logits"] = predictions.logits.astype(np.float32)
    arrays["age"] = predictions.age.astype(np.float32)
    arrays["meta"] = np.array(json.dumps(meta, allow_nan=False))
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **arrays)


def read_predictions(path: str | Path) -> Predictions:
    """Read a file of `write_predictions`; nothing in it is executed.

    Raises:
        ArtifactError: if the file is missing, damaged, or its arrays do not match.
    """
    path = Path(path)
    if not path.is_file():
        raise ArtifactError(f"{path} does not exist; make it with: lesionlens evaluate CHECKPOINT")
    try:
        arrays = _read_arrays(path)
        meta = json.loads(str(arrays.pop("meta")))
        origin, label_set = Origin(**legacy.current(meta["origin"])), LabelSet.from_json(meta["label_set"])
        return Predictions(**arrays, label_set=label_set, origin=origin)
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error, DataError) as error:
        raise ArtifactError(
            f"{path} holds no valid predictions ({error}); make it again with: lesionlens evaluate CHECKPOINT"
        ) from error


KINDS: dict[str, str] = {**dict.fromkeys((*TEXTS, "meta"), "U"), "labels": "i", "logits": "f", "age": "f"}


def _read_arrays(path: Path) -> dict[str, Any]:
    if not zipfile.is_zipfile(path):
        raise ValueError("not an .npz file, or truncated")
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    if arrays.keys() != KINDS.keys():
        raise ValueError(f"arrays {', '.join(sorted(arrays.keys() ^ KINDS.keys()))} are missing or unknown")
    for name, kind in KINDS.items():
        if arrays[name].dtype.kind != kind:
            raise ValueError(f"{name} is of type {arrays[name].dtype}")
    return arrays
