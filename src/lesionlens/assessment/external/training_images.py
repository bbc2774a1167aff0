"""The images that a model was fitted on, as far as they are at hand, to find them among external ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from lesionlens.bundle.reference import HASH_BYTES, Reference, frame_hash, perceptual_hash
from lesionlens.core.errors import ImageError
from lesionlens.data.audit.fingerprint import COLOUR_SIDE, Fingerprints, small_copy
from lesionlens.data.audit.keypoints import HEIGHT, NO_KEYPOINTS, WIDTH, find_keypoints
from lesionlens.data.dataset import Dataset
from lesionlens.data.image import InputSpec, decode_image, prepare
from lesionlens.data.index import Index, Record, select
from lesionlens.data.parallel import Progress, in_threads

FrameOf = Callable[[int], np.ndarray | None]


@dataclass(frozen=True, eq=False)
class FramePrints:
    """Fingerprints of N prepared frames.

    Attributes:
        frame_hashes: uint64 (N,); see `bundle.reference.frame_hash`.
        perceptual: uint8 (N, 16); see `bundle.reference.perceptual_hash`.
        scenes: keypoints and small copies, for `near_duplicates`; None without OpenCV.
        readable: which frames there are, bool (N,).
    """

    frame_hashes: np.ndarray
    perceptual: np.ndarray
    scenes: Fingerprints | None
    readable: np.ndarray


@dataclass(frozen=True, eq=False)
class TrainingImages:
    """Images that a model was fitted on.

    Attributes:
        source: where they come from, for people.
        prints: of their frames.
        records: of their index, in the order of the prints; empty if only hashes are known.
    """

    source: str
    prints: FramePrints
    records: tuple[Record, ...]


def has_opencv() -> bool:
    """Whether keypoints can be found here."""
    return find_spec("cv2") is not None


def frame_prints(count: int, frame_of: FrameOf, progress: Progress | None = None) -> FramePrints:
    """Prints of frames, each read once.

    Args:
        count: how many.
        frame_of: gives frame number n, uint8 (F, F, 3), or None if it cannot be read; called from several threads.
        progress: called with the number of frames done since the last call.
    """
    hashes, perceptual = np.zeros(count, np.uint64), np.zeros((count, HASH_BYTES), np.uint8)
    readable, scenes = np.zeros(count, bool), _empty_scenes(count) if has_opencv() else None

    def describe(number: int) -> None:
        frame = frame_of(number)
        if frame is None:
            return
        frame = np.ascontiguousarray(frame)
        readable[number] = True
        hashes[number], perceptual[number] = frame_hash(frame), perceptual_hash(frame)
        if scenes is not None:
            _describe_scene(scenes, number, Image.fromarray(frame), f"{hashes[number]:016x}")

    in_threads(describe, count, progress=progress)
    return FramePrints(hashes, perceptual, scenes, readable)


def training_images_of_run(
    dataset: Dataset, ids: tuple[str, ...], source: str, progress: Progress | None = None
) -> TrainingImages:
    """Images of a run, from its store.

    Args:
        dataset: of the run.
        ids: images that the model was fitted on.
        source: where they come from, for people.
        progress: called with the number of images done since the last call.
    """
    rows, images = dataset.store.rows(ids), dataset.store.images
    prints = frame_prints(len(rows), lambda number: np.asarray(images[rows[number]]), progress)
    return TrainingImages(source, prints, select(dataset.index, ids))


def training_images_of_index(index: Index, spec: InputSpec, path: Path, progress: Progress | None = None) -> TrainingImages:
    """Every image of an index, decoded and prepared as the model's input; those that cannot be read have no prints.

    Args:
        index: of the training images.
        spec: of the model.
        path: of the index, for people.
        progress: called with the number of images done since the last call.
    """

    def frame_of(number: int) -> np.ndarray | None:
        try:
            return prepare(decode_image(index.image_path(index.records[number])).image, spec)
        except ImageError:
            return None

    return TrainingImages(f"index {path}", frame_prints(len(index), frame_of, progress), index.records)


def training_images_of_reference(reference: Reference, source: str) -> TrainingImages:
    """Hashes that a bundle carries."""
    readable = np.ones(len(reference), bool)
    return TrainingImages(source, FramePrints(reference.frame_hashes, reference.perceptual, None, readable), ())


def _empty_scenes(count: int) -> Fingerprints:
    return Fingerprints(
        bytes_hashes=[""] * count,
        pixel_hashes=[""] * count,
        grey=np.zeros((count, HEIGHT, WIDTH), np.uint8),
        colour=np.zeros((count, COLOUR_SIDE, COLOUR_SIDE, 3), np.uint8),
        keypoints=[NO_KEYPOINTS] * count,
        unreadable={},
    )


def _describe_scene(scenes: Fingerprints, number: int, frame: Image.Image, digest: str) -> None:
    copy = small_copy(frame)
    scenes.pixel_hashes[number] = digest
    scenes.grey[number] = np.asarray(copy.convert("L"))
    scenes.colour[number] = np.asarray(copy.resize((COLOUR_SIDE, COLOUR_SIDE), Image.Resampling.BOX))
    scenes.keypoints[number] = find_keypoints(scenes.grey[number])


def joined_scenes(first: Fingerprints, second: Fingerprints) -> Fingerprints:
    """Fingerprints of two sets of images as one."""
    return Fingerprints(
        bytes_hashes=first.bytes_hashes + second.bytes_hashes,
        pixel_hashes=first.pixel_hashes + second.pixel_hashes,
        grey=np.concatenate([first.grey, second.grey]),
        colour=np.concatenate([first.colour, second.colour]),
        keypoints=first.keypoints + second.keypoints,
        unreadable={},
    )
