"""Metrics of ranked scores: area under the ROC curve, ROC and precision-recall curves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lesionlens.core.errors import DataError


@dataclass(frozen=True)
class Ranking:
    """Scores of one class against the rest, sorted once for fast evaluation under any weights.

    Attributes:
        positives: rows of the cases of the class, (P,).
        negatives: rows of the other cases by ascending score, (M,).
        below: how many negatives score below each positive, (P,).
        through: how many score below or equal, (P,).
    """

    positives: np.ndarray
    negatives: np.ndarray
    below: np.ndarray
    through: np.ndarray

    @classmethod
    def of(cls, truth: np.ndarray, scores: np.ndarray) -> Ranking:
        """Rank cases by `scores` (N,), where `truth` (N,) says which belong to the class."""
        positives, negatives = np.flatnonzero(truth), np.flatnonzero(~truth)
        negatives = negatives[np.argsort(scores[negatives], kind="stable")]
        others = scores[negatives]
        below = np.searchsorted(others, scores[positives], side="left")
        return cls(positives, negatives, below, np.searchsorted(others, scores[positives], side="right"))

    def auc(self, weights: np.ndarray) -> np.ndarray:
        """Weighted area under the ROC curve, (B,), for each row of `weights` (B, N).

        It is the share of (positive, negative) pairs in the right order, ties counting half
        (Hanley & McNeil 1982); NaN if all weight is on one side.
        """
        cumulated = np.zeros((len(weights), len(self.negatives) + 1))
        np.cumsum(weights[:, self.negatives], axis=1, out=cumulated[:, 1:])
        own = weights[:, self.positives]  # (B, P)
        beaten = np.einsum("bp,bp->b", own, cumulated[:, self.below] + cumulated[:, self.through]) / 2
        pairs = own.sum(1) * cumulated[:, -1]
        return np.asarray(np.divide(beaten, pairs, out=np.full(len(weights), np.nan), where=pairs > 0))

    def components(self) -> tuple[float, np.ndarray, np.ndarray]:
        """AUC and the structural components of DeLong (1988, equation 4), ties counting half.

        Returns:
            AUC; for each positive the share of negatives that it outranks, (P,); for each negative, in the order of
            `negatives`, the share of positives that outrank it, (M,). NaN and empty arrays if all cases are on one side.
        """
        n_positive, n_negative = len(self.positives), len(self.negatives)
        if not n_positive or not n_negative:
            return np.nan, np.zeros(0), np.zeros(0)
        positive = (self.below + self.through) / (2 * n_negative)
        places = np.arange(n_negative)
        above = n_positive - np.searchsorted(np.sort(self.below), places, side="right")  # positives with below > place
        through = n_positive - np.searchsorted(np.sort(self.through), places, side="right")
        return float(positive.mean()), positive, (above + through) / (2 * n_positive)


def auc(truth: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve, in [0, 1]; NaN if all cases are on one side.

    Args:
        truth: which cases are positive, bool (N,).
        scores: higher means more positive, (N,).

    Raises:
        DataError: if the shapes differ or there are no cases.
    """
    _check(truth, scores)
    return float(Ranking.of(truth, scores).auc(np.ones((1, len(truth))))[0])


@dataclass(frozen=True)
class RocCurve:
    """Points of a ROC curve, from (0, 0) to (1, 1).

    Attributes:
        false_positive_rate: 1 - specificity, ascending, (T,).
        true_positive_rate: sensitivity, ascending, (T,).
        thresholds: a score at or above it counts as positive; descending from infinity, (T,).
    """

    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray
    thresholds: np.ndarray


@dataclass(frozen=True)
class PrecisionRecallCurve:
    """Points of a precision-recall curve, recall descending to the last point (precision 1, recall 0).

    Attributes:
        precision: (T + 1,).
        recall: (T + 1,).
        thresholds: a score at or above it counts as positive; ascending, (T,).
    """

    precision: np.ndarray
    recall: np.ndarray
    thresholds: np.ndarray


def roc_curve(truth: np.ndarray, scores: np.ndarray) -> RocCurve:
    """ROC curve without points on a straight line between their neighbours.

    Args:
        truth: which cases are positive, bool (N,).
        scores: higher means more positive, (N,).

    Raises:
        DataError: if the shapes differ, or there are no positives or no negatives.
    """
    hits, false_alarms, thresholds = _counts_by_threshold(truth, scores)
    if not hits[-1] or not false_alarms[-1]:
        raise DataError(f"{hits[-1]} of {len(truth)} cases are positive; a ROC curve needs positives and negatives")
    bends = (np.diff(false_alarms, 2) != 0) | (np.diff(hits, 2) != 0)
    corners = np.concatenate([[True], bends, [True]]) if len(hits) > 2 else np.ones(len(hits), bool)
    hits, false_alarms, thresholds = hits[corners], false_alarms[corners], thresholds[corners]
    zero = np.zeros(1)
    return RocCurve(
        np.concatenate([zero, false_alarms / false_alarms[-1]]),
        np.concatenate([zero, hits / hits[-1]]),
        np.concatenate([[np.inf], thresholds]),
    )


def precision_recall_curve(truth: np.ndarray, scores: np.ndarray) -> PrecisionRecallCurve:
    """Precision-recall curve over every threshold; see `roc_curve` for the arguments.

    Raises:
        DataError: if the shapes differ or there are no positives.
    """
    hits, false_alarms, thresholds = _counts_by_threshold(truth, scores)
    if not hits[-1]:
        raise DataError(f"none of {len(truth)} cases is positive; a precision-recall curve needs some")
    precision, recall = hits / (hits + false_alarms), hits / hits[-1]
    return PrecisionRecallCurve(np.append(precision[::-1], 1.0), np.append(recall[::-1], 0.0), thresholds[::-1])


def average_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    """Area under the precision-recall curve as a sum of steps without interpolation, in [0, 1].

    Raises:
        DataError: if the shapes differ or there are no positives.
    """
    curve = precision_recall_curve(truth, scores)
    return float(-(np.diff(curve.recall) * curve.precision[:-1]).sum())


def _counts_by_threshold(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    _check(truth, scores)
    order = np.argsort(-scores, kind="stable")
    thresholds, positive = scores[order], truth[order]
    last = np.append(np.flatnonzero(np.diff(thresholds)), len(order) - 1)  # the last case of each run of equal scores
    hits = np.cumsum(positive)[last]
    return hits, last + 1 - hits, thresholds[last]


def _check(truth: np.ndarray, scores: np.ndarray) -> None:
    if truth.shape != scores.shape or truth.ndim != 1 or not len(truth):
        raise DataError(f"truth has shape {truth.shape} and scores {scores.shape}; both must be (N,) with N of 1 or more")
    if truth.dtype != np.bool_:
        raise DataError(f"truth is of type {truth.dtype}; it must be bool (for class c: labels == c)")
