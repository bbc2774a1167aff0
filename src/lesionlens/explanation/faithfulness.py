"""Explanations become metrics with intervals: where the network looked, beside what chance and controls score."""

from __future__ import annotations

from collections.abc import Sequence
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
    """Means over images with intervals by lesion.

    Args:
        values: name to one value for each image, (N,); NaN where there is none.
        lesion_ids: lesion of each image, (N,).
        resamples: bootstrap resamples over lesions.
        confidence: level, in (0, 1).
        seed: of the resamples.

    Returns:
        Name to `value`, `low`, `high`; None where no image has a value, and for the bounds of fewer
        than two lesions.
    """
    stacked = np.stack(list(values.values()), axis=1)  # (N, F)
    defined = ~np.isnan(stacked)
    rows = defined.any(1)
    stacked, defined, lesion_ids = np.where(defined, stacked, 0.0)[rows], defined[rows], lesion_ids[rows]

    def means(weights: np.ndarray) -> np.ndarray:
        total, count = weights @ stacked, weights @ defined
        return np.asarray(np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0))

    chunk = max(1, CHUNK_ELEMENTS // max(1, len(lesion_ids)))
    several = len(np.unique(lesion_ids)) > 1
    drawn = [means(weights) for weights in lesion_weights(lesion_ids, resamples, seed, chunk)] if several else []
    resampled = np.concatenate(drawn) if drawn else np.full((1, len(values)), np.nan)
    points = means(np.ones((1, len(lesion_ids))))
    joined = intervals_of(
        {name: points[:, column] for column, name in enumerate(values)},
        {name: resampled[:, column] for column, name in enumerate(values)},
        confidence,
    )
    return {name: intervals[0].to_json() for name, intervals in joined.items()}


class Summary:
    """Metrics of subsets of one split, all from the same number of resamples.

    Args:
        explanations: what was found.
        labels: true class indices, (N,).
        lesion_ids: lesion of each image, (N,).
        resamples: bootstrap resamples over lesions.
        confidence: level of the intervals.
    """

    def __init__(
        self,
        explanations: Explanations,
        labels: np.ndarray,
        lesion_ids: np.ndarray,
        resamples: int = 2000,
        confidence: float = 0.95,
    ) -> None:
        self.explanations = explanations
        self.labels = labels
        self.lesion_ids = lesion_ids
        self.resamples = resamples
        self.confidence = confidence

    def means(self, values: dict[str, np.ndarray], rows: np.ndarray | None = None) -> dict[str, Any]:
        """Means with intervals over the chosen rows (bool (N,), all if None)."""
        rows = np.ones(len(self.labels), bool) if rows is None else rows
        chosen = {name: each[rows] for name, each in values.items()}
        return mean_intervals(chosen, self.lesion_ids[rows], self.resamples, self.confidence)

    def located(self, source: str, rows: np.ndarray | None = None) -> dict[str, Any]:
        """Localisation of one source's maps over the chosen rows, with its number of images and the level of chance."""
        measured = ~np.isnan(self.explanations.metrics[source][METRICS[0]])
        rows = measured if rows is None else rows & measured
        values = {**self.explanations.metrics[source], "chance": self.explanations.mask_share}
        return {"n": int(rows.sum()), **self.means(values, rows)}

    def above(self, source: str) -> dict[str, Any]:
        """How far the predicted class's maps are above a control, or above `chance`: paired differences."""
        ours, others = self.explanations.metrics["predicted_class"], self.explanations.metrics.get(source)
        return self.means({name: ours[name] - (others[name] if others else self.explanations.mask_share) for name in METRICS})

    def localisation(self, labels: LabelSet) -> dict[str, Any]:
        """Everything about agreement with the masks, JSON-ready."""
        right = self.explanations.predicted == self.labels
        return {
            "metrics": self.located("predicted_class"),
            "true_class": self.located("true_class"),
            "correct": self.located("predicted_class", right),
            "wrong": self.located("predicted_class", ~right),
            "per_class": {code: self.located("predicted_class", self.labels == c) for c, code in enumerate(labels.codes)},
            "controls": {source: self.located(source) for source in CONTROLS},
            "above": {source: self.above(source) for source in (*CONTROLS, "chance")},
        }

    def curves(self) -> dict[str, Any]:
        """Deletion and insertion: areas, the same in random order, the paired gain, and the mean curves, JSON-ready."""
        found: dict[str, Any] = {}
        for name in CURVES:
            ours, random = (self.explanations.areas(name, order) for order in ("map", "random"))
            gain = random - ours if name == "deletion" else ours - random  # above 0: better than a random order
            rows = ~np.isnan(ours)
            found["n"], found["steps"] = int(rows.sum()), self.explanations.curves[name]["map"].shape[1] - 1
            found[name] = {
                **self.means({"area": ours, "random_order_area": random, "gain": gain}, rows),
                "curve": _mean_curve(self.explanations.curves[name]["map"][rows]),
                "random_order_curve": _mean_curve(self.explanations.curves[name]["random"][rows]),
            }
        return found


def _mean_curve(rows: np.ndarray) -> Sequence[float]:
    return [float(value) for value in rows.mean(0)] if len(rows) else []
