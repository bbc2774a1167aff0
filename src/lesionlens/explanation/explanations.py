"""What is explained, and what is found: plain arrays, one row for each image."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from torch import nn

from lesionlens.data.image import InputSpec
from lesionlens.data.index import Index, Record
from lesionlens.data.store import Store
from lesionlens.explanation.attribution import Explainer
from lesionlens.explanation.curves import area
from lesionlens.explanation.localisation import METRICS
from lesionlens.explanation.masks import MaskCount

SOURCES = ("predicted_class", "true_class", "random_weights", "centre", "other_image")
CONTROLS = SOURCES[2:]
CURVES = ("deletion", "insertion")
ORDERS = ("map", "random")


@dataclass(frozen=True)
class ExplainedModel:
    """What is explained.

    Attributes:
        network: in evaluation mode, on its device.
        explainer: bound to it.
        spec: how its pixels are prepared.
        controls: explainers of networks with random weights.
    """

    network: nn.Module
    explainer: Explainer
    spec: InputSpec
    controls: tuple[Explainer, ...] = ()


@dataclass(frozen=True)
class ExplainedImages:
    """The images of one split, and where they lie.

    Attributes:
        index: knows where the masks are.
        store: holds the pixels.
        records: of the images, N of them.
        labels: true class indices, (N,).
        lesion_ids: lesion of each image, (N,).
    """

    index: Index
    store: Store
    records: tuple[Record, ...]
    labels: np.ndarray
    lesion_ids: np.ndarray

    def __len__(self) -> int:
        return len(self.records)


@dataclass(frozen=True)
class Extent:
    """How much is measured, and how much of it at once.

    Attributes:
        images_per_pass: images in one batch, and most in the network at once.
        masks: whether agreement with lesion masks is measured.
        curve_images: images, drawn by seed, whose deletion and insertion curves are taken.
        curve_steps: steps of each curve.
        seed: of the order of images and of all draws.
    """

    images_per_pass: int = 32
    masks: bool = True
    curve_images: int = 200
    curve_steps: int = 10
    seed: int = 0


@dataclass
class Explanations:
    """What was found, in the order of the images.

    Attributes:
        logits: (N, K).
        classes: which classes the maps are of, (N, M).
        maps: raw, float32 (N, M, h, w).
        metrics: per source of `SOURCES` and metric of `FIGURES`, (N,); NaN where not measured.
        mask_share: (N,), NaN where there is no mask.
        curves: per curve of `CURVES` and order of `ORDERS`, (N, S + 1), NaN where not taken.
        masks: how many masks were used.
    """

    logits: np.ndarray
    classes: np.ndarray
    maps: np.ndarray
    metrics: dict[str, dict[str, np.ndarray]]
    mask_share: np.ndarray
    curves: dict[str, dict[str, np.ndarray]]
    masks: MaskCount = field(default_factory=MaskCount)

    @classmethod
    def blank(cls, n: int, n_classes: int, map_shape: tuple[int, ...], steps: int) -> Explanations:
        """Nothing found yet for `n` images, with maps of shape (M, h, w) and curves of `steps` steps."""
        return cls(
            logits=np.zeros((n, n_classes), np.float32),
            classes=np.zeros((n, map_shape[0]), np.int64),
            maps=np.zeros((n, *map_shape), np.float32),
            metrics={source: {name: np.full(n, np.nan) for name in METRICS} for source in SOURCES},
            mask_share=np.full(n, np.nan),
            curves={name: {order: np.full((n, steps + 1), np.nan) for order in ORDERS} for name in CURVES},
        )

    @property
    def predicted(self) -> np.ndarray:
        """Predicted class of each image, (N,)."""
        return np.asarray(self.logits.argmax(1))

    def areas(self, name: str, order: str) -> np.ndarray:
        """Areas under the curves `name` in `order`, (N,), NaN where not taken."""
        return area(self.curves[name][order])

    def map_of(self, row: int, chosen: int) -> np.ndarray | None:
        """The map (h, w) of class `chosen` for image `row`, or None if it was not drawn."""
        places = np.flatnonzero(self.classes[row] == chosen)
        return self.maps[row, places[0]] if len(places) else None

    def empty_maps(self) -> int:
        """How many maps of a predicted class are zero everywhere."""
        maps = (self.map_of(row, chosen) for row, chosen in enumerate(self.predicted))
        return sum(map_ is not None and not map_.any() for map_ in maps)
