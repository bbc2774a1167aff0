"""Several runs of one recipe (seeds, folds) as one estimate, with the variance that training adds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from scipy.special import stdtrit

from lesionlens.core.errors import DataError
from lesionlens.evaluation.compare import align
from lesionlens.evaluation.metric_intervals import metric_intervals
from lesionlens.evaluation.predictions import TEXTS, Predictions
from lesionlens.evaluation.weighted_metrics import OVERALL, WeightedMetrics

METHOD = (
    "sampling variance by lesion of the mean of the repetitions, plus the variance between repetitions divided by their number; "
    "Student's quantile with the degrees of freedom of Satterthwaite (1946)"
)
METRICS = tuple(name for name in OVERALL if name != "ece")


@dataclass(frozen=True)
class PooledMetric:
    """A metric of a recipe, over repetitions of its training.

    Attributes:
        value: mean over the repetitions.
        low: lower bound for the recipe's expected metric.
        high: upper bound.
        sampling_sd: standard deviation because of the lesions that were sampled.
        training_sd: standard deviation from one training to the next; NaN with one repetition.
        values: of each repetition.
    """

    value: float
    low: float
    high: float
    sampling_sd: float
    training_sd: float
    values: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """All attributes; None in place of NaN."""
        numbers = {name: number for name, number in dataclasses.asdict(self).items() if name != "values"}
        return {
            **{name: None if math.isnan(number) else number for name, number in numbers.items()},
            "values": [None if math.isnan(number) else number for number in self.values],
        }


def pool(runs: Sequence[Predictions], confidence: float = 0.95, resamples: int = 2000) -> dict[str, Any]:
    """One estimate from several runs of a recipe.

    Runs on the same images are repetitions (seeds). Runs on disjoint images are folds: together they predict every image
    once, by a network that did not train on it. Both may occur together: every fold then needs as many seeds. The variance
    that training adds is that between repetitions, each complete over all folds.

    Args:
        runs: two or more, with the same diagnoses.
        confidence: level of the intervals, in (0, 1).
        resamples: of the bootstrap of single runs.

    Returns:
        JSON-ready: `n_runs n_folds n_repetitions n_images n_lesions confidence method`, `names`, `seeds`, and
        `metrics`: for each overall metric but `ece` the fields of `PooledMetric`.

    Raises:
        DataError: if there are fewer than two runs, they overlap in part, folds have unequal numbers of seeds, or labels differ.
    """
    folds = folds_of(runs)
    aligned = repetitions_of(runs)
    first = aligned[0]
    intervals = [_overall(each, confidence, resamples) for each in aligned]
    return {
        "n_runs": len(runs),
        "n_folds": len(folds),
        "n_repetitions": len(aligned),
        "n_images": len(first),
        "n_lesions": len(np.unique(first.lesion_ids)),
        "confidence": confidence,
        "method": METHOD,
        "names": sorted({run.origin.name for run in runs}),
        "seeds": [run.origin.seed for run in runs],
        "metrics": {name: _pooled([each[name] for each in intervals], confidence).to_json() for name in METRICS},
    }


def repetitions_of(runs: Sequence[Predictions]) -> list[Predictions]:
    """Complete repetitions of a recipe, one for each seed: its folds joined, and all on the same images in the same order.

    Raises:
        DataError: see `pool`.
    """
    folds = folds_of(runs)
    repetitions = [_joined([fold[number] for fold in folds]) for number in range(len(folds[0]))]
    first = repetitions[0]
    return [first, *(align(first, other) for other in repetitions[1:])]


def folds_of(runs: Sequence[Predictions]) -> list[list[Predictions]]:
    """Group runs by the images they predict: one list of repetitions for each fold.

    Raises:
        DataError: see `pool`.
    """
    if len(runs) < 2:
        raise DataError(f"{len(runs)} run cannot be pooled; give two or more runs of one recipe")
    groups: dict[frozenset[str], list[Predictions]] = {}
    for run in runs:
        if run.codes != runs[0].codes:
            raise DataError(f"diagnoses differ: {' '.join(runs[0].codes)} against {' '.join(run.codes)}; they must be the same")
        groups.setdefault(frozenset(run.image_ids.tolist()), []).append(run)
    seen: set[str] = set()
    for images in groups:
        shared = seen & images
        if shared:
            raise DataError(
                f"{len(shared)} images ({min(shared)}) are in two runs whose images differ otherwise; "
                "runs must predict the same images (seeds) or disjoint ones (folds)"
            )
        seen |= images
    counts = [len(group) for group in groups.values()]
    if len(set(counts)) > 1:
        raise DataError(f"folds have {', '.join(map(str, counts))} runs; each fold needs the same number of seeds")
    return [sorted(group, key=lambda run: run.origin.seed) for group in groups.values()]


def _joined(folds: Sequence[Predictions]) -> Predictions:
    if len(folds) == 1:
        return folds[0]
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(fold, name) for fold in folds]) for name in (*TEXTS, "labels", "logits", "age")
    }
    return dataclasses.replace(folds[0], **arrays)


@dataclass(frozen=True)
class _Estimate:
    value: float
    half: float  # of its interval: mean of both sides


def _overall(predictions: Predictions, confidence: float, resamples: int) -> dict[str, _Estimate]:
    cases = WeightedMetrics.of(predictions.logits, predictions.labels)
    found = metric_intervals(cases, predictions.lesion_ids, resamples, confidence)
    return {name: _Estimate(found[name][0].value, (found[name][0].high - found[name][0].low) / 2) for name in METRICS}


def _pooled(estimates: Sequence[_Estimate], confidence: float) -> PooledMetric:
    """Pool repetitions on the same images; the sampling variance is the mean of theirs, as their errors are shared."""
    values = np.array([each.value for each in estimates])
    quantile = NormalDist().inv_cdf((1 + confidence) / 2)
    sampling = float(np.mean(np.square([each.half / quantile for each in estimates])))
    n, mean = len(values), float(values.mean())
    training = float(values.var(ddof=1)) if n > 1 else math.nan
    added = training / n if n > 1 else 0.0
    variance = sampling + added
    if n > 1 and added > 0:
        quantile = float(stdtrit((n - 1) * (variance / added) ** 2, (1 + confidence) / 2))
    half = quantile * math.sqrt(variance) if not math.isnan(variance) else math.nan
    return PooledMetric(mean, mean - half, mean + half, math.sqrt(sampling), math.sqrt(training), tuple(map(float, values)))
