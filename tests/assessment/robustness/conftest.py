"""Random predictions."""

from collections.abc import Callable

import numpy as np
import pytest

from lesionlens.core.labels import HAM10000
from lesionlens.evaluation.predictions import Origin, Predictions

ORIGIN = Origin("drawn", 0, "lesion", False, 0.0, "test", hashes={"checkpoint": "c"})


@pytest.fixture
def draw() -> Callable[..., Predictions]:
    def draw_predictions(n_images: int = 200, seed: int = 0, skill: float = 2.0, truth_seed: int = 0) -> Predictions:
        labels = np.random.default_rng(truth_seed).permutation(np.arange(n_images) % 7)
        logits = np.random.default_rng(seed).normal(size=(n_images, 7)) + skill * np.eye(7)[labels]
        return Predictions(
            image_ids=np.array([f"image_{i:04d}" for i in range(n_images)]),
            lesion_ids=np.array([f"lesion_{i // 2:04d}" for i in range(n_images)]),
            labels=labels,
            logits=logits.astype(np.float32),
            label_set=HAM10000,
            age=np.full(n_images, 50, np.float32),
            sex=np.full(n_images, "female"),
            site=np.full(n_images, "back"),
            origin=ORIGIN,
        )

    return draw_predictions
