"""Recalibration of probabilities by a linear map of their logarithms.

All methods are one model, softmax(W log p + b), with more or fewer free numbers: temperature scaling has W = 1/T (Guo 2017,
section 4.2), vector scaling a diagonal W and b (the same), Dirichlet scaling a full W and b with a penalty on what is off the
diagonal and on b (Kull 2019, equation 9, ODIR). The map takes the logarithm of the probabilities, not the logits: these are
known only up to a number per image, on which vector and Dirichlet scaling would depend.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lesionlens.evaluation.calibration import log_softmax
from lesionlens.evaluation.temperature import fit_temperature

RIDGE = 1e-4  # keeps what the data do not determine near temperature scaling
MOST_STEPS, MOST_HALVINGS = 50, 30
PRECISION = 1e-9  # of the loss


@dataclass(frozen=True, eq=False)
class LinearMap:
    """softmax(W log p + b).

    Attributes:
        weights: W, (K, K).
        intercepts: b, (K,).
    """

    weights: np.ndarray
    intercepts: np.ndarray

    def log_probabilities(self, log_probabilities: np.ndarray) -> np.ndarray:
        """Recalibrated log-probabilities (N, K) of log-probabilities (N, K)."""
        return log_softmax(log_probabilities @ self.weights.T + self.intercepts)

    def to_json(self) -> dict[str, Any]:
        """Keys `weights` and `intercepts`."""
        return {"weights": self.weights.tolist(), "intercepts": self.intercepts.tolist()}


def temperature_map(log_probabilities: np.ndarray, labels: np.ndarray) -> LinearMap:
    """Temperature scaling, fitted as the bundle's; see `evaluation.temperature`."""
    n_classes = log_probabilities.shape[1]
    return LinearMap(np.eye(n_classes) / fit_temperature(log_probabilities, labels), np.zeros(n_classes))


def vector_map(log_probabilities: np.ndarray, labels: np.ndarray) -> LinearMap:
    """Vector scaling: a factor and an intercept for each diagnosis.

    Args:
        log_probabilities: (N, K).
        labels: true class indices, (N,), every class among them.
    """
    n_classes = log_probabilities.shape[1]
    is_free = np.hstack([np.eye(n_classes), np.ones((n_classes, 1))]).astype(bool)
    return _fit(log_probabilities, labels, is_free, np.full(is_free.shape, RIDGE))


def dirichlet_map(log_probabilities: np.ndarray, labels: np.ndarray, penalty: float) -> LinearMap:
    """Dirichlet scaling with the penalty `penalty` on the mean square of off-diagonal weights and of intercepts.

    Args:
        log_probabilities: (N, K).
        labels: true class indices, (N,), every class among them.
        penalty: lambda and mu of Kull 2019, above 0; they are for the mean loss of an image.
    """
    n_classes = log_probabilities.shape[1]
    penalties = np.full((n_classes, n_classes + 1), 2 * penalty / (n_classes * (n_classes - 1)))
    penalties[:, -1] = 2 * penalty / n_classes
    penalties[np.arange(n_classes), np.arange(n_classes)] = RIDGE
    return _fit(log_probabilities, labels, np.ones_like(penalties, dtype=bool), penalties)


def _fit(log_probabilities: np.ndarray, labels: np.ndarray, is_free: np.ndarray, penalties: np.ndarray) -> LinearMap:
    """Minimise the mean negative log-likelihood plus penalties / 2 times squared distances from temperature scaling.

    The loss is convex; Newton's method with halved steps finds its minimum.
    """
    n_images = len(labels)
    x = np.hstack([log_probabilities, np.ones((n_images, 1))])  # (N, K + 1)
    start = temperature_map(log_probabilities, labels)
    origin = np.hstack([start.weights, start.intercepts[:, None]])
    free, weight = is_free.ravel(), penalties.ravel()[is_free.ravel()]

    def loss(matrix: np.ndarray) -> float:
        nll = -log_softmax(x @ matrix.T)[np.arange(n_images), labels].mean()
        return float(nll + weight @ np.square((matrix - origin).ravel()[free]) / 2)

    matrix, value = origin.copy(), loss(origin)
    for _ in range(MOST_STEPS):
        gradient, curvature = _derivatives(x, labels, matrix)
        gradient = gradient[free] + weight * (matrix - origin).ravel()[free]
        direction = np.zeros(matrix.size)
        direction[free] = -np.linalg.solve(curvature[np.ix_(free, free)] + np.diag(weight), gradient)
        step = direction.reshape(matrix.shape)
        for _ in range(MOST_HALVINGS):
            if loss(matrix + step) <= value:
                break
            step = step / 2
        before, matrix = value, matrix + step
        value = loss(matrix)
        if before - value < PRECISION:
            break
    return LinearMap(matrix[:, :-1], matrix[:, -1])


def _derivatives(x: np.ndarray, labels: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradient (P,) and Hessian (P, P) of the mean negative log-likelihood by the P = K (K + 1) numbers of the matrix."""
    n_images, n_inputs = x.shape
    n_classes = len(matrix)
    p = np.exp(log_softmax(x @ matrix.T))
    gradient = (p - np.eye(n_classes)[labels]).T @ x / n_images
    products = (p[:, :, None] * x[:, None, :]).reshape(n_images, -1)  # (N, P)
    curvature = -(products.T @ products) / n_images
    for k in range(n_classes):
        block = slice(k * n_inputs, (k + 1) * n_inputs)
        curvature[block, block] += (p[:, k, None] * x).T @ x / n_images
    return gradient.ravel(), curvature
