"""Concepts of a bundle whose network has a concept bottleneck, read from the features that its graph gives, in NumPy.

The graph is that of a plain classifier. Between pooling and diagnoses stand an optional LayerNorm and two linear layers; the
first of them gives the logits of the concepts, and the second adds each, times a weight, to the logits of the diagnoses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lesionlens.bundle.bundle import Bundle
from lesionlens.bundle.weight_arrays import read_arrays, write_arrays
from lesionlens.core.errors import BundleError

if TYPE_CHECKING:
    from lesionlens.data.concepts import ConceptUnit  # which brings all of reading tables: most bundles have no concepts

CONCEPTS_FILE = "concepts.npz"
TOLERANCE = 1e-4
"""Largest accepted difference of a value to the one that torch computed at export: float32 sums in another order."""
DIGITS = 4


@dataclass(frozen=True, eq=False)
class ConceptWeights:
    """Content of concepts.npz.

    Attributes:
        norm_weight: of the LayerNorm before the classifier, (C,); empty without one.
        norm_bias: of the same, (C,) or empty.
        norm_epsilon: of the same, (1,).
        concept_weight: features to concepts, (U, C).
        concept_bias: (U,).
        diagnosis_weight: concepts to diagnoses, (K, U).
        example_features: pooled, (M, C).
        example_values: that torch computed for them, (M, U).
    """

    norm_weight: np.ndarray
    norm_bias: np.ndarray
    norm_epsilon: np.ndarray
    concept_weight: np.ndarray
    concept_bias: np.ndarray
    diagnosis_weight: np.ndarray
    example_features: np.ndarray
    example_values: np.ndarray

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Logits of the concepts (..., U) of pooled features (..., C)."""
        if self.norm_weight.size:
            centred = features - features.mean(axis=-1, keepdims=True)
            variance = np.square(centred).mean(axis=-1, keepdims=True)
            features = centred / np.sqrt(variance + self.norm_epsilon) * self.norm_weight + self.norm_bias
        return np.asarray(features @ self.concept_weight.T + self.concept_bias)


class ConceptReader:
    """The concepts of a bundle.

    Args:
        units: outputs of the bottleneck.
        weights: of its layers.

    Raises:
        BundleError: if the weights do not fit the units, or compute something else here than where they were exported.
    """

    def __init__(self, units: tuple[ConceptUnit, ...], weights: ConceptWeights) -> None:
        self.units, self.weights = units, weights
        if len(weights.concept_weight) != len(units):
            raise BundleError(
                f"{CONCEPTS_FILE} has {len(weights.concept_weight)} concepts, the bundle names {len(units)}; export it again"
            )
        computed = sigmoid(weights.logits(weights.example_features))
        difference = float(np.abs(computed - weights.example_values).max(initial=0))
        if not difference <= TOLERANCE:
            raise BundleError(f"{CONCEPTS_FILE} computes values {difference:.1e} away from torch's; export the bundle again")

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> ConceptReader | None:
        """That of a bundle; None if its network has no concept bottleneck.

        Raises:
            BundleError: if it is damaged.
        """
        facts = bundle.facts.get("concepts")
        if facts is None:
            return None
        from lesionlens.data.concepts import ConceptUnit

        return cls(tuple(ConceptUnit(**unit) for unit in facts["units"]), read_weights(bundle.path / CONCEPTS_FILE))

    def read(self, features: np.ndarray, diagnosis: int) -> tuple[dict[str, Any], ...]:
        """The concepts of one image, JSON-ready.

        Args:
            features: pooled, (C,).
            diagnosis: class index of the diagnosis that contributions are given for.

        Returns:
            For each concept `name`, `value` (an estimated probability or share, in [0, 1]), `contribution` (what it adds to the
            logit of the diagnosis) and, for a number, `estimate` in the units of its column.
        """
        logits = self.weights.logits(features.astype(np.float64))
        added = self.weights.diagnosis_weight[diagnosis] * logits
        return tuple(
            _concept(unit, value, contribution)
            for unit, value, contribution in zip(self.units, sigmoid(logits).tolist(), added.tolist(), strict=True)
        )


def _concept(unit: ConceptUnit, value: float, contribution: float) -> dict[str, Any]:
    known = {"name": unit.name, "value": round(value, DIGITS), "contribution": round(contribution, DIGITS)}
    is_number = (unit.low, unit.high) != (0.0, 1.0)
    return {**known, "estimate": round(unit.low + value * (unit.high - unit.low), DIGITS)} if is_number else known


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Values in [0, 1].

    >>> sigmoid(np.array([0.0, -1000.0])).tolist()
    [0.5, 0.0]
    """
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)))


def concept_facts(concepts: Mapping[str, Any]) -> dict[str, Any]:
    """What bundle.json says of the concepts: the units of the checkpoint."""
    return {"units": concepts["units"]}


def write_weights(weights: ConceptWeights, folder: Path) -> None:
    """Write concepts.npz into a bundle that is being made."""
    write_arrays(weights, folder / CONCEPTS_FILE)


def read_weights(path: Path) -> ConceptWeights:
    """Read concepts.npz; nothing in the file is ever executed.

    Raises:
        BundleError: if it is damaged.
    """
    return read_arrays(path, ConceptWeights)
