"""The gate: is this a usable dermoscopic image at all? Numbers only, no torch.

What it measures and how its thresholds are chosen stands in docs/gate.md; `gate_fit` makes what this module reads.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from lesionlens.bundle.bundle import Bundle
from lesionlens.bundle.quality import BRIGHTNESS, CLIPPED, SHARPNESS, SIDE, measure_quality
from lesionlens.core.errors import BundleError

GATE_FILE = "gate.npz"
DISTANCE, PHOTOGRAPH = "distance", "photograph_score"
ARRAYS = ("mean", "directions", "spreads", "rest")
PHOTOGRAPH_ARRAYS = ("normal", "offset")


@dataclass(frozen=True)
class GateCheck:
    """One question of the gate.

    Attributes:
        measure: which number it looks at.
        below: whether too small a number is the fault, rather than too large a one.
        text: the reason in words, for people.
    """

    measure: str
    below: bool
    text: str

    def fails(self, value: float, threshold: float) -> bool:
        """Whether `value` is beyond the threshold; NaN is."""
        return not (value >= threshold if self.below else value <= threshold)


CHECKS: dict[str, GateCheck] = {
    "too_small": GateCheck(SIDE, True, "the image is too small; send the original picture"),
    "blurred": GateCheck(SHARPNESS, True, "the image is blurred or out of focus; take it again"),
    "too_dark": GateCheck(BRIGHTNESS, True, "the image is too dark; take it again with more light"),
    "too_bright": GateCheck(BRIGHTNESS, False, "the image is too bright; take it again with less light"),
    "clipped": GateCheck(CLIPPED, False, "large areas are overexposed and show no detail; take it again with less light"),
    "not_dermoscopic": GateCheck(
        DISTANCE, False, "the image does not look like the dermoscopic images that this network learnt from"
    ),
    "no_dermatoscope": GateCheck(
        PHOTOGRAPH, False, "the image looks as if it was taken without a dermatoscope; take it through one, close to the skin"
    ),
}
OPTIONAL = ("no_dermatoscope",)  # gates from before there was this check have none


@dataclass(frozen=True)
class GateResult:
    """What the gate says about one image.

    Attributes:
        usable: whether no check failed.
        reasons: codes of the checks that failed, keys of `CHECKS`, in its order.
        measures: what was measured, by name.
    """

    usable: bool
    reasons: tuple[str, ...]
    measures: dict[str, float]

    @property
    def texts(self) -> tuple[str, ...]:
        """The reasons in words."""
        return tuple(CHECKS[code].text for code in self.reasons)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready form: `usable`, `reasons` (code and text), `measures`."""
        reasons = [{"code": code, "text": CHECKS[code].text} for code in self.reasons]
        return {"usable": self.usable, "reasons": reasons, "measures": {k: round(v, 4) for k, v in self.measures.items()}}


@dataclass(frozen=True, eq=False)
class FeatureGaussian:
    """A normal distribution of features of length 1, by its widest directions; what is left counts as alike in all.

    Attributes:
        mean: of the features divided by their length, float32 (C,).
        directions: orthonormal, float32 (C, R).
        spreads: standard deviation along each direction, float32 (R,), above 0.
        rest: standard deviation in the directions that are left, above 0.
    """

    mean: np.ndarray
    directions: np.ndarray
    spreads: np.ndarray
    rest: float

    def distance(self, features: np.ndarray) -> np.ndarray:
        """Squared Mahalanobis distances of features (N, C) from the distribution, float64 (N,).

        Mahalanobis distance as in Lee et al. 2018, equation 2, with one mean for all diagnoses, on features divided
        by their length (Mueller & Hein 2025); the covariance has the form of Tipping & Bishop 1999, equation 7.
        """
        centred = unit_length(features) - self.mean
        along = centred @ self.directions  # (N, R)
        beyond = np.square(centred, dtype=np.float64).sum(axis=1) - np.square(along, dtype=np.float64).sum(axis=1)
        inside = np.square(along / self.spreads, dtype=np.float64).sum(axis=1)
        return np.asarray(inside + np.maximum(beyond, 0) / self.rest**2)


@dataclass(frozen=True, eq=False)
class PhotographScore:
    """A linear score of features of length 1: how much an image looks like a photograph without a dermatoscope.

    Attributes:
        normal: float32 (C,).
        offset: added to the product.
    """

    normal: np.ndarray
    offset: float

    def score(self, features: np.ndarray) -> np.ndarray:
        """Log odds that images are such photographs, from features (N, C): float64 (N,)."""
        return np.asarray(unit_length(features).astype(np.float64) @ self.normal.astype(np.float64) + self.offset)


