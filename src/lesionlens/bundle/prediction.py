"""What a bundle says about one image."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lesionlens.bundle.decision import Decision
from lesionlens.bundle.gate import GateResult
from lesionlens.bundle.outcome import DIAGNOSIS, NOT_USABLE, explanation_text, malignant_share, outcome_of
from lesionlens.core.diagnoses import Diagnosis
from lesionlens.core.errors import ImageError
from lesionlens.core.labels import LabelSet
from lesionlens.core.percent import DIGITS
from lesionlens.data.image import InputSpec


@dataclass(frozen=True)
class ImageInfo:
    """An image that was read.

    Attributes:
        width: upright, pixels.
        height: upright, pixels.
        frames: pictures in its file.
        frame: the one that was read, from 0.
        pixel_spacing_mm: between rows and between columns; None where the file states none.
    """

    width: int
    height: int
    frames: int = 1
    frame: int = 0
    pixel_spacing_mm: tuple[float, float] | None = None


@dataclass(frozen=True)
class BundleVariant:
    """The bundle and variant that made a prediction: the bundle's id and name, the variant's name."""

    id: str
    name: str
    variant: str


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a bundle says about one image.

    Attributes:
        source: path of the image; empty for bytes.
        image: size and frame of the image.
        labels: the diagnoses.
        probabilities: calibrated, float32 (K,), in the order of `labels`.
        features: pooled features, float32 (C,).
        maps: raw Grad-CAM of every diagnosis, float32 (K, h, w); None where the bundle has none.
        spec: how the image was prepared.
        timings_ms: milliseconds by step: `decode`, `resize`, `network` (its share of the batch).
        bundle: the bundle and variant that made it.
        gate_result: of the gate; None where the bundle has none.
        decision: when it is "not sure"; None where the bundle does not say.
        notes: what decoding converted, assumed or left out.
        metadata: what was used of the patient and what is missing, see `MetadataFusion.used`; None if the bundle takes none.
        concepts: of a network with a concept bottleneck, see `ConceptReader.read`; empty without one.
    """

    source: str
    image: ImageInfo
    labels: LabelSet
    probabilities: np.ndarray
    features: np.ndarray
    maps: np.ndarray | None
    spec: InputSpec
    timings_ms: dict[str, float]
    bundle: BundleVariant
    gate_result: GateResult | None = None
    decision: Decision | None = None
    notes: tuple[str, ...] = ()
    metadata: dict[str, Any] | None = None
    concepts: tuple[dict[str, Any], ...] = ()

    @property
    def outcome(self) -> str:
        """`diagnosis`, `not_sure` (a person has to look) or `not_usable` (the gate_result says why)."""
        return outcome_of(self.probabilities, self.labels, self.gate_result, self.decision)

    @property
    def explanation(self) -> str:
        """The outcome in one or two sentences, for people."""
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
    def malignant_share(self) -> float | None:
        """Sum of the probabilities of the malignant diagnoses, in [0, 1]; None if no diagnosis is malignant."""
        return malignant_share(self.probabilities, self.labels)

    def to_json(self, total_ms: float | None = None) -> dict[str, Any]:
        """The JSON that `predict --json` writes and the API sends, each with a few keys of its own around it.

        Features and maps are left out. Only the outcome `diagnosis` has a diagnosis; `not_usable` has no probabilities.
        Where no diagnosis is malignant, there is no malignant share. Only a bundle that takes metadata has `metadata`, and
        only one with a concept bottleneck `concepts`; their contributions are to the most probable diagnosis.
        `lesionlens.serving.schemas.PredictionBody` describes it.

        Args:
            total_ms: from the request to the response, milliseconds; the sum of the steps if not given.
        """
        usable, share = self.outcome != NOT_USABLE, self.malignant_share
        rows = zip(self.labels.diagnoses, self.probabilities.tolist(), strict=True)
        probabilities = [
            {"code": d.code, "name": d.name, "malignant": d.malignant, "probability": round(p, DIGITS)} for d, p in rows
        ]
        timings_ms = {**self.timings_ms, "total": sum(self.timings_ms.values()) if total_ms is None else total_ms}
        return {
            "outcome": self.outcome,
            "explanation": self.explanation,
            "diagnosis": self.first.code if self.outcome == DIAGNOSIS else None,
            "malignant_share": round(share, DIGITS) if usable and share is not None else None,
            "probabilities": probabilities if usable else [],
            "gate": None if self.gate_result is None else self.gate_result.to_json(),
            "notes": list(self.notes),
            **({} if self.metadata is None else {"metadata": self.metadata}),
            **({"concepts": list(self.concepts) if usable else []} if self.concepts else {}),
            "image": asdict(self.image),
            "timings_ms": {step: round(ms, 2) for step, ms in timings_ms.items()},
            "bundle": asdict(self.bundle),
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
