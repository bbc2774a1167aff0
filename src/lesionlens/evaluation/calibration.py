"""Calibration of probabilities: calibration error, Brier score, likelihood, reliability bins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ECE_BINS = 15


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities (N, K), float64, of logits (N, K)."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (N, K), float64, of logits (N, K)."""
    return np.asarray(np.exp(log_softmax(logits)))


def negative_log_likelihood(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Minus the log-probability of the true class, natural logarithm, (N,)."""
    return np.asarray(-log_softmax(logits)[np.arange(len(labels)), labels])


def brier_scores(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Squared distance of the probabilities to the one-hot truth, (N,), in [0, 2].

    Summed over all classes as in Brier 1950, equation 2, and scikit-learn's multi-class score; with
    two classes it is twice the usual binary score.
    """
    truth = np.eye(probabilities.shape[1])[labels]
    return np.asarray(np.square(probabilities - truth).sum(axis=1))


def confidence_bins(confidence: np.ndarray, bins: int = ECE_BINS) -> np.ndarray:
    """Bin of each confidence among `bins` of equal width: bin b holds (b/bins, (b+1)/bins], 0 goes to the first."""
    return np.asarray(np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1))


@dataclass(frozen=True)
class ReliabilityBin:
    """One bar of a reliability diagram.

    Attributes:
        low: lower edge of the confidence, excluded.
        high: upper edge, included.
        n: cases in the bin.
        confidence: their mean confidence, NaN if there are none.
        accuracy: their share of correct predictions, NaN if there are none.
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


def reliability_bins(probabilities: np.ndarray, labels: np.ndarray, bins: int = ECE_BINS) -> tuple[ReliabilityBin, ...]:
    """Mean confidence and accuracy of the first choice, by bins of equal width.

    Args:
        probabilities: (N, K).
        labels: true class indices, (N,).
        bins: number of bins.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    place = confidence_bins(confidence, bins)
    n = np.bincount(place, minlength=bins)
    means = [
        np.divide(np.bincount(place, values, bins), n, out=np.full(bins, np.nan), where=n > 0) for values in (confidence, right)
    ]
    return tuple(ReliabilityBin(b / bins, (b + 1) / bins, int(n[b]), float(means[0][b]), float(means[1][b])) for b in range(bins))


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = ECE_BINS) -> float:
    """Top-label ECE of Guo 2017, equation 3: bins of equal width over the confidence, weighted by their cases.

    Args:
        probabilities: (N, K).
        labels: true class indices, (N,).
        bins: number of bins; 15 as in Guo 2017.

    Returns:
        A value in [0, 1].
    """
    filled = [bar for bar in reliability_bins(probabilities, labels, bins) if bar.n]
    return sum(bar.n * abs(bar.accuracy - bar.confidence) for bar in filled) / len(labels)
