"""Temperature scaling: calibrate probabilities with one number."""

from __future__ import annotations

import numpy as np

from lesionlens.core.errors import DataError
from lesionlens.evaluation.calibration import log_softmax, negative_log_likelihood

LOWEST, HIGHEST = 0.05, 20.0
PRECISION = 1e-9
MOST_STEPS = 100


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature T of Guo 2017, section 4.2: it minimises the negative log-likelihood of softmax(logits / T).

    The loss is convex in b = 1 / T, with derivative mean(E_p[z] - z_y) and curvature mean(Var_p[z]),
    p = softmax(b z). Newton steps stay inside a bracket that shrinks around the root.

    Args:
        logits: (N, K).
        labels: true class indices, (N,).

    Returns:
        T in [0.05, 20]; an end of that range if the loss still decreases there, as it does if all
        predictions are correct.

    Raises:
        DataError: if there are no cases, the shapes differ, or a logit is not finite.
    """
    if logits.ndim != 2 or labels.shape != (len(logits),) or not len(logits):
        raise DataError(f"logits {logits.shape} and labels {labels.shape}; a temperature needs (N, K) and (N,), N at least 1")
    if not np.isfinite(logits).all():
        raise DataError("some logits are NaN or infinite; predict again with an undamaged checkpoint")
    low, high = 1 / HIGHEST, 1 / LOWEST  # bracket of b
    if _slope(low, logits, labels)[0] >= 0:
        return HIGHEST
    if _slope(high, logits, labels)[0] <= 0:
        return LOWEST
    b = 1.0
    for _ in range(MOST_STEPS):
        slope, curvature = _slope(b, logits, labels)
        low, high = (low, b) if slope > 0 else (b, high)
        newton = b - slope / curvature if curvature > 0 else high
        step = newton if low < newton < high else (low + high) / 2
        if abs(step - b) <= PRECISION * b:
            break
        b = step
    return float(1 / b)


def scaled_loss(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    """Mean negative log-likelihood of softmax(logits / temperature), natural logarithm."""
    return float(negative_log_likelihood(logits.astype(np.float64) / temperature, labels).mean())


def _slope(b: float, logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """First and second derivative of the mean loss by b."""
    z = logits.astype(np.float64)
    p = np.exp(log_softmax(b * z))
    mean = (p * z).sum(axis=1)
    variance = (p * np.square(z - mean[:, None])).sum(axis=1)
    return float((mean - z[np.arange(len(z)), labels]).mean()), float(variance.mean())
