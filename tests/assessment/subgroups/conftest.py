"""Random predictions whose images have ages, sexes and sites."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lesionlens.core.labels import HAM10000
from lesionlens.data.index import Index, Record
from lesionlens.evaluation.predictions import Origin, Predictions

Draw = Callable[..., tuple[Predictions, Index]]


@pytest.fixture
def draw() -> Draw:
    def draw_case(n_images: int = 700, skill: np.ndarray | float = 2.0, **columns: np.ndarray) -> tuple[Predictions, Index]:
        """Predictions and their index, two images of each lesion; `columns` are fields of the records."""
        rng = np.random.default_rng(0)
        labels = np.repeat(rng.integers(7, size=n_images // 2), 2)
        logits = rng.normal(size=(n_images, 7)) + np.broadcast_to(skill, n_images)[:, None] * np.eye(7)[labels]
        ids = [f"image_{n:04d}" for n in range(n_images)]
        lesions = [f"lesion_{n // 2:04d}" for n in range(n_images)]
        values = {"sex": np.full(n_images, ""), "site": np.full(n_images, ""), "age": np.full(n_images, np.nan), **columns}
        records = tuple(
            Record(
                ids[n],
                f"{ids[n]}.jpg",
                HAM10000.codes[labels[n]],
                lesions[n],
                **{name: (value.tolist()[n] if name != "age" else None) for name, value in values.items()},
            )
            for n in range(n_images)
        )
        predictions = Predictions(
            image_ids=np.array(ids),
            lesion_ids=np.array(lesions),
            labels=labels,
            logits=logits.astype(np.float32),
            label_set=HAM10000,
            age=values["age"].astype(np.float32),
            sex=values["sex"],
            site=values["site"],
            origin=Origin("drawn", 0, "lesion", False, 0.0, "test", hashes={"checkpoint": "c"}),
        )
        return predictions, Index(records, HAM10000, Path("/photos"), "drawn")

    return draw_case
