"""The largest difference between two subgroups of an attribute, with an interval and a p that account for having looked.

Subgroups hold different lesions, so their estimates are independent, and the interval of a difference is recovered from the
two intervals (MOVER with correlation 0; for proportions Newcombe 1998, method 10). The pair is chosen among all pairs for its
difference, so a plain 95 % interval would be too narrow: the quantile is that of Tukey's studentised range over the number of
subgroups (Tukey-Kramer, conservative for unequal variances: Hayter 1984).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist
from typing import Any

import numpy as np
from scipy.stats import studentized_range

from lesionlens.assessment.subgroups.group_metrics import Cases, group_metrics
from lesionlens.evaluation.intervals import Interval
from lesionlens.evaluation.proportions import Lesions
from lesionlens.evaluation.ratio_intervals import LEAST_LESIONS

GAP_METRICS = ("accuracy", "balanced_accuracy", "auc_melanoma", "auc_malignant", "sensitivity_malignant", "specificity_malignant")
LEAST_SHARED = 5  # lesions of a diagnosis in both groups, for it to count in a comparison of balanced accuracies
INFINITE = 1e6  # degrees of freedom: the intervals of the groups hold their own
METHOD = (
    "difference of independent groups from their intervals (MOVER; Newcombe 1998), at the level of the studentised range over "
    "the groups compared (Tukey-Kramer)"
)


@dataclass(frozen=True)
class Gap:
    """A difference of a metric between two groups.

    Attributes:
        better: name of the group with the higher value.
        worse: name of the other.
        values: of both, better first.
        difference: with its simultaneous interval.
        p: of the hypothesis that no two groups differ, by this pair, adjusted for the number of pairs; NaN without an interval.
        classes: codes of the diagnoses that a balanced accuracy was compared over; empty for other metrics.
    """

    better: str
    worse: str
    values: tuple[float, float]
    difference: Interval
    p: float
    classes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready form; None in place of NaN."""
        return {
            "better": self.better,
            "worse": self.worse,
            "values": list(self.values),
            "difference": self.difference.to_json(),
            "p": None if math.isnan(self.p) else self.p,
            **({"classes": list(self.classes)} if self.classes else {}),
        }


@dataclass(frozen=True)
class Gaps:
    """The differences of a metric that matter.

    Attributes:
        largest: the pair with the largest difference.
        clearest: the pair with the smallest p, which small groups rarely are; often the same.
        n_groups: groups compared.
    """

    largest: Gap
    clearest: Gap
    n_groups: int

    def to_json(self) -> dict[str, Any]:
        """The largest gap, with the clearest one as `clearest` where it is another, and the `p` of any difference."""
        other = (self.clearest.better, self.clearest.worse) != (self.largest.better, self.largest.worse)
        clearest = {"clearest": self.clearest.to_json()} if other else {}
        p = self.clearest.to_json()["p"]
        return {**self.largest.to_json(), "p": p, "n_groups": self.n_groups, **clearest}


def gaps_between(groups: Mapping[str, Cases], confidence: float = 0.95, seed: int = 0) -> dict[str, Gaps | None]:
    """The largest and the clearest gap of every metric of `GAP_METRICS`; None if fewer than two groups have an interval of it.

    Args:
        groups: cases of each scored group.
        confidence: level for all pairs of an attribute and metric together, in (0, 1).
        seed: of the draws for the calibration error.
    """
    if len(groups) < 2:
        return dict.fromkeys(GAP_METRICS)
    level = range_confidence(confidence, len(groups))
    intervals = {name: group_metrics(cases, level, seed) for name, cases in groups.items()}
    gaps_of: dict[str, Gaps | None] = {}
    for metric in GAP_METRICS:
        names = [name for name in groups if not np.isnan(intervals[name][metric].low)]
        if metric == "balanced_accuracy":
            gaps = _balanced_gap({name: groups[name] for name in names}, level, len(groups))
        else:
            of_metric = {name: intervals[name][metric] for name in names}
            gaps = [_gap(a, b, of_metric, level, len(groups)) for a, b in combinations(names, 2)]
        gaps_of[metric] = (
            Gaps(max(gaps, key=lambda gap: gap.difference.value), min(gaps, key=lambda gap: gap.p), len(names)) if gaps else None
        )
    return gaps_of


