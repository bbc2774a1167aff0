"""Simulated predictions whose truth is known: calibrated where `sharpness` is 1."""

from collections.abc import Callable

import numpy as np
import pytest

from lesionlens.core.labels import HAM10000, LabelSet
from lesionlens.evaluation.predictions import Origin, Predictions

LESIONS = np.array([228, 327, 727, 73, 614, 5403, 98])  # HAM10000, in the order of its label set
PHOTOGRAPHS = np.array([327, 514, 1099, 115, 1113, 6705, 142]) / LESIONS
SKILL = 2.3


def draw_cases(random: np.random.Generator, n_lesions: int, shares: np.ndarray = LESIONS) -> tuple[np.ndarray, ...]:
    """Calibrated logits (N, K), labels (N,) and lesions (N,); half of the variance of an image is its lesion's."""
    n_classes = len(shares)
    truth = random.choice(n_classes, n_lesions, p=shares / shares.sum())
    photographs = 1 + random.poisson((PHOTOGRAPHS[:n_classes] - 1)[truth])
    lesions = np.repeat(np.arange(n_lesions), photographs)
    noise = random.standard_normal((n_lesions, n_classes))[lesions] + random.standard_normal((len(lesions), n_classes))
    features = SKILL * np.eye(n_classes)[truth[lesions]] + noise / np.sqrt(2)
    prior = shares * PHOTOGRAPHS[:n_classes]
    logits = SKILL * features + np.log(np.maximum(prior / prior.sum(), 1e-9))
    return logits, truth[lesions], lesions


@pytest.fixture(scope="session")
def draw() -> Callable[..., Predictions]:
    def draw_predictions(
        n_lesions: int = 400,
        seed: int = 0,
        split: str = "test",
        sharpness: float = 1.0,
        labels: LabelSet = HAM10000,
        shares: np.ndarray | None = None,
    ) -> Predictions:
        random = np.random.default_rng((seed, {"test": 0, "validation": 1}[split]))
        logits, truth, lesions = draw_cases(random, n_lesions, LESIONS[: len(labels)] if shares is None else np.asarray(shares))
        origin = Origin("drawn", 3, "lesion", False, 0.0, split, hashes={"split": "s", "checkpoint": "c"})
        n_images = len(truth)
        return Predictions(
            image_ids=np.array([f"{split}_{i:05d}" for i in range(n_images)]),
            lesion_ids=np.array([f"{split}_lesion_{number:05d}" for number in lesions]),
            labels=truth.astype(np.int64),
            logits=(sharpness * logits).astype(np.float32),
            label_set=labels,
            age=np.full(n_images, 50.0, np.float32),
            sex=np.full(n_images, "female"),
            site=np.full(n_images, "back"),
            origin=origin,
        )

    return draw_predictions
