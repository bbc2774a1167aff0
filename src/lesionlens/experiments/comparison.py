"""Rows of a grid: pooled over seeds and folds, and compared with the first row, paired by seed and lesion."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from scipy.special import stdtr, stdtrit

from lesionlens.core.recipe import EvaluationRecipe
from lesionlens.evaluation.compare import compare
from lesionlens.evaluation.metric_intervals import metric_intervals
from lesionlens.evaluation.multiplicity import NO_TEST, Hypotheses, holm
from lesionlens.evaluation.pooling import METRICS, pool
from lesionlens.evaluation.predictions import Predictions
from lesionlens.evaluation.weighted_metrics import OVERALL, WeightedMetrics

METHOD = (
    "the difference of each seed is paired by lesion (MOVER); with several seeds its sampling variance is the mean of theirs, "
    "plus the variance between the differences of the seeds divided by their number, with Student's quantile and the degrees "
    "of freedom of Satterthwaite (1946); as all seeds share the test images, this is slightly conservative"
)
TESTED = tuple(name for name in OVERALL if name not in NO_TEST)


def estimates(runs: Sequence[Predictions], recipe: EvaluationRecipe) -> dict[str, dict[str, Any]]:
    """Every overall metric of a row, over all its runs.

    Args:
        runs: one or more runs of the row: complete repetitions over all folds.
        recipe: level of the intervals and resamples.

    Returns:
        By metric the fields of `pooling.PooledMetric`, JSON-ready.

    Raises:
        DataError: if the runs cannot be pooled, see `pooling.pool`.
    """
    if len(runs) > 1:
        metrics: dict[str, dict[str, Any]] = pool(runs, recipe.confidence, recipe.resamples)["metrics"]
        return metrics
    (run,) = runs
    cases = WeightedMetrics.of(run.logits, run.labels)
    intervals = metric_intervals(cases, run.lesion_ids, recipe.resamples, recipe.confidence)
    quantile = NormalDist().inv_cdf((1 + recipe.confidence) / 2)
    return {
        name: {
            **_numbers(value=each.value, low=each.low, high=each.high, sampling_sd=(each.high - each.low) / (2 * quantile)),
            "training_sd": None,
            "values": [_number(each.value)],
        }
        for name in METRICS
        for each in intervals[name]
    }


def row_differences(
    row: Mapping[int, Predictions], first: Mapping[int, Predictions], hypotheses: Hypotheses, recipe: EvaluationRecipe
) -> dict[str, dict[str, Any]]:
    """Differences of a row from the first one (row minus first), by metric.

    Args:
        row: complete repetitions of the row by seed; see `pooling.repetitions_of`.
        first: of the first row.
        hypotheses: what is tested.
        recipe: level of the intervals and resamples.

    Returns:
        By metric `difference low high p sampling_sd training_sd values seeds`, or `difference` and a `reason`.

    Raises:
        DataError: if the two rows do not share a seed, or predict different images.
    """
    seeds = sorted(row.keys() & first.keys())
    pairs = [
        compare(row[seed], first[seed], recipe.resamples, recipe.confidence, hypotheses=hypotheses)["metrics"] for seed in seeds
    ]
    return {name: {**_pooled_difference([pair[name] for pair in pairs], recipe.confidence), "seeds": seeds} for name in TESTED}


def _pooled_difference(pairs: Sequence[Mapping[str, Any]], confidence: float) -> dict[str, Any]:
    values = np.array([_float(pair["difference"]) for pair in pairs])
    mean = float(values.mean())
    reason = next((pair["reason"] for pair in pairs if pair.get("reason")), "")
    if any(pair["low"] is None for pair in pairs):
        return {**_numbers(difference=mean), "low": None, "high": None, "p": None, "reason": reason, "values": values.tolist()}
    quantile = NormalDist().inv_cdf((1 + confidence) / 2)
    sampling = float(np.mean([((pair["high"] - pair["low"]) / (2 * quantile)) ** 2 for pair in pairs]))
    if len(pairs) == 1:
        (only,) = pairs
        ends = {key: only[key] for key in ("low", "high", "p")}
        return {"difference": mean, **ends, "sampling_sd": math.sqrt(sampling), "training_sd": None, "values": values.tolist()}
    training = float(values.var(ddof=1))
    half, p = interval_of_mean(mean, sampling, training, len(pairs), confidence)
    return {
        "difference": mean,
        "low": mean - half,
        "high": mean + half,
        "p": p,
        "sampling_sd": math.sqrt(sampling),
        "training_sd": math.sqrt(training),
        "values": values.tolist(),
    }


def interval_of_mean(mean: float, sampling: float, training: float, count: int, confidence: float) -> tuple[float, float]:
    """Half width of the interval of a mean difference over seeds, and the two-sided p of 0.

    Args:
        mean: of the differences.
        sampling: variance because of the lesions that were sampled, which all seeds share.
        training: variance between the seeds.
        count: number of seeds, at least 2.
        confidence: level, in (0, 1).
    """
    added = training / count
    variance = sampling + added
    if variance == 0:
        return 0.0, 1.0 if mean == 0 else 0.0
    if added == 0:
        normal = NormalDist()
        return normal.inv_cdf((1 + confidence) / 2) * math.sqrt(variance), 2 * normal.cdf(-abs(mean) / math.sqrt(variance))
    freedom = (count - 1) * (variance / added) ** 2
    half = float(stdtrit(freedom, (1 + confidence) / 2)) * math.sqrt(variance)
    return half, 2 * float(stdtr(freedom, -abs(mean) / math.sqrt(variance)))


def adjusted(differences: Sequence[Mapping[str, Mapping[str, Any]]], hypotheses: Hypotheses) -> list[dict[str, float | None]]:
    """Holm's adjusted p values: of the primary metric over all rows, of the family over all rows and its metrics.

    Args:
        differences: of each row but the first; an empty one could not be compared and still counts.
        hypotheses: primary metric and family.

    Returns:
        For each row the adjusted p by metric; None where there is no p.
    """
    result: list[dict[str, float | None]] = [{} for _ in differences]
    for metrics in ((hypotheses.primary,), hypotheses.family):
        places = [(number, name) for number in range(len(differences)) for name in metrics]
        values = holm([differences[number].get(name, {}).get("p") for number, name in places])
        for (number, name), value in zip(places, values, strict=True):
            result[number][name] = value
    return result


def _numbers(**values: float) -> dict[str, float | None]:
    return {name: _number(value) for name, value in values.items()}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _float(value: float | None) -> float:
    return math.nan if value is None else value
