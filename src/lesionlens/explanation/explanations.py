"""The explained network and images, and their explanations as plain arrays, one row for each image."""

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
    """A network, its explainer and its controls.

    Attributes:
        network: in evaluation mode, on its device.
        explainer: the explainer bound to it.
        spec: how its images are prepared.
        controls: explainers of networks with random weights.
    """

    network: nn.Module
    explainer: Explainer
    spec: InputSpec
    controls: tuple[Explainer, ...] = ()


@dataclass(frozen=True)
class ExplainedImages:
    """Images to explain.

    Attributes:
        index: index with the paths of the masks.
        store: store with the pixels.
        records: the N images.
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


@dataclass
class Explanations:
    """Maps and measurements, in the order of the images.

    Attributes:
        logits: (N, K).
        classes: the explained classes, (N, M).
        maps: raw maps, float32 (N, M, h, w).
        metrics: per source of `SOURCES` and metric of `METRICS`, (N,); NaN where not measured.
        mask_share: share of the image that its mask covers, (N,); NaN where there is no mask.
        curves: per curve of `CURVES` and order of `ORDERS`, (N, S + 1), NaN where not measured.
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
        """Empty explanations of `n` images, with maps of shape (M, h, w) and curves of `steps` steps."""
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
        """Areas under the curves `name` in `order`, (N,), NaN where not measured."""
        return area(self.curves[name][order])

    def map_of(self, row: int, class_: int) -> np.ndarray | None:
        """The map (h, w) of class `class_` for image `row`, or None if there is none."""
        places = np.flatnonzero(self.classes[row] == class_)
        return self.maps[row, places[0]] if len(places) else None

    def empty_maps(self) -> int:
        """Number of maps of a predicted class that are zero everywhere."""
        maps = (self.map_of(row, class_) for row, class_ in enumerate(self.predicted))
        return sum(map_ is not None and not map_.any() for map_ in maps)
