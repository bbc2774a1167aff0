"""Summarise explanations as metrics with intervals, together with those of chance and controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lesionlens.core.labels import LabelSet
from lesionlens.evaluation.intervals import intervals_of, lesion_weights
from lesionlens.explanation.explanations import CONTROLS, CURVES, Explanations
from lesionlens.explanation.localisation import METRICS

CHUNK_ELEMENTS = 1 << 20


def mean_intervals(
    values: dict[str, np.ndarray], lesion_ids: np.ndarray, resamples: int = 2000, confidence: float = 0.95, seed: int = 0
) -> dict[str, dict[str, float | None]]:
    """Means over images with bootstrap intervals by lesion.

    Args:
        values: one value for each image by name, (N,); NaN where it is missing.
        lesion_ids: lesion of each image, (N,).
        resamples: bootstrap resamples over lesions.
        confidence: level of the intervals, in (0, 1).
        seed: seed of the resamples.

    Returns:
        `value`, `low` and `high` by name; None where no image has a value, and for the bounds if there are
        fewer than two lesions.
    """
    stacked = np.stack(list(values.values()), axis=1)  # (N, F)
    defined = ~np.isnan(stacked)
    rows = defined.any(1)
    stacked, defined, lesion_ids = np.where(defined, stacked, 0.0)[rows], defined[rows], lesion_ids[rows]

    def means(weights: np.ndarray) -> np.ndarray:
        total, count = weights @ stacked, weights @ defined
        return np.asarray(np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0))

    chunk = max(1, CHUNK_ELEMENTS // max(1, len(lesion_ids)))
    if len(np.unique(lesion_ids)) > 1:
        resampled = np.concatenate([means(weights) for weights in lesion_weights(lesion_ids, resamples, seed, chunk)])
    else:
        resampled = np.full((1, len(values)), np.nan)
    points = means(np.ones((1, len(lesion_ids))))
    intervals = intervals_of(
        {name: points[:, column] for column, name in enumerate(values)},
        {name: resampled[:, column] for column, name in enumerate(values)},
        confidence,
    )
    return {name: of_classes[0].to_json() for name, of_classes in intervals.items()}


@dataclass(frozen=True, eq=False)
class Summary:
    """Metrics of subsets of one split, all with the same number of resamples.

    Attributes:
        explanations: maps and measurements of the split.
        labels: true class indices, (N,).
        lesion_ids: lesion of each image, (N,).
        resamples: bootstrap resamples over lesions.
        confidence: level of the intervals.
    """

    explanations: Explanations
    labels: np.ndarray
    lesion_ids: np.ndarray
    resamples: int = 2000
    confidence: float = 0.95

    def means(self, values: dict[str, np.ndarray], rows: np.ndarray | None = None) -> dict[str, Any]:
        """Means with intervals over `rows` (bool (N,), all if None)."""
        rows = np.ones(len(self.labels), bool) if rows is None else rows
        selection = {name: each[rows] for name, each in values.items()}
        return mean_intervals(selection, self.lesion_ids[rows], self.resamples, self.confidence)

    def localisation_of(self, source: str, rows: np.ndarray | None = None) -> dict[str, Any]:
        """Localisation metrics of one source over `rows`, with the number of images and the level of chance."""
        available = ~np.isnan(self.explanations.metrics[source][METRICS[0]])
        rows = available if rows is None else rows & available
        values = {**self.explanations.metrics[source], "chance": self.explanations.mask_share}
        return {"n": int(rows.sum()), **self.means(values, rows)}

    def improvement_over(self, source: str) -> dict[str, Any]:
        """Paired differences between the maps of the predicted class and a control, or `chance`."""
        ours, others = self.explanations.metrics["predicted_class"], self.explanations.metrics.get(source)
        return self.means({name: ours[name] - (others[name] if others else self.explanations.mask_share) for name in METRICS})

    def localisation(self, labels: LabelSet) -> dict[str, Any]:
        """All metrics of agreement with the masks, by their names in JSON."""
        right = self.explanations.predicted == self.labels
        return {
            "metrics": self.localisation_of("predicted_class"),
            "true_class": self.localisation_of("true_class"),
            "correct": self.localisation_of("predicted_class", right),
            "wrong": self.localisation_of("predicted_class", ~right),
            "per_class": {code: self.localisation_of("predicted_class", self.labels == c) for c, code in enumerate(labels.codes)},
            "controls": {source: self.localisation_of(source) for source in CONTROLS},
            "above": {source: self.improvement_over(source) for source in (*CONTROLS, "chance")},
        }

    def curves(self) -> dict[str, Any]:
        """Deletion and insertion: areas in both orders, their paired gain, and the mean curves, by their names in JSON."""
        summary: dict[str, Any] = {}
        for name in CURVES:
            ours, random = (self.explanations.areas(name, order) for order in ("map", "random"))
            gain = random - ours if name == "deletion" else ours - random  # above 0 if better than a random order
            rows = ~np.isnan(ours)
            summary["n"], summary["steps"] = int(rows.sum()), self.explanations.curves[name]["map"].shape[1] - 1
            summary[name] = {
                **self.means({"area": ours, "random_order_area": random, "gain": gain}, rows),
                "curve": _mean_curve(self.explanations.curves[name]["map"][rows]),
                "random_order_curve": _mean_curve(self.explanations.curves[name]["random"][rows]),
            }
        return summary


def _mean_curve(rows: np.ndarray) -> Sequence[float]:
    return [float(value) for value in rows.mean(0)] if len(rows) else []
