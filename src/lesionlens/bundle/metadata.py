"""Metadata fusion in a bundle: what age, sex and site add to the logits of the image, in NumPy.

The graph of a bundle computes the probabilities of the image alone, which are those of a patient of whom nothing is known. The
metadata add their logits afterwards: softmax(log p + z / T), the same as softmax((image logits + z) / T).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lesionlens.bundle.bundle import Bundle
from lesionlens.bundle.weight_arrays import read_arrays, write_arrays
from lesionlens.core.errors import BundleError, DataError
from lesionlens.core.metadata import FIELDS, SEXES, SITES, Metadata, encode, width

METADATA_FILE = "metadata.npz"
TINY = 1e-30  # a softmax in float32 may give 0, whose logarithm is no number
TOLERANCE = 1e-4
"""Largest accepted difference of a logit to the one that torch computed at export: float32 sums in another order."""


@dataclass(frozen=True, eq=False)
class MetadataWeights:
    """Content of metadata.npz: a network with one hidden layer, and an example of what it computes.

    Attributes:
        hidden_weight: (H, D), of the encoding of `core.metadata.encode`.
        hidden_bias: (H,).
        output_weight: (K, H).
        example_input: encoded, (M, D).
        example_output: logits that torch computed for it, (M, K).
    """

    hidden_weight: np.ndarray
    hidden_bias: np.ndarray
    output_weight: np.ndarray
    example_input: np.ndarray
    example_output: np.ndarray

    def logits(self, encoded: np.ndarray, unknown: np.ndarray) -> np.ndarray:
        """Logits (N, K) of encoded metadata (N, D), relative to those of `unknown` (1, D)."""
        return np.asarray(self._response(encoded) - self._response(unknown))

    def _response(self, encoded: np.ndarray) -> np.ndarray:
        hidden = np.maximum(encoded @ self.hidden_weight.T + self.hidden_bias, 0)
        return np.asarray(hidden @ self.output_weight.T)


class MetadataFusion:
    """The metadata head of a bundle.

    Args:
        fields: that the network was told.
        weights: of its head.
        temperature: of the bundle, by which all logits are divided.

    Raises:
        BundleError: if the weights do not fit the fields, or compute something else here than where they were exported.
    """

    def __init__(self, fields: Sequence[str], weights: MetadataWeights, temperature: float) -> None:
        self.fields = tuple(fields)
        self.weights = weights
        self.temperature = temperature
        self.unknown = encode([Metadata()], self.fields)
        if weights.hidden_weight.shape[1:] != (width(self.fields),) or not set(self.fields) <= set(FIELDS):
            raise BundleError(
                f"{METADATA_FILE} is for {weights.hidden_weight.shape[1]} places, {', '.join(self.fields)} need "
                f"{width(self.fields)}; export the bundle again"
            )
        difference = float(np.abs(weights.logits(weights.example_input, self.unknown) - weights.example_output).max(initial=0))
        if not difference <= TOLERANCE:
            raise BundleError(f"{METADATA_FILE} computes logits {difference:.1e} away from torch's; export the bundle again")

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> MetadataFusion | None:
        """That of a bundle; None if its network sees images only.

        Raises:
            BundleError: if it is damaged.
        """
        facts = bundle.facts.get("metadata")
        if facts is None:
            return None
        weights = read_weights(bundle.path / METADATA_FILE)
        return cls(facts["fields"], weights, float(bundle.facts["temperature"]["value"]))

    def apply(self, probabilities: np.ndarray, metadata: Metadata) -> np.ndarray:
        """The probabilities (K,) of an image and a patient, float32, from those of the image alone.

        Where nothing is known, they are returned as they are.
        """
        if not metadata.to_json(self.fields):
            return probabilities
        added = self.weights.logits(encode([metadata], self.fields), self.unknown)[0] / self.temperature
        logits = np.log(np.maximum(probabilities.astype(np.float64), TINY)) + added
        shifted = np.exp(logits - logits.max())
        return np.asarray(shifted / shifted.sum(), dtype=np.float32)

    def check(self, metadata: Metadata) -> None:
        """Refuse values of fields that the network was not told.

        Raises:
            DataError: naming them.
        """
        others = [name for name in metadata.to_json() if name not in self.fields]
        if others:
            raise DataError(
                f"{', '.join(others)} cannot be used: this bundle was trained with {', '.join(self.fields)} only; leave it out"
            )

    def used(self, metadata: Metadata) -> dict[str, Any]:
        """What a prediction says of it: the values that were used, and the fields that are missing."""
        return {"used": metadata.to_json(self.fields), "missing": list(metadata.missing(self.fields))}


def metadata_facts(fields: Sequence[str]) -> dict[str, Any]:
    """What bundle.json says of a metadata head: its fields and the values that they may take."""
    choices = {"age": None, "sex": list(SEXES), "site": list(SITES)}
    return {"fields": list(fields), "choices": {name: choices[name] for name in fields if choices[name] is not None}}


def write_weights(weights: MetadataWeights, folder: Path) -> None:
    """Write metadata.npz into a bundle that is being made."""
    write_arrays(weights, folder / METADATA_FILE)


def read_weights(path: Path) -> MetadataWeights:
    """Read metadata.npz; nothing in the file is ever executed.

    Raises:
        BundleError: if it is damaged.
    """
    return read_arrays(path, MetadataWeights)
