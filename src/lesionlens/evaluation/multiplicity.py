"""Several hypotheses at once: a primary metric, a family with Holm's correction, and non-inferiority."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lesionlens.core.errors import DataError
from lesionlens.evaluation.weighted_metrics import OVERALL

NO_TEST = ("ece",)  # the difference of two calibration errors has neither interval nor p


@dataclass(frozen=True)
class Hypotheses:
    """What a comparison tests, declared before it is made.

    Attributes:
        primary: the one metric whose p needs no correction.
        family: secondary metrics; Holm's correction is over them.

    Raises:
        DataError: if a metric is unknown, has no test, or occurs twice.
    """

    primary: str = "balanced_accuracy"
    family: tuple[str, ...] = ("accuracy", "macro_f1", "macro_auc", "brier", "nll")

    def __post_init__(self) -> None:
        names = (self.primary, *self.family)
        known = [name for name in OVERALL if name not in NO_TEST]
        for name in names:
            if name not in known:
                raise DataError(
                    f"metric {name!r} cannot be tested; choose the primary metric and the family from {', '.join(known)}"
                )
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError(f"metric {twice} is declared twice; each is either primary or once in the family")


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p values adjusted by Holm (1979): they hold for all hypotheses of the family together, whatever their correlation.

    Args:
        p_values: of the family; None is a hypothesis that could not be tested, which still counts.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    known = [(value, place) for place, value in enumerate(p_values) if value is not None]
    for rank, (value, place) in enumerate(sorted(known)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * value))
        adjusted[place] = largest
    return adjusted


@dataclass(frozen=True)
class NonInferiority:
    """Whether something is worse by less than a margin.

    Attributes:
        margin: the largest loss that is acceptable, at least 0.
        verdict: `non-inferior`, `inferior` (worse by more than the margin) or `inconclusive`.
        text: the same as a sentence.
    """

    margin: float
    verdict: str
    text: str

    def to_json(self) -> dict[str, Any]:
        """Keys `margin`, `verdict`, `text`."""
        return {"margin": self.margin, "verdict": self.verdict, "text": self.text}


def non_inferiority(name: str, low: float | None, high: float | None, margin: float, metric: str) -> NonInferiority:
    """Hold the interval of a paired difference (new minus reference, more is better) against a margin.

    Args:
        name: of what is judged, for the sentence.
        low: lower bound of the difference; None if there is no interval.
        high: upper bound, likewise.
        margin: the largest loss that is acceptable, a share in [0, 1].
        metric: in words, for the sentence.

    >>> non_inferiority("int8", -0.004, 0.001, 0.01, "balanced accuracy").text
    'int8 is non-inferior: at worst it loses 0.4 points of balanced accuracy, and the margin is 1.0.'
    """
    limit = f"the margin is {100 * margin:.1f}"
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return NonInferiority(
            margin, "inconclusive", f"{name}: inconclusive, because the difference in {metric} has no interval."
        )
    worst, best = (f"{100 * max(0.0, -end):.1f}" for end in (low, high))
    if low >= -margin:
        text = f"{name} is non-inferior: at worst it loses {worst} points of {metric}, and {limit}."
        return NonInferiority(margin, "non-inferior", text)
    if high < -margin:
        text = f"{name} is inferior: it loses at least {best} points of {metric}, and {limit}."
        return NonInferiority(margin, "inferior", text)
    text = f"{name}: inconclusive; it may lose up to {worst} points of {metric}, and {limit}."
    return NonInferiority(margin, "inconclusive", text)
