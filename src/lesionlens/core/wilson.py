"""The score interval of a proportion, for all that count cases, with and without torch."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np


def wilson(value: np.ndarray, n: np.ndarray, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Score interval of Wilson (1927) for proportions of `n` cases, which may be a fraction.

    Args:
        value: proportions in [0, 1], any shape.
        n: number of independent cases, above 0.
        confidence: level, in (0, 1).

    >>> [round(float(end), 3) for end in wilson(np.array(0.5), np.array(10))]
    [0.237, 0.763]
    """
    z2 = NormalDist().inv_cdf((1 + confidence) / 2) ** 2
    centre = (value + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (value * (1 - value) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)
