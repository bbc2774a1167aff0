"""What a bundle says about one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lesionlens.bundle.decision import Decision
from lesionlens.bundle.gate import GateResult
from lesionlens.bundle.outcome import DIAGNOSIS, NOT_USABLE, explanation_text, malignant_share, outcome_of
from lesionlens.core.errors import ImageError
from lesionlens.core.labels import Diagnosis, LabelSet
from lesionlens.data.image import InputSpec


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a bundle says about one image.

    Attributes:
        source: path of the image; empty for bytes.
        labels: the diagnoses.
        probabilities: calibrated, float32 (K,), in the order of `labels`.
        features: pooled features, float32 (C,).
        maps: raw Grad-CAM of every diagnosis, float32 (K, h, w); None where the bundle has none.
        spec: how the image was prepared.
        timings_ms: milliseconds by step: `decode`, `resize`, `network` (its share of the batch).
        bundle_id: of the bundle that said it.
        gate_result: of the gate; None where the bundle has none.
        decision: when it is "not sure"; None where the bundle does not say.
        notes: what decoding converted, assumed or left out.
    """

    source: str
    labels: LabelSet
    probabilities: np.ndarray
    features: np.ndarray
    maps: np.ndarray | None
    spec: InputSpec
    timings_ms: dict[str, float]
    bundle_id: str
    gate_result: GateResult | None = None
    decision: Decision | None = None
    notes: tuple[str, ...] = ()

    @property
    def outcome(self) -> str:
        """`diagnosis`, `not_sure` (a person has to look) or `not_usable` (the gate_result says why)."""
        return outcome_of(self.probabilities, self.labels, self.gate_result, self.decision)

    @property
    def explanation(self) -> str:
        """The answer in one or two sentences, for people."""
        return explanation_text(self.probabilities, self.labels, self.gate_result, self.decision)

    @property
    def first(self) -> Diagnosis:
        """The most probable diagnosis."""
        return self.labels.diagnoses[int(self.probabilities.argmax())]

    @property
    def by_code(self) -> dict[str, float]:
        """Probability of each diagnosis."""
        return {code: float(value) for code, value in zip(self.labels.codes, self.probabilities, strict=True)}

    @property
    def malignant_share(self) -> float:
        """Sum of the probabilities of the malignant diagnoses, in [0, 1]."""
        return malignant_share(self.probabilities, self.labels)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready form, without features and maps; only a diagnosis has one, an unusable image has no probabilities."""
        outcome, by_code = self.outcome, {} if self.outcome == NOT_USABLE else self.by_code
        return {
            "image": self.source,
            "outcome": outcome,
            "explanation": self.explanation,
            "diagnosis": self.first.code if outcome == DIAGNOSIS else None,
            "malignant_share": round(self.malignant_share, 6) if by_code else None,
            "probabilities": {code: round(value, 6) for code, value in by_code.items()},
            "gate": None if self.gate_result is None else self.gate_result.to_json(),
            "notes": list(self.notes),
            "timings_ms": {step: round(value, 2) for step, value in self.timings_ms.items()},
            "bundle": self.bundle_id,
        }


@dataclass(frozen=True)
class Failure:
    """An image that could not be used.

    Attributes:
        source: its path; empty for bytes.
        error: why.
    """

    source: str
    error: ImageError
