"""Thresholds that reach a stated specificity or sensitivity on the validation split."""

from __future__ import annotations

import math

import numpy as np


def threshold_for_specificity(truth: np.ndarray, scores: np.ndarray, specificity: float) -> float:
    """The lowest threshold that reaches a specificity, midway between two scores.

    Args:
        truth: which images are positive, bool (N,), not all of them.
        scores: (N,), in [0, 1]; an image at or above the threshold is called positive.
        specificity: share of the other images below the threshold, in (0, 1).

    >>> round(threshold_for_specificity(np.array([False] * 4 + [True]), np.array([0.1, 0.2, 0.3, 0.4, 0.36]), 0.75), 3)
    0.33
    """
    negatives = np.sort(scores[~truth])
    lower = float(negatives[_needed(specificity, len(negatives)) - 1])
    above = scores[scores > lower]
    return (lower + float(above.min())) / 2 if len(above) else math.nextafter(lower, math.inf)


def threshold_for_sensitivity(truth: np.ndarray, scores: np.ndarray, sensitivity: float) -> float:
    """The highest threshold that reaches a sensitivity, midway between two scores; see `threshold_for_specificity`.

    >>> round(threshold_for_sensitivity(np.array([True] * 4 + [False]), np.array([0.1, 0.2, 0.3, 0.4, 0.16]), 0.75), 3)
    0.18
    """
    positives = np.sort(scores[truth])[::-1]
    upper = float(positives[_needed(sensitivity, len(positives)) - 1])
    below = scores[scores < upper]
    return (upper + float(below.max())) / 2 if len(below) else upper / 2


def lesions_needed(share: float) -> int:
    """Fewest lesions on which a share can be told from 1: 20 for 0.95."""
    return math.ceil(1 / (1 - share) - 1e-9)


def _needed(share: float, count: int) -> int:
    """How many of `count` are at least that share; 1 at least."""
    return max(1, math.ceil(share * count - 1e-9))