def unit_length(features: np.ndarray) -> np.ndarray:
    """Features (N, C) divided by their Euclidean length, float32; a row of zeros stays one."""
    scale = np.abs(features).max(axis=1, keepdims=True)  # first, so that no square overflows
    scaled = (features / np.where(scale > 0, scale, 1)).astype(np.float32)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.asarray(scaled / np.where(length > 0, length, 1), dtype=np.float32)


class Gate:
    """The checks of one bundle.

    Args:
        gaussian: of the training split's features.
        thresholds: by code, keys of `CHECKS`; what has none is not checked.
        photographs: tells photographs without a dermatoscope; None for gates from before there was this check.
    """

    def __init__(
        self, gaussian: FeatureGaussian, thresholds: dict[str, float], photographs: PhotographScore | None = None
    ) -> None:
        self.gaussian = gaussian
        self.thresholds = thresholds
        self.photographs = photographs
        self.checks = {code: check for code, check in CHECKS.items() if code in thresholds}

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> Gate | None:
        """The gate of an open bundle; None if it has none (bundles from before there were gates).

        Raises:
            BundleError: if the gate is damaged or does not fit the bundle.
        """
        facts = bundle.facts.get("gate")
        if facts is None:
            return None
        if GATE_FILE not in bundle.files:
            raise BundleError(f"bundle {bundle.path} does not list {GATE_FILE}, which its gate needs; export it again")
        try:
            codes = (code for code in CHECKS if code in facts["thresholds"] or code not in OPTIONAL)
            thresholds = {code: float(facts["thresholds"][code]) for code in codes}
            if not all(math.isfinite(value) for value in thresholds.values()):
                raise ValueError("a threshold is NaN or infinite")
            gaussian, photographs = _read_arrays(bundle, "no_dermatoscope" in thresholds)
            return cls(gaussian, thresholds, photographs)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BundleError(
                f"bundle {bundle.path}: its gate cannot be understood ({error}); export the bundle again"
            ) from error

    def check(self, image_size: tuple[int, int], pixels: np.ndarray, features: np.ndarray) -> GateResult:
        """Look at one image.

        Args:
            image_size: width and height as it was sent, upright, pixels.
            pixels: prepared, uint8 (S, S, 3).
            features: of the network, (C,).

        Raises:
            BundleError: if the features have another length or are not finite.
        """
        if features.shape != self.gaussian.mean.shape:
            raise BundleError(
                f"features of shape {features.shape}; the gate was fitted on {self.gaussian.mean.shape}. Export the bundle again"
            )
        if not np.isfinite(features).all():
            raise BundleError("the network gives features that are NaN or infinite; do not use this bundle on this machine")
        measures = measure_quality(image_size, pixels)
        measures[DISTANCE] = float(self.gaussian.distance(features[None])[0])
        if self.photographs is not None:
            measures[PHOTOGRAPH] = float(self.photographs.score(features[None])[0])
        reasons = tuple(
            code for code, check in self.checks.items() if check.fails(measures[check.measure], self.thresholds[code])
        )
        return GateResult(not reasons, reasons, measures)


def _read_arrays(bundle: Bundle, with_photographs: bool) -> tuple[FeatureGaussian, PhotographScore | None]:
    """The arrays of gate.npz, each checked."""
    path = bundle.path / GATE_FILE
    names = (*ARRAYS, *PHOTOGRAPH_ARRAYS) if with_photographs else ARRAYS
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in names}
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise BundleError(f"{path} cannot be read ({error}); copy or export the bundle again") from error
    length, count = int((bundle.outputs["features"] or [0])[0]), arrays["spreads"].size
    shapes = {
        "mean": (length,),
        "directions": (length, count),
        "spreads": (count,),
        "rest": (),
        "normal": (length,),
        "offset": (),
    }
    if any(array.shape != shapes[name] or array.dtype != np.float32 for name, array in arrays.items()):
        raise BundleError(
            f"{path} holds a gate for features of shape {arrays['mean'].shape}, the network gives ({length},); "
            "export the bundle again"
        )
    positive = (arrays["spreads"] > 0).all() and arrays["rest"] > 0
    if not positive or not all(np.isfinite(array).all() for array in arrays.values()):
        raise BundleError(f"{path} holds numbers that are NaN, infinite or not above 0; export the bundle again")
    gaussian = FeatureGaussian(arrays["mean"], arrays["directions"], arrays["spreads"], float(arrays["rest"]))
    return gaussian, PhotographScore(arrays["normal"], float(arrays["offset"])) if with_photographs else None
