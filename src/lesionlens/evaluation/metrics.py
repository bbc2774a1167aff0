"""Metrics of a classifier from counts; every function takes a confusion matrix or a stack of them.

A diagnosis without cases has no recall, precision, F1 or AUC (NaN) and is left out of macro means.
A diagnosis with cases that is never predicted has precision and F1 of 0, as with scikit-learn's
`zero_division=0`.
"""

from __future__ import annotations

import numpy as np

from lesionlens.core.errors import DataError
from lesionlens.evaluation.calibration import negative_log_likelihood


def check_classes(labels: np.ndarray, predicted: np.ndarray, n_classes: int) -> None:
    """Refuse labels and predictions that do not match.

    Raises:
        DataError: if the shapes differ, there are no cases, or an index is outside [0, n_classes).
    """
    if labels.shape != predicted.shape or labels.ndim != 1:
        raise DataError(f"labels have shape {labels.shape} and predictions {predicted.shape}; both must be (N,)")
    if not len(labels):
        raise DataError("there are no cases to score; choose a split that holds images")
    for name, indices in (("labels", labels), ("predictions", predicted)):
        if indices.min() < 0 or indices.max() >= n_classes:
            raise DataError(f"{name} reach from {indices.min()} to {indices.max()}; they must lie in [0, {n_classes})")


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """Counts of true class (rows) against predicted class (columns), int64 (K, K).

    Args:
        labels: true class indices, (N,), each in [0, n_classes).
        predicted: predicted class indices, (N,).
        n_classes: number of diagnoses the model knows.

    Raises:
        DataError: if the shapes differ, there are no cases, or an index is out of range.

    Example:
        >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
        [[1, 1], [0, 1]]
    """
    check_classes(labels, predicted, n_classes)
    return np.bincount(labels * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)


def accuracy(confusion: np.ndarray) -> np.ndarray:
    """Share of cases whose first choice is right (top-1), shape (...); not the (TP+TN)/all of one class."""
    return _ratio(_hits(confusion).sum(-1), confusion.sum((-2, -1)))


def recall(confusion: np.ndarray) -> np.ndarray:
    """Recall (sensitivity) per class, (..., K): TP / (TP + FN); NaN without cases."""
    return _ratio(_hits(confusion), confusion.sum(-1))


def precision(confusion: np.ndarray) -> np.ndarray:
    """Precision per class, (..., K): TP / (TP + FP); 0 if never predicted, NaN without cases."""
    values = np.nan_to_num(_ratio(_hits(confusion), confusion.sum(-2)), nan=0.0)
    return np.where(present(confusion), values, np.nan)


def specificity(confusion: np.ndarray) -> np.ndarray:
    """Specificity per class, (..., K): TN / (TN + FP); NaN if every case is of this class."""
    total = confusion.sum((-2, -1))[..., None]
    negatives = total - confusion.sum(-1)
    false_positives = confusion.sum(-2) - _hits(confusion)
    return _ratio(negatives - false_positives, negatives)


def f1(confusion: np.ndarray) -> np.ndarray:
    """F1 per class, (..., K): 2 TP / (2 TP + FP + FN); NaN without cases."""
    values = _ratio(2 * _hits(confusion), confusion.sum(-1) + confusion.sum(-2))
    return np.where(present(confusion), values, np.nan)


def present(confusion: np.ndarray) -> np.ndarray:
    """Which classes have cases, bool (..., K)."""
    return np.asarray(confusion.sum(-1) > 0)


def macro(values: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Mean of per-class `values` (..., K) over the true entries of `classes` (..., K) that are defined."""
    counted = classes & ~np.isnan(values)
    return _ratio(np.where(counted, values, 0.0).sum(-1), counted.sum(-1))


PER_CLASS = {"precision": precision, "recall": recall, "specificity": specificity, "f1": f1}


def count_metrics(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """All metrics that depend on counts alone.

    Args:
        confusion: counts or weighted counts, (..., K, K), true class in rows.

    Returns:
        `precision recall specificity f1`, each (..., K), and `accuracy balanced_accuracy
        macro_precision macro_recall macro_specificity macro_f1`, each (...), in [0, 1] or NaN
        where undefined. Balanced accuracy is macro recall.
    """
    classes = present(confusion)
    metrics = {name: metric(confusion) for name, metric in PER_CLASS.items()}
    means = {f"macro_{name}": macro(values, classes) for name, values in metrics.items()}
    return {**metrics, "accuracy": accuracy(confusion), "balanced_accuracy": means["macro_recall"], **means}


def balanced_accuracy(labels: np.ndarray, predicted: np.ndarray, n_classes: int) -> float:
    """Mean recall over the diagnoses present in `labels`, in [0, 1].

    Args:
        labels: true class indices, (N,), each in [0, n_classes).
        predicted: predicted class indices, (N,).
        n_classes: number of diagnoses the model knows.

    Raises:
        DataError: if the shapes differ or there are no cases.

    Example:
        >>> balanced_accuracy(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 3)  # class 2 has no cases
        0.8333333333333333
    """
    return float(count_metrics(confusion_matrix(labels, predicted, n_classes))["balanced_accuracy"])


def validation_metrics(logits: np.ndarray, labels: np.ndarray, n_classes: int) -> dict[str, float]:
    """The metrics that select the best epoch: `loss` (mean NLL), `accuracy`, `balanced_accuracy`, `macro_f1`.

    Args:
        logits: (N, K).
        labels: true class indices, (N,).
        n_classes: K.

    Raises:
        DataError: if the shapes do not match or there are no cases.
    """
    if not len(labels):
        raise DataError("the validation split holds no images, so there is no best epoch; make another split")
    if logits.shape != (len(labels), n_classes):
        raise DataError(f"logits have shape {logits.shape}; they must be ({len(labels)}, {n_classes})")
    metrics = count_metrics(confusion_matrix(labels, logits.argmax(1), n_classes))
    selected = {name: float(metrics[name]) for name in ("accuracy", "balanced_accuracy", "macro_f1")}
    return {"loss": float(negative_log_likelihood(logits, labels).mean()), **selected}


def _hits(confusion: np.ndarray) -> np.ndarray:
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    denominator = np.asarray(denominator, dtype=float)
    undefined = np.full(np.shape(denominator), np.nan)
    return np.asarray(np.divide(numerator, denominator, out=undefined, where=denominator > 0))
