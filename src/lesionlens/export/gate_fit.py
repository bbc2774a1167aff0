"""Fit a gate: the distribution of features on training images, the thresholds on validation images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from lesionlens.bundle.gate import (
    ARRAYS,
    CHECKS,
    DISTANCE,
    GATE_FILE,
    PHOTOGRAPH,
    PHOTOGRAPH_ARRAYS,
    FeatureGaussian,
    PhotographScore,
    unit_length,
)
from lesionlens.bundle.quality import SHARPNESS
from lesionlens.core.errors import DataError, RecipeError

METHOD = "Mahalanobis distance of length-1 features, one mean, shrunk covariance (Ledoit & Wolf 2004)"
DIRECTIONS = 256
REJECTION_RATE = 0.02
SHARES = {
    **{"not_dermoscopic": 0.25, "no_dermatoscope": 0.35},
    **{"blurred": 0.1, "too_dark": 0.1, "too_bright": 0.1, "clipped": 0.1},
}
DARK = ("blurred", "too_dark")  # darker skin has less contrast and less light
PENALTY = 0.1  # of the squared weights, against the sum of the images' losses (scikit-learn's C = 10)
MARGIN = 0.5  # of the distance from median to worst image, beyond the worst, where no image may be rejected
SMALLEST_SPREAD = 1e-5  # of features of length 1
RATES = (0.0001, 0.2)
ROUNDING = 1e-9  # of logarithms
LOGARITHMIC = (SHARPNESS, DISTANCE)


@dataclass(frozen=True, eq=False)
class TrainingFeatures:
    """What a gate learns from.

    Attributes:
        images: features of training images, (N, C).
        other_tone: of some of them with another skin tone, (T, C); None for none.
        photographs: of photographs without a dermatoscope, (P, C); None leaves that check out.
    """

    images: np.ndarray
    other_tone: np.ndarray | None = None
    photographs: np.ndarray | None = None

    @property
    def dermoscopic(self) -> np.ndarray:
        """Features of what is to pass, (N + T, C)."""
        return self.images if self.other_tone is None else np.concatenate([self.images, self.other_tone])


@dataclass(frozen=True, eq=False)
class FittedGate:
    """The result of fitting a gate.

    Attributes:
        gaussian: distribution of the training features.
        facts: for `bundle.json`, see docs/gate.md.
        distances: of the validation images, (M,).
        photographs: tells photographs without a dermatoscope; None if there were none to fit it on.
    """

    gaussian: FeatureGaussian
    facts: dict[str, Any]
    distances: np.ndarray
    photographs: PhotographScore | None = None


def check_rate(rate: float) -> None:
    """Refuse a rejection rate out of range.

    Raises:
        RecipeError: if it is out of range.
    """
    if not RATES[0] <= rate <= RATES[1]:
        raise RecipeError(f"rejection rate {rate}; it must be from {RATES[0]} to {RATES[1]} (0.02 rejects 2 % of good images)")


def fit_gate(
    features: TrainingFeatures,
    validation: Mapping[str, np.ndarray],
    validation_features: np.ndarray,
    smallest_side_px: float,
    rate: float = REJECTION_RATE,
    dark: Mapping[str, np.ndarray] | None = None,
) -> FittedGate:
    """Fit the distribution and choose the thresholds.

    Args:
        features: what it learns from.
        validation: measures of `quality.measure_quality` by name, each (M,).
        validation_features: of the same validation images, (M, C).
        smallest_side_px: shorter sides below this are too small.
        rate: share of the validation images that all checks together may reject.
        dark: measures of quality of the same images with the darkest skin, by name, each (M,). The checks of `DARK` are chosen
            on them, so that they do not take dark skin for a fault; None: on the images as they are.

    Raises:
        DataError: if there are no images, or features are not finite.
        RecipeError: if the rate is out of range.
    """
    check_rate(rate)
    gaussian, shrinkage = fit_gaussian(features.dermoscopic)
    if not len(validation_features) or not np.isfinite(validation_features).all():
        raise DataError(f"{len(validation_features)} validation images with finite features are not enough to set thresholds")
    measures = {**validation, DISTANCE: gaussian.distance(validation_features)}
    photographs = None
    if features.photographs is not None:
        photographs = fit_photograph_score(features.dermoscopic, features.photographs)
        measures[PHOTOGRAPH] = photographs.score(validation_features)
    thresholds, allowed = choose_thresholds(measures, rate, dark)
    thresholds["too_small"] = float(smallest_side_px)
    facts = {
        "file": GATE_FILE,
        "method": METHOD,
        "fitted": {
            **{"split": "train", "n_images": len(features.images), "directions": len(gaussian.spreads), "shrinkage": shrinkage},
            "n_other_tone": len(features.dermoscopic) - len(features.images),
            "n_photographs": 0 if features.photographs is None else len(features.photographs),
        },
        "rejection_rate": rate,
        "chosen_on_dark_skin": [] if dark is None else list(DARK),
        "shares": _shares(measures),
        "thresholds": {code: thresholds[code] for code in CHECKS if code in thresholds},
        "validation": _outcome(measures, thresholds, allowed),
    }
    return FittedGate(gaussian, facts, measures[DISTANCE], photographs)


def fit_photograph_score(dermoscopic: np.ndarray, photographs: np.ndarray) -> PhotographScore:
    """Logistic regression with an L2 penalty on features of length 1.

    Args:
        dermoscopic: features of dermoscopic images, (N, C).
        photographs: features of photographs without a dermatoscope, (P, C).

    Raises:
        DataError: if either has no rows, or features are not finite.
    """
    if not len(dermoscopic) or not len(photographs) or not np.isfinite(photographs).all():
        raise DataError(
            f"{len(dermoscopic)} dermoscopic images and {len(photographs)} photographs; a gate needs both, with finite features"
        )
    features = unit_length(np.concatenate([dermoscopic, photographs])).astype(np.float64)
    labels = np.repeat([0.0, 1.0], [len(dermoscopic), len(photographs)])

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        scores = features @ weights[:-1] + weights[-1]
        residuals = expit(scores) - labels
        value = np.logaddexp(0, scores).sum() - labels @ scores + PENALTY * weights[:-1] @ weights[:-1] / 2
        return float(value), np.append(residuals @ features + PENALTY * weights[:-1], residuals.sum())

    found = minimize(loss, np.zeros(features.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 2000, "ftol": 1e-12})
    return PhotographScore(found.x[:-1].astype(np.float32), float(np.float32(found.x[-1])))


def write_gate(fitted: FittedGate, folder: Path) -> None:
    """Write gate.npz into the folder of a bundle."""
    gaussian = fitted.gaussian
    arrays = {name: np.asarray(getattr(gaussian, name), dtype=np.float32) for name in ARRAYS}
    if fitted.photographs is not None:
        arrays |= {name: np.asarray(getattr(fitted.photographs, name), dtype=np.float32) for name in PHOTOGRAPH_ARRAYS}
    with (folder / GATE_FILE).open("wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]  # allow_pickle is no array


def fit_gaussian(features: np.ndarray, directions: int = DIRECTIONS) -> tuple[FeatureGaussian, float]:
    """Fit the distribution of features of length 1, with a shrunk covariance.

    The covariance is that of Ledoit & Wolf (2004), which is well conditioned with fewer
    images than features; the eigenvectors of largest variance are kept and the rest share their mean variance.

    Args:
        features: (N, C), any N of at least 1.
        directions: most eigenvectors to keep.

    Returns:
        The distribution, and the shrinkage in [0, 1].

    Raises:
        DataError: if there are no features, or some are not finite.
    """
    if features.ndim != 2 or not len(features) or not np.isfinite(features).all():
        raise DataError(f"features of shape {features.shape}; a gate needs (N, C), at least one image, no NaN")
    unit = unit_length(features).astype(np.float64)
    mean = unit.mean(axis=0)
    centred = unit - mean
    variances, vectors = _eigen(centred)
    width, total = centred.shape[1], float(variances.sum())
    shrinkage = ledoit_wolf_shrinkage(centred, variances)
    shrunk = (1 - shrinkage) * variances + shrinkage * total / width
    count = min(directions, len(variances), width)
    left = (1 - shrinkage) * variances[count:].sum() / max(1, width - count) + shrinkage * total / width
    spreads = np.sqrt(np.maximum(shrunk[:count], SMALLEST_SPREAD**2))
    rest = max(float(np.sqrt(left)), SMALLEST_SPREAD)
    stored = [array.astype(np.float32) for array in (mean, vectors[:, :count], spreads)]
    return FeatureGaussian(stored[0], stored[1], stored[2], float(np.float32(rest))), shrinkage


def ledoit_wolf_shrinkage(centred: np.ndarray, variances: np.ndarray) -> float:
    """Weight with which the covariance is shrunk towards a multiple of the identity, in [0, 1].

    Ledoit & Wolf, J. Multivariate Analysis 88:365 (2004), section 3.2, with known mean.

    Args:
        centred: features minus their mean, (N, C).
        variances: eigenvalues of their covariance, zeros may be left out.
    """
    count, width = centred.shape
    mean_variance = variances.sum() / width
    spread = np.square(variances).sum() / width - mean_variance**2  # d^2
    fourth = np.square(np.square(centred).sum(axis=1)).sum() / count
    error = (fourth - np.square(variances).sum()) / (width * count)  # b-bar^2
    if spread <= 0:
        return 1.0
    return float(np.clip(error / spread, 0, 1))


def choose_thresholds(
    measures: Mapping[str, np.ndarray], rate: float, dark: Mapping[str, np.ndarray] | None = None
) -> tuple[dict[str, float], dict[str, int]]:
    """Thresholds at which all checks together reject at most `rate` of the images, divided as in `SHARES`.

    Every check may reject its worst images, in number its share of one common level; the level is
    raised until any check would reject more than `rate` of the images. A check that may reject
    none gets a threshold beyond the worst image, see `MARGIN`.

    Args:
        measures: by name, each (M,).
        rate: share of the images, in (0, 1).
        dark: see `fit_gate`.

    Returns:
        Thresholds by code, and the number of images that each check may reject.
    """
    shares = _shares(measures)
    looked_at = {code: dark if dark is not None and code in DARK else measures for code in shares}
    badness = {code: _badness(code, looked_at[code][CHECKS[code].measure]) for code in shares}
    count = len(next(iter(badness.values())))
    order = {code: np.argsort(-values, kind="stable") for code, values in badness.items()}
    levels = np.full(count, np.inf)  # at which an image is rejected, by any check
    for code, share in shares.items():
        rank = np.empty(count)
        rank[order[code]] = np.arange(1, count + 1)
        levels = np.minimum(levels, rank / (share * count))
    most = int(np.floor(rate * count + 1e-9))
    level = np.sort(levels)[most] if most < count else np.inf  # of the first image that must stay
    allowed = {code: max(0, int(np.ceil(share * count * level - 1e-9)) - 1) for code, share in shares.items()}
    return {code: _threshold(code, badness[code][order[code]], allowed[code]) for code in shares}, allowed


def _shares(measures: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The shares of the checks whose measure is there, together 1."""
    shares = {code: share for code, share in SHARES.items() if CHECKS[code].measure in measures}
    return {code: share / sum(shares.values()) for code, share in shares.items()}


