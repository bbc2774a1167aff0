"""Shares of the diagnoses in new images, estimated without their labels (Saerens, Latinne & Decaestecker 2002)."""

from __future__ import annotations

import numpy as np

from lesionlens.core.errors import DataError

STEPS, PRECISION = 1000, 1e-8


def estimated_prior(probabilities: np.ndarray, training_prior: np.ndarray) -> np.ndarray:
    """Shares of the diagnoses in new images, by expectation maximisation over a model's probabilities.

    Equation 2.9 of Saerens et al., Neural Computation 14:21 (2002): probabilities are reweighted by the ratio of the shares,
    and the shares become their mean, until they converge. It assumes that only the shares differ from training and not what
    each diagnosis looks like, and that the probabilities are calibrated for `training_prior`.

    Args:
        probabilities: calibrated, (N, K).
        training_prior: shares in training, (K,), adding up to 1; a diagnosis of share 0 keeps it.

    Returns:
        Shares (K,), adding up to 1.

    Raises:
        DataError: if there are no images, or the shapes differ.

    Example:
        >>> probabilities = np.array([[0.9, 0.1]] * 9 + [[0.1, 0.9]])
        >>> estimated_prior(probabilities, np.array([0.5, 0.5])).round(2).tolist()
        [1.0, 0.0]
    """
    if not len(probabilities) or training_prior.shape != probabilities.shape[1:]:
        raise DataError(
            f"probabilities {probabilities.shape} and shares {training_prior.shape}; they must be (N, K) and (K,), N over 0"
        )
    likelihood = np.divide(probabilities, training_prior, out=np.zeros(probabilities.shape), where=training_prior > 0)
    prior = training_prior.astype(np.float64)
    for _ in range(STEPS):
        posterior = likelihood * prior
        posterior /= np.maximum(posterior.sum(axis=1, keepdims=True), 1e-300)
        before, prior = prior, posterior.mean(axis=0)
        if np.abs(prior - before).max() < PRECISION:
            break
    return np.asarray(prior / prior.sum())


def total_variation(first: np.ndarray, second: np.ndarray) -> float:
    """Half the sum of the differences of two sets of shares (K,), in [0, 1]."""
    return float(np.abs(first - second).sum() / 2)
