"""What a user states about a clinic and about decisions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lesionlens.core.errors import RecipeError
from lesionlens.export.decision_fit import EXPECTATION, Guarantee, check_sensitivity

READERS_SPECIFICITY = 0.713  # of 58 dermatologists, see `operating_points.READERS`


@dataclass(frozen=True)
class Resampling:
    """How intervals are made.

    Attributes:
        resamples: of the bootstrap over lesions.
        confidence: level, in (0, 1).
        seed: of the resamples.
    """

    resamples: int = 2000
    confidence: float = 0.95
    seed: int = 0


@dataclass(frozen=True)
class DecisionSettings:
    """What decisions are made of.

    Attributes:
        prevalence: share of each diagnosis among a clinic's lesions, by code; diagnoses that it does not name share the
            rest as they do in the validation split. Empty: none is stated.
        target_prevalences: shares of melanoma (or of malignant lesions) for which predictive values are given, each in (0, 1).
        specificities: for which the sensitivity is given, each in (0, 1).
        sensitivities: for which the specificity is given, each in (0, 1).
        guaranteed_sensitivity: sensitivity for melanoma that the threshold of "not sure" must reach, in [0.5, 0.999].
        guarantee: whether it is reached on average over validation splits or in nearly each of them.
        cost_missed: cost of a missed melanoma (or malignant lesion), above 0, in any unit; None if not stated.
        cost_referral: cost of a needless referral, above 0, in the same unit; None if not stated.
        coverage: share of new lesions whose conformal set must contain the true diagnosis, in (0, 1).

    Raises:
        RecipeError: naming the value that is out of range.
    """

    prevalence: Mapping[str, float] = field(default_factory=dict)
    target_prevalences: tuple[float, ...] = (0.01, 0.05, 0.1, 0.2)
    specificities: tuple[float, ...] = (READERS_SPECIFICITY, 0.8, 0.9, 0.95)
    sensitivities: tuple[float, ...] = (0.8, 0.9, 0.95)
    guaranteed_sensitivity: float = 0.95
    guarantee: Guarantee = EXPECTATION
    cost_missed: float | None = None
    cost_referral: float | None = None
    coverage: float = 0.9

    def __post_init__(self) -> None:
        for name in ("target_prevalences", "specificities", "sensitivities"):
            for value in getattr(self, name):
                _check_share(name.replace("_", " "), value)
        _check_share("coverage", self.coverage)
        check_sensitivity(self.guaranteed_sensitivity)
        self._check_costs()

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready form."""
        listed = {name: list(value) for name, value in vars(self).items() if isinstance(value, tuple)}
        return {**vars(self), **listed, "prevalence": dict(self.prevalence), "guarantee": asdict(self.guarantee)}

    def _check_costs(self) -> None:
        costs = {"a missed melanoma": self.cost_missed, "a needless referral": self.cost_referral}
        for what, cost in costs.items():
            if cost is not None and not (math.isfinite(cost) and cost > 0):
                raise RecipeError(f"cost of {what} is {cost}; it must be above 0, in any unit")
        if (self.cost_missed is None) != (self.cost_referral is None):
            missing = next(what for what, cost in costs.items() if cost is None)
            raise RecipeError(f"the cost of {missing} is not stated; state both: --cost-missed 50 --cost-referral 1")


def _check_share(what: str, value: float) -> None:
    if not 0 < value < 1:
        raise RecipeError(f"{what} {value}; it must be between 0 and 1, such as 0.9")
