"""Expected calibration error without its bias, with an interval and a test of calibration.

The plain ECE of Guo 2017 is a sum of absolute values, so noise alone makes it positive: a perfectly calibrated model has
an ECE of about 0.02 on 1,000 images. Kumar, Liang & Ma (2019) remove this bias with a normal approximation of the
errors of the bins. Here the same approximation, with the covariance of lesions, gives the whole distribution of the plain
ECE for any true ECE: the estimate is the true ECE under which the plain one is a median, the interval holds those under
which it is not extreme, and the test of calibration asks how extreme it is under 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lesionlens.core.seeds import generator
from lesionlens.evaluation.calibration import ECE_BINS
from lesionlens.evaluation.proportions import Lesions
from lesionlens.evaluation.weighted_metrics import WeightedMetrics

DRAWS = 4000
STEPS = 40  # of the bisection: below 1e-12


@dataclass(frozen=True)
class CalibrationError:
    """Expected calibration error of the first choice.

    Attributes:
        value: debiased estimate, in [0, 1].
        low: lower bound; 0 unless the plain ECE is too large for a calibrated model.
        high: upper bound.
        plain: the ECE of Guo 2017, biased upwards.
        p: one-sided p of the hypothesis that the model is calibrated (in every bin).
    """

    value: float
    low: float
    high: float
    plain: float
    p: float


def calibration_error(cases: WeightedMetrics, lesions: Lesions, confidence: float = 0.95, seed: int = 0) -> CalibrationError:
    """Debiased ECE with interval and test.

    Args:
        cases: the predictions.
        lesions: lesions of the images.
        confidence: level of the interval, in (0, 1).
        seed: of the draws from the normal approximation.

    Returns:
        The estimate lies inside its interval. The bounds are NaN with fewer than two lesions.
    """
    errors, covariance = _bin_errors(cases.bins, cases.gaps, lesions)
    plain = float(np.abs(errors).sum())
    if len(lesions) < 2:
        return CalibrationError(np.nan, np.nan, np.nan, plain, np.nan)
    noise = generator("calibration", seed).standard_normal((DRAWS, len(errors))) @ _root(covariance)
    direction = errors / plain if plain > 0 else np.zeros_like(errors)
    tail = (1 - confidence) / 2
    high, value, low = (_error_with_quantile(share, plain, direction, noise) for share in (tail, 0.5, 1 - tail))
    p = (1 + (np.abs(noise).sum(1) >= plain).sum()) / (1 + DRAWS)
    return CalibrationError(value, low, high, plain, float(p))


def _bin_errors(bins: np.ndarray, gaps: np.ndarray, lesions: Lesions) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the gaps of each bin over all images, divided by N, (bins,), and its covariance by lesion.

    The variance of a bin is at least what its confidences imply for independent images: where a bin happens to hold no error,
    its gaps hardly vary.
    """
    n_images = len(gaps)
    by_bin = np.zeros((n_images, ECE_BINS))
    by_bin[np.arange(n_images), bins] = gaps
    totals, sizes = lesions.totals(by_bin), lesions.totals(np.ones(n_images))
    errors = totals.sum(0) / n_images
    residuals = totals - np.outer(sizes, errors)  # of a ratio: the number of images is random, too
    covariance = residuals.T @ residuals * (len(lesions) / max(1, len(lesions) - 1) / n_images**2)
    confidence = np.where(gaps > 0, 1 - gaps, -gaps)
    implied = np.bincount(bins, confidence * (1 - confidence), ECE_BINS) / n_images**2
    return errors, covariance + np.diag(np.maximum(0, implied - np.diagonal(covariance)))


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(np.sqrt(np.clip(values, 0, None))[:, None] * vectors.T)


def _error_with_quantile(share: float, plain: float, direction: np.ndarray, noise: np.ndarray) -> float:
    """The true ECE along `direction` under which a share of the plain ones lies below `plain`; 0 if there is none.

    That share falls as the true ECE grows (Anderson 1955), so bisection finds it.
    """
    low, high = 0.0, 1.0
    if (np.abs(noise).sum(1) <= plain).mean() <= share:
        return 0.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        below = (np.abs(middle * direction + noise).sum(1) <= plain).mean()
        low, high = (middle, high) if below > share else (low, middle)
    return (low + high) / 2
