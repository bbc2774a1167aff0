"""The third answer: when a person has to look, by one threshold on one probability."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lesionlens.bundle.bundle import Bundle
from lesionlens.core.diagnoses import is_melanoma, known_diagnosis
from lesionlens.core.errors import BundleError
from lesionlens.core.labels import LabelSet

GUARANTEES = ("expectation", "pac")


@dataclass(frozen=True)
class Decision:
    """When an answer is "not sure".

    The watched probability is that of melanoma, or of all malignant diagnoses together where a
    label set has no melanoma. An image whose first choice is not watched, but whose watched
    probability is at or above the threshold, is not sure.

    Attributes:
        watched: codes of the diagnoses whose probabilities are added up; empty if none is malignant.
        sensitivity: share of the watched images that is to be called so or to be not sure, in (0, 1).
        threshold: in [0, 1]; None if it could not be chosen, then nothing is ever "not sure".
        reason: why there is no threshold, in words; empty if there is one.
        validation: what the threshold does to the images that it was chosen on; see `decision_fit`.
        guarantee: what the sensitivity means: `expectation`: on average over validation splits; `pac`: in all but a share
            `delta` of them.
        delta: in (0, 1) for `pac`, else None.
    """

    watched: tuple[str, ...]
    sensitivity: float
    threshold: float | None
    reason: str = ""
    validation: dict[str, Any] = field(default_factory=dict)
    guarantee: str = "expectation"
    delta: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.sensitivity < 1:
            raise BundleError(f"sensitivity {self.sensitivity} of the third answer; it must be between 0 and 1")
        if self.guarantee not in GUARANTEES or (self.guarantee == "pac") != (self.delta is not None):
            raise BundleError(
                f"guarantee {self.guarantee!r} with delta {self.delta}; it must be expectation, or pac with a delta. "
                "Export the bundle again"
            )
        if self.threshold is None and not self.reason:
            raise BundleError("a third answer without a threshold must say why; export the bundle again")
        if self.threshold is not None and not (self.watched and 0 <= self.threshold <= 1):
            raise BundleError(
                f"threshold {self.threshold} for {self.watched}; it must be from 0 to 1, for at least one diagnosis"
            )

    @property
    def promise(self) -> str:
        """The sensitivity and what it means, in words."""
        return promise(self.sensitivity, self.delta)

    @property
    def name(self) -> str:
        """What is watched, in words."""
        known = [known_diagnosis(code) for code in self.watched]
        return "melanoma" if known and all(each and is_melanoma(each) for each in known) else "malignant diagnoses"

    def watched_probability(self, probabilities: np.ndarray, labels: LabelSet) -> np.ndarray:
        """Sum of the watched probabilities, (N,), of probabilities (N, K)."""
        return np.asarray(probabilities[:, [labels.index(code) for code in self.watched]].sum(axis=1))

    def unsure(self, probabilities: np.ndarray, labels: LabelSet) -> np.ndarray:
        """Whether each image is "not sure", bool (N,), of probabilities (N, K)."""
        if self.threshold is None:
            return np.zeros(len(probabilities), dtype=bool)
        chosen = np.isin(probabilities.argmax(axis=1), [labels.index(code) for code in self.watched])
        return np.asarray(~chosen & (self.watched_probability(probabilities, labels) >= self.threshold))

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready form that `from_json` reads back."""
        return {**vars(self), "watched": list(self.watched)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Decision:
        """Read what `to_json` wrote; unknown fields are errors."""
        threshold = value["threshold"]
        if threshold is not None and not math.isfinite(threshold):
            raise ValueError(f"threshold {threshold}")
        return cls(**{**value, "watched": tuple(value["watched"])})

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> Decision | None:
        """The third answer of an open bundle; None if it says nothing of one (bundles from before there were any).

        Raises:
            BundleError: if it cannot be understood, or watches diagnoses that the bundle does not know.
        """
        facts = bundle.facts.get("decision")
        if facts is None:
            return None
        try:
            decision = cls.from_json(facts)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BundleError(
                f"bundle {bundle.path}: its third answer cannot be understood ({error}); export the bundle again"
            ) from error
        unknown = set(decision.watched) - set(bundle.labels.codes)
        if unknown:
            raise BundleError(
                f"bundle {bundle.path} watches {', '.join(sorted(unknown))}, which it does not know; export it again"
            )
        return decision


def promise(sensitivity: float, delta: float | None = None) -> str:
    """A sensitivity and what it means, in words.

    >>> promise(0.95), promise(0.95, 0.05)
    ('at least 95 % on average over validation splits', 'at least 95 % in all but 5 % of validation splits')
    """
    when = "on average over validation splits" if delta is None else f"in all but {100 * delta:g} % of validation splits"
    return f"at least {100 * sensitivity:g} % {when}"


def watched_codes(labels: LabelSet) -> tuple[str, ...]:
    """The diagnoses that must not be missed: melanoma and its kinds, else all malignant ones."""
    melanomas = tuple(d.code for d in labels.diagnoses if is_melanoma(d))
    return melanomas or tuple(d.code for d in labels.diagnoses if d.malignant)
