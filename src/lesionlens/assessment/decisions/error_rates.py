"""Quantities that are linear in the rates of misses and of false alarms, with intervals that see what a sample may lack.

A rule that misses none of 60 melanomas may miss one of the next 60. Resampling cannot know that; the exact interval of the miss
rate does. Costs and net benefit are therefore written as sums of the two rates, at a fixed share of positives, and get their
intervals from those of the rates, which are of different lesions (MOVER, Zou & Donner 2008).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lesionlens.assessment.decisions.cases import Cases, too_few
from lesionlens.evaluation.intervals import Interval
from lesionlens.evaluation.proportions import Ratio

MOVER = "mover"


@dataclass(frozen=True, eq=False)
class ErrorRates:
    """Rates of M rules with bounds.

    Attributes:
        prevalence: weighted share of positive images, in (0, 1).
        missed: of the positive images those that a rule does not call, as value, lower and upper bound, (3, M).
        false_alarms: of the other images those that it calls, likewise, (3, M).
        reason: why nothing has an interval; empty if it has.
    """

    prevalence: float
    missed: np.ndarray
    false_alarms: np.ndarray
    reason: str

    @classmethod
    def of(cls, truth: np.ndarray, called: np.ndarray, weights: np.ndarray, cases: Cases, confidence: float) -> ErrorRates:
        """Weighted rates of rules.

        Args:
            truth: which images are positive, bool (N,), some but not all.
            called: which images each rule calls positive, bool (N, M).
            weights: of the images, (N,): ones, or those of a clinic's prevalence.
            cases: whose images they are.
            confidence: level of the bounds, in (0, 1).
        """
        missed = _rates(~called, truth * weights, cases, confidence)
        false_alarms = _rates(called, ~truth * weights, cases, confidence)
        few = min(len(np.unique(cases.lesion_ids[side & (weights > 0)])) for side in (truth, ~truth))
        return cls(float(weights @ truth / weights.sum()), missed, false_alarms, too_few(few, "of the rarer side"))

    def combined(self, constant: np.ndarray, of_missed: np.ndarray, of_false_alarms: np.ndarray) -> list[Interval]:
        """Intervals of constant + of_missed * missed + of_false_alarms * false_alarms, each (M,)."""
        terms = [_scaled(self.missed, of_missed), _scaled(self.false_alarms, of_false_alarms)]
        value = constant + terms[0][0] + terms[1][0]
        below, above = (np.sqrt(sum(np.square(term[end] - term[0]) for term in terms)) for end in (1, 2))
        if self.reason:
            return [Interval(float(each), np.nan, np.nan, "", self.reason) for each in value]
        ends = zip(value, value - below, value + above, strict=True)
        return [Interval(float(each), float(low), float(high), MOVER) for each, low, high in ends]


def _rates(wrong: np.ndarray, side: np.ndarray, cases: Cases, confidence: float) -> np.ndarray:
    """Weighted share of `wrong` (N, M) on a side with weights (N,), as value and bounds, (3, M).

    The weights get the mean 1, because the design effect counts cases.
    """
    counted = np.broadcast_to((side / side[side > 0].mean())[:, None], wrong.shape)
    ratio = Ratio.of(cases.lesions.totals(wrong * counted), cases.lesions.totals(counted))
    return np.stack([ratio.value, *ratio.bounds(confidence)])


def _scaled(rates: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Value and ordered bounds of a rate times a factor of any sign, (3, M)."""
    value, low, high = rates * factor
    return np.stack([value, np.minimum(low, high), np.maximum(low, high)])
