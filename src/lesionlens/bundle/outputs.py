"""What a bundle's graph gives, and how far two such results may differ."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from lesionlens.core.errors import BundleError

INPUT = "images"
PROBABILITIES, FEATURES, MAPS = "probabilities", "features", "maps"
FAINTEST = 1e-3
"""A map's value is what its cell adds to a logit. Where no cell adds a thousandth, a map says nothing, and its
differences are those of rounding: float32 in torch itself is then 0.003 of the range away from float64."""


class Outputs(NamedTuple):
    """Results of a graph for N images.

    Attributes:
        probabilities: calibrated, float32 (N, K), rows add up to 1.
        features: pooled features, float32 (N, C).
        maps: raw Grad-CAM of all classes, float32 (N, K, h, w), at least 0; None where the network
            has no closed form of it.
    """

    probabilities: np.ndarray
    features: np.ndarray
    maps: np.ndarray | None

    def rows(self, start: int, stop: int) -> Outputs:
        """The results of some of the images."""
        maps = None if self.maps is None else self.maps[start:stop]
        return Outputs(self.probabilities[start:stop], self.features[start:stop], maps)


def join(parts: list[Outputs]) -> Outputs:
    """Results of several batches as one."""
    maps = [part.maps for part in parts if part.maps is not None]
    return Outputs(
        np.concatenate([part.probabilities for part in parts]),
        np.concatenate([part.features for part in parts]),
        np.concatenate(maps) if maps else None,
    )


@dataclass(frozen=True)
class Tolerance:
    """How far results may differ from their reference.

    Attributes:
        probabilities: largest difference, absolute.
        features: largest difference, as a share of the largest value of the reference, or of `FAINTEST`.
        maps: likewise.
    """

    probabilities: float = 1e-4
    features: float = 1e-3
    maps: float = 1e-3

    def __post_init__(self) -> None:
        if not all(0 < value <= 1 for value in asdict(self).values()):
            raise BundleError(f"tolerance {asdict(self)}; each must be above 0 and at most 1")

    def to_json(self) -> dict[str, float]:
        """A JSON-ready form; `Tolerance(**value)` reads it back."""
        return asdict(self)

    def broken_by(self, found: dict[str, float]) -> dict[str, float]:
        """The differences, as from `differences`, that are too large; NaN is too large."""
        limits = asdict(self)
        return {name: value for name, value in found.items() if not value <= limits[name]}


def differences(found: Outputs, wanted: Outputs) -> dict[str, float]:
    """Largest difference of each output, in the units of `Tolerance`.

    Raises:
        BundleError: if the shapes differ.
    """
    result: dict[str, float] = {}
    for name, one, other in zip(Outputs._fields, found, wanted, strict=True):
        if one is None and other is None:
            continue
        if one is None or other is None or one.shape != other.shape:
            sizes = ["none" if value is None else str(value.shape) for value in (one, other)]
            raise BundleError(f"{name} have shape {sizes[0]}, the reference has {sizes[1]}; export the bundle again")
        largest = float(np.abs(one - other).max(initial=0.0))
        result[name] = largest if name == PROBABILITIES else _share(largest, float(np.abs(other).max(initial=0.0)))
    return result


def summary(found: dict[str, float]) -> str:
    """Differences in one line, for people."""
    return ", ".join(f"{name} {value:.1e}" for name, value in found.items())


def shapes(found: Outputs) -> dict[str, Any]:
    """Shape of each output behind the batch, None for one that is not there: what a graph must give."""
    return {name: None if value is None else list(value.shape[1:]) for name, value in zip(Outputs._fields, found, strict=True)}


def _share(difference: float, largest: float) -> float:
    return difference / max(largest, FAINTEST)