def _gap(a: str, b: str, intervals: Mapping[str, Interval], level: float, n_groups: int, classes: tuple[str, ...] = ()) -> Gap:
    better, worse = (a, b) if intervals[a].value >= intervals[b].value else (b, a)
    difference = independent_difference(intervals[better], intervals[worse])
    values = (intervals[better].value, intervals[worse].value)
    return Gap(better, worse, values, difference, range_p(difference, level, n_groups), classes)


def _balanced_gap(groups: Mapping[str, Cases], level: float, n_groups: int) -> list[Gap]:
    """The largest difference of balanced accuracies, each pair compared over the diagnoses that both groups have."""
    pairs = []
    for a, b in combinations(groups, 2):
        classes = _shared_classes(groups[a], groups[b])
        if classes:
            difference = abs(_mean_recall(groups[a], classes) - _mean_recall(groups[b], classes))
            pairs.append((difference, a, b, classes))
    if not pairs:
        return []
    _, a, b, classes = max(pairs)
    restricted = {name: groups[name].take(np.isin(groups[name].labels, classes)) for name in (a, b)}
    intervals = {name: group_metrics(cases, level)["balanced_accuracy"] for name, cases in restricted.items()}
    codes = tuple(groups[a].label_set.codes[place] for place in classes)
    return [_gap(a, b, intervals, level, n_groups, codes)]


def _shared_classes(first: Cases, second: Cases) -> tuple[int, ...]:
    lesions = [_lesions_by_class(cases) for cases in (first, second)]
    shared = (lesions[0] >= LEAST_SHARED) & (lesions[1] >= LEAST_SHARED)
    enough = shared.sum() > 1 and min(int(counts[shared].sum()) for counts in lesions) >= LEAST_LESIONS
    return tuple(np.flatnonzero(shared).tolist()) if enough else ()


def _lesions_by_class(cases: Cases) -> np.ndarray:
    one_hot = np.eye(len(cases.label_set))[cases.labels]
    return np.asarray((Lesions.of(cases.lesion_ids).totals(one_hot) > 0).sum(0))


def _mean_recall(cases: Cases, classes: Sequence[int]) -> float:
    right = cases.logits.argmax(1) == cases.labels
    return float(np.mean([right[cases.labels == place].mean() for place in classes]))


def independent_difference(first: Interval, second: Interval) -> Interval:
    """First minus second of two independent estimates.

    >>> gap = independent_difference(Interval(0.9, 0.8, 0.95), Interval(0.7, 0.6, 0.78))
    >>> round(gap.low, 4), round(gap.high, 4)
    (0.0719, 0.3118)
    """
    value = first.value - second.value
    if np.isnan(first.low) or np.isnan(second.low):
        return Interval(value, np.nan, np.nan, "", first.reason or second.reason or "not defined for these images")
    low = value - math.hypot(first.value - first.low, second.high - second.value)
    high = value + math.hypot(first.high - first.value, second.value - second.low)
    return Interval(value, low, high, "mover-independent")


def range_confidence(confidence: float, n_groups: int) -> float:
    """Level of a two-sided normal interval whose quantile is that of the studentised range over `n_groups`, by sqrt 2.

    >>> round(range_confidence(0.95, 2), 6), round(range_confidence(0.95, 5), 4)
    (0.95, 0.9936)
    """
    quantile = studentized_range.ppf(confidence, n_groups, INFINITE) / math.sqrt(2)
    return float(2 * NormalDist().cdf(float(quantile)) - 1)


def range_p(difference: Interval, level: float, n_groups: int) -> float:
    """p of a largest difference under no difference at all, in agreement with its interval at `level`.

    The half of the interval on the side of 0 is taken as a normal quantile.
    """
    if np.isnan(difference.low):
        return math.nan
    half = difference.value - difference.low if difference.value > 0 else difference.high - difference.value
    if difference.value == 0 or half == 0:
        return 1.0 if difference.value == 0 else 0.0
    z = NormalDist().inv_cdf((1 + level) / 2) * abs(difference.value) / half
    return float(min(1.0, max(0.0, studentized_range.sf(z * math.sqrt(2), n_groups, INFINITE))))
