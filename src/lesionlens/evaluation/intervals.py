"""Confidence intervals from a bootstrap over lesions, not images.

Images of one lesion resemble each other, so a bootstrap over images would make intervals too
narrow. The method is the cluster bootstrap (Davison & Hinkley 1997, section 3.8) with percentile
intervals. It has two inherent limits: a metric that is the same in every resample (recall of a class
without errors) gets an interval of zero width, and the calibration error of a resample is biased
upwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lesionlens.core.errors import DataError
from lesionlens.core.seeds import generator
from lesionlens.evaluation.weighted_metrics import WeightedMetrics

CHUNK_ELEMENTS = 1 << 19


@dataclass(frozen=True)
class Interval:
    """A metric with its interval; all three are NaN if the metric is undefined.

    Attributes:
        value: the metric over all cases.
        low: lower bound; NaN if there are fewer than two lesions to draw.
        high: upper bound, likewise.
    """

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float | None]:
        """Keys `value`, `low`, `high`; None in place of NaN."""
        return {
            name: None if np.isnan(number) else float(number)
            for name, number in (("value", self.value), ("low", self.low), ("high", self.high))
        }


def lesion_weights(lesion_ids: np.ndarray, resamples: int, seed: int, chunk_rows: int) -> Iterator[np.ndarray]:
    """Weight of each image in each resample; the draws depend neither on `chunk_rows` nor on the order of images.

    Args:
        lesion_ids: lesion (or any group) of each image, (N,).
        resamples: number of resamples.
        seed: the same seed draws the same lesions.
        chunk_rows: resamples in one array.

    Yields:
        Integers as float, (<= chunk_rows, N).
    """
    names, member = np.unique(lesion_ids, return_inverse=True)
    n_lesions, random = len(names), generator("bootstrap", seed)
    for start in range(0, resamples, chunk_rows):
        rows = min(chunk_rows, resamples - start)
        drawn = random.integers(n_lesions, size=(rows, n_lesions)) + n_lesions * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * n_lesions).reshape(rows, n_lesions)
        yield counts[:, member].astype(np.float64)


def resample_metrics(
    cases: Sequence[WeightedMetrics], lesion_ids: np.ndarray, resamples: int = 2000, seed: int = 0
) -> list[dict[str, np.ndarray]]:
    """Metrics of every resample, the same resamples for each of `cases`, so differences are paired.

    Args:
        cases: one or more sets of predictions for the same images in the same order.
        lesion_ids: lesion of each image, (N,).
        resamples: number of resamples.
        seed: of the draws.

    Returns:
        For each of `cases` the result of `WeightedMetrics.metrics`, with B = resamples.

    Raises:
        DataError: if the numbers of images differ.
    """
    for each in cases:
        if len(each) != len(lesion_ids):
            raise DataError(f"{len(each)} predictions for {len(lesion_ids)} lesion ids; there must be one for each image")
    chunk_rows = max(1, CHUNK_ELEMENTS // max(len(lesion_ids), cases[0].n_classes ** 2))
    chunks: list[list[dict[str, np.ndarray]]] = [[] for _ in cases]
    for weights in lesion_weights(lesion_ids, resamples, seed, chunk_rows):
        for results, each in zip(chunks, cases, strict=True):
            results.append(each.metrics(weights))
    return [{name: np.concatenate([chunk[name] for chunk in results]) for name in results[0]} for results in chunks]


def bounds(resampled: np.ndarray, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Percentile bounds of resampled metrics (B,) or (B, K) along the first axis.

    Resamples in which a metric is undefined are left out; NaN where all are.
    """
    columns = resampled.reshape(len(resampled), -1).T
    tail = (1 - confidence) / 2
    defined = [column[~np.isnan(column)] for column in columns]
    pairs = np.array([np.quantile(column, (tail, 1 - tail)) if len(column) else (np.nan, np.nan) for column in defined])
    return pairs[:, 0].reshape(resampled.shape[1:]), pairs[:, 1].reshape(resampled.shape[1:])


def intervals_of(
    values: dict[str, np.ndarray], resampled: dict[str, np.ndarray], confidence: float = 0.95
) -> dict[str, tuple[Interval, ...]]:
    """Join point values with the bounds of their resamples.

    Args:
        values: name to (1,) or (1, K), as `WeightedMetrics.metrics` gives for one weighting.
        resampled: name to (B,) or (B, K).
        confidence: level, in (0, 1).

    Returns:
        Name to one interval, or K of them.
    """
    joined = {}
    for name, value in values.items():
        low, high = (np.atleast_1d(bound) for bound in bounds(resampled[name], confidence))
        points = value.reshape(-1)
        joined[name] = tuple(
            Interval(float(point), *((np.nan, np.nan) if np.isnan(point) else (float(a), float(b))))
            for point, a, b in zip(points, low, high, strict=True)
        )
    return joined


def lesion_bootstrap(
    cases: WeightedMetrics, lesion_ids: np.ndarray, resamples: int = 2000, confidence: float = 0.95, seed: int = 0
) -> dict[str, tuple[Interval, ...]]:
    """Every metric of `cases` with its interval: one for an overall metric, K for a per-class metric.

    Args:
        cases: the predictions.
        lesion_ids: lesion of each image, (N,).
        resamples: number of resamples.
        confidence: level, in (0, 1).
        seed: of the draws.

    Raises:
        DataError: if the numbers of images differ.
    """
    (resampled,) = resample_metrics([cases], lesion_ids, resamples, seed)
    if len(np.unique(lesion_ids)) < 2:
        resampled = {name: np.full_like(array, np.nan) for name, array in resampled.items()}
    return intervals_of(cases.metrics(), resampled, confidence)
