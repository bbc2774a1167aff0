"""Random predictions for the tests of this room."""

from collections.abc import Callable

import numpy as np
import pytest

from lesionlens.core.labels import HAM10000
from lesionlens.evaluation.predictions import Origin, Predictions

ORIGIN = Origin("drawn", 3, "lesion", False, 0.0, "test", 1, "fp32", 0, {"split": "s", "checkpoint": "c"})


@pytest.fixture
def draw() -> Callable[..., Predictions]:
    def draw_predictions(n_images: int = 200, seed: int = 0, skill: float = 2.0, origin: Origin = ORIGIN) -> Predictions:
        random = np.random.default_rng(seed)
        # The truth depends on the number of images alone, so that two models can be drawn for it.
        labels = np.random.default_rng(n_images).permutation(np.arange(n_images) % 7)
        logits = random.normal(size=(n_images, 7)) + skill * np.eye(7)[labels]
        return Predictions(
            image_ids=np.array([f"image_{i:04d}" for i in range(n_images)]),
            lesion_ids=np.array([f"lesion_{i // 2:04d}" for i in range(n_images)]),
            labels=labels.astype(np.int64),
            logits=logits.astype(np.float32),
            label_set=HAM10000,
            age=np.where(np.arange(n_images) % 5, 40.0, np.nan).astype(np.float32),
            sex=np.array(["female", "male", ""])[np.arange(n_images) % 3],
            site=np.array(["back", ""])[np.arange(n_images) % 2],
            origin=origin,
        )

    return draw_predictions
