"""Confidence intervals from a bootstrap over lesions, not images.

Images of one lesion resemble each other, so a bootstrap over images would make intervals too
narrow. The method is the cluster bootstrap (Davison & Hinkley 1997, section 3.8). Its percentile
intervals have inherent limits: a metric that is the same in every resample (recall of a class
without errors) gets an interval of zero width, the calibration error of a resample is biased
upwards, and intervals of rare diagnoses are too narrow. They serve differences and means over images; the metrics
themselves have the intervals of `metric_intervals`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lesionlens.core.errors import DataError
from lesionlens.core.seeds import generator
from lesionlens.evaluation.proportions import Lesions
from lesionlens.evaluation.weighted_metrics import WeightedMetrics

CHUNK_ELEMENTS = 1 << 19


@dataclass(frozen=True)
class Interval:
    """A metric with its interval; all three are NaN if the metric is undefined.

    Attributes:
        value: the metric over all cases.
        low: lower bound; NaN if there is no interval.
        high: upper bound, likewise.
        method: a key of `metric_intervals.METHODS`; empty if there is no interval.
        reason: why there is none.
        details: further numbers by name: `count` and `of` of a proportion, `plain` and `p` of the calibration error.
    """

    value: float
    low: float
    high: float
    method: str = ""
    reason: str = ""
    details: Mapping[str, float | None] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Keys `value`, `low`, `high`, None in place of NaN; `method` or `reason`, and the details, where there are any."""
        numbers = (("value", self.value), ("low", self.low), ("high", self.high))
        texts = (("method", self.method), ("reason", self.reason))
        return {
            **{name: None if np.isnan(number) else float(number) for name, number in numbers},
            **{name: text for name, text in texts if text},
            **self.details,
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


def bootstrap_t(
    values: np.ndarray, lesions: Lesions, resamples: int = 2000, confidence: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Interval of the mean over images of positive values, by a studentised bootstrap on the log scale.

    Davison & Hinkley 1997, section 5.2: the resampled means are divided by their own standard errors, so that a skewed
    sample (a few images with a large loss) does not make the upper bound too low.

    Args:
        values: one for each image, at least 0, (N,).
        lesions: lesions of the images.
        resamples: number of resamples.
        confidence: level, in (0, 1).
        seed: of the draws.

    Returns:
        Lower and upper bound; NaN with fewer than two lesions, or if the values do not differ between lesions.
    """
    totals, sizes = lesions.totals(values), lesions.totals(np.ones(len(values)))
    (log_mean,), (error,) = _log_means(np.ones((1, len(lesions))), totals, sizes)
    if not np.isfinite(log_mean) or not error > 0:
        return np.nan, np.nan
    chunk_rows = max(1, CHUNK_ELEMENTS // len(lesions))
    ratios = []
    for weights in lesion_weights(np.arange(len(lesions)), resamples, seed, chunk_rows):
        log_means, errors = _log_means(weights, totals, sizes)
        defined = np.isfinite(log_means) & (errors > 0)
        ratios.append((log_means[defined] - log_mean) / errors[defined])
    tail, defined_ratios = (1 - confidence) / 2, np.concatenate(ratios)
    if not len(defined_ratios):  # values that differ by rounding alone
        return np.nan, np.nan
    smallest, largest = np.quantile(defined_ratios, (tail, 1 - tail))
    return float(np.exp(log_mean - largest * error)), float(np.exp(log_mean - smallest * error))


def _log_means(weights: np.ndarray, totals: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logarithm of the weighted mean, (B,), and its standard error by lesion, for weights (B, L)."""
    images = weights @ sizes
    means = weights @ totals / images
    squares = weights @ totals**2 - 2 * means * (weights @ (totals * sizes)) + means**2 * (weights @ sizes**2)
    errors = np.sqrt(np.maximum(squares, 0)) / images
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(means), errors / means
