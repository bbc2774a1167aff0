"""Accuracy under corruption, beside that of the same images without it, with intervals by lesion.

The corruption error of Hendrycks & Dietterich (2019) is the error averaged over the five strengths; they divide it by that of
AlexNet. Here it stands beside the clean error of the same network, and is divided by that of another run only where one is given
(`against_reference`), on the same images.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lesionlens.assessment.resampling import Resampling
from lesionlens.assessment.robustness.corruptions import STRENGTHS, Corruption
from lesionlens.assessment.robustness.responses import Responses
from lesionlens.assessment.shares import proportion
from lesionlens.core.artifact import hash_value
from lesionlens.core.errors import DataError
from lesionlens.core.labels import LabelSet
from lesionlens.evaluation.intervals import Interval, bounds, lesion_weights
from lesionlens.evaluation.proportions import Lesions
from lesionlens.evaluation.ratio_intervals import too_few

CHUNK_ELEMENTS = 1 << 21
Rows = Mapping[str, np.ndarray]


class CorruptionTable:
    """Metrics of one network under every corruption and strength.

    Args:
        responses: of N images.
        labels: true classes, (N,).
        lesion_ids: lesion of each image, (N,).
        label_set: the diagnoses.
        resampling: of the intervals.
    """

    def __init__(
        self,
        responses: Responses,
        labels: np.ndarray,
        lesion_ids: np.ndarray,
        label_set: LabelSet,
        resampling: Resampling,
    ) -> None:
        self.corruptions, self.confidence = responses.corruptions, resampling.confidence
        self.labels, self.lesions, self.label_set = labels, Lesions.of(lesion_ids), label_set
        self.clean = responses.clean.argmax(1)
        self.predicted = responses.corrupted.argmax(3)  # (C, 5, N)
        flat = self.predicted.reshape(-1, len(labels))
        right = np.vstack([self.clean[None], flat]) == labels  # (1 + 5 C, N)
        self.points = _means(np.ones((1, len(labels))), right, labels)
        chunk_rows = max(1, CHUNK_ELEMENTS // max(len(labels), right.size // len(labels) * 8))
        drawn = lesion_weights(lesion_ids, resampling.resamples, resampling.seed, chunk_rows)
        chunks = [_means(weights, right, labels) for weights in drawn]
        self.resampled = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in self.points}

    def to_json(self) -> dict[str, Any]:
        """`clean`, `rows` with one entry for each corruption, and `mean` over the corruptions."""
        rows = [self._row(place, corruption) for place, corruption in enumerate(self.corruptions)]
        every = slice(1, None)
        return {"clean": self._cell(self.clean, 0), "rows": rows, "mean": self._errors(every) if rows else None}

    def _row(self, place: int, corruption: Corruption) -> dict[str, Any]:
        first = 1 + place * len(STRENGTHS)
        cells = [
            {"strength": strength, "value": value, **self._cell(self.predicted[place, number], first + number)}
            for number, (strength, value) in enumerate(zip(STRENGTHS, corruption.values, strict=True))
        ]
        facts = {"name": corruption.name, "title": corruption.title, "unit": corruption.unit}
        return {**facts, "strengths": cells, **self._errors(slice(first, first + len(STRENGTHS)))}

    def _cell(self, predicted: np.ndarray, column: int) -> dict[str, Any]:
        """Metrics of one corruption at one strength; `change` is from the clean images."""
        every, malignant = np.ones(len(self.labels), bool), np.array(self.label_set.malignant)
        intervals = {
            "accuracy": proportion(predicted == self.labels, every, self.lesions, "", self.confidence),
            "balanced_accuracy": self._bootstrapped("balanced_accuracy", lambda values: values[:, column]),
        }
        if malignant.any():
            truth = malignant[self.labels]
            hits = truth & malignant[predicted]
            intervals["malignant_sensitivity"] = proportion(hits, truth, self.lesions, "malignant", self.confidence)
        if column:
            intervals["changed"] = proportion(predicted != self.clean, every, self.lesions, "", self.confidence)
            for name in self.points:
                intervals[f"{name}_change"] = self._bootstrapped(name, lambda values: values[:, column] - values[:, 0])
        return {name: interval.to_json() for name, interval in intervals.items()}

    def _errors(self, columns: slice) -> dict[str, Any]:
        """Mean corruption error over some columns, and how far it is above the clean error; each also for recalls alike."""
        errors = {}
        for name, key in (("accuracy", "error"), ("balanced_accuracy", "balanced_error")):
            errors[key] = self._bootstrapped(name, lambda values: 1 - values[:, columns].mean(1))
            errors[f"{key}_above_clean"] = self._bootstrapped(name, lambda values: values[:, 0] - values[:, columns].mean(1))
        return {name: interval.to_json() for name, interval in errors.items()}

    def _bootstrapped(self, name: str, of: Any) -> Interval:
        """Something of the columns of a metric, with its percentiles over the resamples."""
        value = float(of(self.points[name])[0])
        if reason := too_few(len(self.lesions)):
            return Interval(value, np.nan, np.nan, "", reason)
        low, high = bounds(of(self.resampled[name]), self.confidence)
        return Interval(value, float(low), float(high), "lesion-bootstrap")


def _means(weights: np.ndarray, right: np.ndarray, labels: np.ndarray) -> Rows:
    """Accuracy and balanced accuracy of each column, (B, M), for weights (B, N) and hits (M, N).

    A diagnosis without weight is left out of the mean of recalls.
    """
    hits = right.T.astype(np.float64)
    recalls = []
    for place in np.unique(labels):
        rows = np.flatnonzero(labels == place)
        total = weights[:, rows].sum(1, keepdims=True)
        recalls.append(
            np.divide(weights[:, rows] @ hits[rows], total, out=np.full((len(weights), len(right)), np.nan), where=total > 0)
        )
    return {
        "accuracy": weights @ hits / weights.sum(1, keepdims=True),
        "balanced_accuracy": np.nanmean(np.stack(recalls), axis=0),
    }


def images_hash(image_ids: tuple[str, ...], seed: int) -> str:
    """What two stress tests must share to be compared: the images and what is drawn on them."""
    return hash_value([sorted(image_ids), seed])


def against_reference(table: Mapping[str, Any], own_images: str, reference: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Corruption errors divided by those of another network on the same images, as Hendrycks & Dietterich do.

    Args:
        table: of `CorruptionTable.to_json`.
        own_images: `images_hash` of this stress test.
        reference: content of the other run's robustness.json.
        where: its path, for errors.

    Returns:
        `rows` with `ratio` and `relative_ratio` (of the errors above clean; None where the reference loses nothing) by
        corruption, and their means `mce` and `relative_mce`.

    Raises:
        DataError: if it is no such result, or of other images, or lacks a corruption.
    """
    try:
        other = reference["corruptions"]
        images, rows = other["images_hash"], {row["name"]: row for row in other["rows"]}
    except (KeyError, TypeError) as error:
        raise DataError(f"{where} holds no corruption table ({error!r}); make it with: lesionlens stress CHECKPOINT") from error
    missing = [row["name"] for row in table["rows"] if row["name"] not in rows]
    if images != own_images or missing:
        what = "other images or another seed" if images != own_images else f"no corruption {missing[0]!r}"
        raise DataError(f"{where} has {what}; corruption errors are compared on the same images. Make both with the same options")
    ratios = [_ratios(row, rows[row["name"]]) for row in table["rows"]]
    relative = [row["relative_ratio"] for row in ratios if row["relative_ratio"] is not None]
    return {
        "rows": ratios,
        "mce": _mean([row["ratio"] for row in ratios if row["ratio"] is not None]),
        "relative_mce": _mean(relative),
        "n_relative": len(relative),
    }


def _ratios(row: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    keys = {"ratio": "error", "relative_ratio": "error_above_clean"}
    return {
        "name": row["name"],
        **{name: row[key]["value"] / other[key]["value"] if other[key]["value"] > 0 else None for name, key in keys.items()},
    }


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
