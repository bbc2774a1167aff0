"""Images whose label is probably wrong, by confident learning.

Northcutt, Jiang & Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", J. Artif. Intell. Res. 70 (2021),
section 3.1. It assumes predictions for images that the network did not train on, and a network whose errors are not those of
the labels; what it lists is for an expert to look at, not to be deleted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class LabelErrors:
    """What confident learning says of labels.

    Attributes:
        joint: confident joint, counts of images by given label (rows) and confident class (columns), int (K, K).
        rows: images off its diagonal, most certain first, (M,).
        suggested: their confident classes, (M,).
        margin: probability of the confident class minus that of the label, (M,); above 0 where the network prefers it.
    """

    joint: np.ndarray
    rows: np.ndarray
    suggested: np.ndarray
    margin: np.ndarray


def label_errors(probabilities: np.ndarray, labels: np.ndarray) -> LabelErrors:
    """Find likely label errors (equations 1 and 2 of the paper).

    The threshold of a class is the mean probability that images with its label get for it. An image counts for the
    most probable class among those whose threshold it reaches; if that is not its label, the label is in doubt. Images that
    reach no threshold count for nothing. Ranked by normalised margin (section 3.2, method 2).

    Args:
        probabilities: of images not trained on, (N, K).
        labels: given labels, (N,).

    Example:
        >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.1, 0.9]])
        >>> label_errors(p, np.array([0, 0, 1, 1, 0])).rows.tolist()
        [4]
    """
    n_classes = probabilities.shape[1]
    given = [labels == c for c in range(n_classes)]
    thresholds = np.array([probabilities[mask, c].mean() if mask.any() else np.inf for c, mask in enumerate(given)])
    reached = np.where(probabilities >= thresholds, probabilities, -1.0)
    confident, counted = reached.argmax(1), reached.max(1) >= 0
    joint = np.zeros((n_classes, n_classes), np.int64)
    np.add.at(joint, (labels[counted], confident[counted]), 1)
    rows = np.flatnonzero(counted & (confident != labels))
    margin = probabilities[rows, confident[rows]] - probabilities[rows, labels[rows]]
    order = np.lexsort((rows, -margin))
    return LabelErrors(joint, rows[order], confident[rows[order]], margin[order])
