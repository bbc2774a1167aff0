"""Predictions for corrupted and turned photographs, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lesionlens.assessment.robustness.corruptions import STRENGTHS, Corruption, select_corruptions
from lesionlens.assessment.robustness.settings import StressSettings
from lesionlens.core.seeds import generator
from lesionlens.data.image import centre_crop
from lesionlens.data.store import Store

Predict = Callable[[np.ndarray], np.ndarray]
"""Takes frames, uint8 (N, F, F, 3) or already cropped, and returns logits (N, K)."""
N_VIEWS = 8


@dataclass(frozen=True, eq=False)
class Responses:
    """Logits for N images under stress.

    Attributes:
        image_ids: of the images, (N,).
        views: float32 (8, N, K), the flips and right-angle rotations, the image itself first.
        corrupted: float32 (C, 5, N, K), in the order of `corruptions` and strengths.
        corruptions: what was done.
    """

    image_ids: tuple[str, ...]
    views: np.ndarray
    corrupted: np.ndarray
    corruptions: tuple[Corruption, ...]

    @property
    def clean(self) -> np.ndarray:
        """Logits for the images as they are, (N, K)."""
        return np.asarray(self.views[0])


def passes(n_images: int, n_corruptions: int) -> int:
    """How many images a stress test predicts."""
    return n_images * (N_VIEWS + len(STRENGTHS) * n_corruptions)


def respond(
    predict: Predict,
    store: Store,
    image_ids: Sequence[str],
    size: int,
    settings: StressSettings,
    progress: Callable[[int], None] | None = None,
) -> Responses:
    """Predict images under every view and corruption; memory holds a few batches of frames.

    Corruptions work on whole frames, before the network's crop; views on the crop.

    Args:
        predict: the network.
        store: the frames.
        image_ids: which images, all in the store.
        size: side that the network sees, pixels.
        settings: which corruptions, the seed of what is drawn, and the images in one pass.
        progress: called with the number of images of each pass.
    """
    rows, batch_size, corruptions = store.rows(image_ids), settings.batch_size, select_corruptions(settings.corruptions)
    chunks_views, chunks_corrupted = [], []
    for start in range(0, len(rows), batch_size):
        ids = tuple(image_ids[start : start + batch_size])
        frames = np.asarray(store.images[rows[start : start + batch_size]])

        def logits_of(images: np.ndarray) -> np.ndarray:
            logits = predict(images)
            if progress is not None:
                progress(len(images))
            return logits

        chunks_views.append(np.stack([logits_of(view) for view in views_of(centre_crop(frames, size))]))
        corrupted = [
            [logits_of(corrupted_batch(frames, ids, corruption, strength, settings.seed)) for strength in STRENGTHS]
            for corruption in corruptions
        ]
        chunks_corrupted.append(np.array(corrupted, np.float32).reshape(len(corruptions), len(STRENGTHS), len(ids), -1))
    views = np.concatenate(chunks_views, axis=1)
    return Responses(tuple(image_ids), views, np.concatenate(chunks_corrupted, axis=2), corruptions)


def corrupted_batch(frames: np.ndarray, image_ids: Sequence[str], corruption: Corruption, strength: int, seed: int) -> np.ndarray:
    """The frames (N, F, F, 3) under one corruption, see `corruptions.corrupt`."""
    value = corruption.values[strength - 1]
    images = zip(frames, image_ids, strict=True)
    return np.stack(
        [corruption.apply(frame, value, generator("corruption", seed, image_id, corruption.name)) for frame, image_id in images]
    )


def views_of(images: np.ndarray) -> list[np.ndarray]:
    """The eight flips and right-angle rotations of square images (N, S, S, 3), the images themselves first."""
    turned = [np.rot90(images, turns, (1, 2)) for turns in range(4)]
    return [np.ascontiguousarray(view) for view in (*turned, *(view[:, :, ::-1] for view in turned))]


def draw_ids(image_ids: Sequence[str], lesion_ids: np.ndarray, n_images: int, seed: int) -> tuple[str, ...]:
    """Images of whole lesions, drawn at random until there are `n_images` or more, in their old order.

    Args:
        image_ids: of N images.
        lesion_ids: lesion of each, (N,).
        n_images: how many to draw; 0 or N and more take all.
        seed: of the draw.
    """
    if not 0 < n_images < len(image_ids):
        return tuple(image_ids)
    names, member, counts = np.unique(lesion_ids, return_inverse=True, return_counts=True)
    order = generator("stress", seed).permutation(len(names))
    needed = int(np.searchsorted(np.cumsum(counts[order]), n_images)) + 1
    drawn = np.isin(member, order[:needed])
    return tuple(image_id for image_id, is_drawn in zip(image_ids, drawn, strict=True) if is_drawn)