def smallest_side(size: int, sides_px: np.ndarray | None) -> float:
    """Shortest side of an image that is not too small, pixels.

    Half the side of the network's input, so that no image is enlarged more than twice; less if
    images of the validation split are smaller themselves; 0 if their sizes are not known.

    Args:
        size: side of the network's input, pixels.
        sides_px: shorter sides of the validation images before preparation, or None.
    """
    return 0.0 if sides_px is None or not len(sides_px) else float(min(np.ceil(size / 2), sides_px.min()))


def _eigen(centred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues (R,), falling, and eigenvectors (C, R) of the covariance, R = min(N, C)."""
    count, width = centred.shape
    if width <= count:
        values, vectors = np.linalg.eigh(centred.T @ centred / count)
        return np.maximum(values[::-1], 0), vectors[:, ::-1]
    _, singular, rows = np.linalg.svd(centred, full_matrices=False)
    return np.square(singular) / count, rows.T


def _badness(code: str, values: np.ndarray) -> np.ndarray:
    """Values turned so that larger is worse, on a logarithmic scale where they span decades."""
    scaled = np.log(np.maximum(values, 1e-12)) if CHECKS[code].measure in LOGARITHMIC else np.asarray(values, dtype=np.float64)
    return -scaled if CHECKS[code].below else scaled


def _threshold(code: str, falling: np.ndarray, allowed: int) -> float:
    """Threshold that rejects the `allowed` worst images (fewer if several are equally bad), or none of those seen."""
    best = float(falling[min(allowed, len(falling) - 1)])
    edge = (best + float(falling[allowed - 1])) / 2 if allowed else best + MARGIN * (best - float(np.median(falling)))
    if CHECKS[code].measure not in LOGARITHMIC:
        return -edge if CHECKS[code].below else edge
    edge += ROUNDING
    return float(np.exp(-edge if CHECKS[code].below else edge))


def _outcome(measures: Mapping[str, np.ndarray], thresholds: dict[str, float], allowed: dict[str, int]) -> dict[str, Any]:
    """Effect of the thresholds on the images that they were chosen on."""
    rejected = {}
    for code, threshold in thresholds.items():
        values = measures.get(CHECKS[code].measure, np.empty(0))
        rejected[code] = np.array([CHECKS[code].fails(float(value), threshold) for value in values], dtype=bool)
    count = len(measures[DISTANCE])
    any_check = np.any([mask for mask in rejected.values() if len(mask)], axis=0)
    expected = sum((number + 1) / (count + 1) for number in allowed.values())
    return {
        "split": "validation",
        "n_images": count,
        "rejected": {code: int(mask.sum()) for code, mask in rejected.items()},
        "rejected_by_any": int(any_check.sum()),
        "share_rejected": float(any_check.mean()),
        "expected_at_most": float(min(1.0, expected)),
    }
