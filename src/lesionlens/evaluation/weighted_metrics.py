"""All metrics of a set of predictions, for any weights of its cases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lesionlens.core.errors import DataError
from lesionlens.evaluation.calibration import ECE_BINS, brier_scores, confidence_bins, log_softmax
from lesionlens.evaluation.metrics import check_classes, count_metrics, macro, present
from lesionlens.evaluation.ranking import Ranking

OVERALL = (
    "accuracy",
    "balanced_accuracy",
    "macro_precision",
    "macro_recall",
    "macro_specificity",
    "macro_f1",
    "macro_auc",
    "ece",
    "brier",
    "nll",
)
PER_CLASS = ("precision", "recall", "specificity", "f1", "auc")


@dataclass(frozen=True)
class WeightedMetrics:
    """The terms that each case adds to each metric, computed once.

    A resample is a weight per case: 2 for a case drawn twice, 0 for one not drawn. The metrics of
    thousands of resamples are then sums over one array of weights.

    Attributes:
        n_classes: K.
        cells: true class * K + predicted class, (N,).
        rankings: per class, scores against the rest.
        bins: bin of the confidence for the calibration error, (N,).
        gaps: right (0 or 1) minus confidence, (N,).
        brier: Brier score of each case, (N,).
        nll: negative log-likelihood of each case, (N,).
    """

    n_classes: int
    cells: np.ndarray
    rankings: tuple[Ranking, ...]
    bins: np.ndarray
    gaps: np.ndarray
    brier: np.ndarray
    nll: np.ndarray

    @classmethod
    def of(cls, logits: np.ndarray, labels: np.ndarray) -> WeightedMetrics:
        """Compute the terms of predictions.

        Args:
            logits: (N, K).
            labels: true class indices, (N,).

        Raises:
            DataError: if the shapes do not match, there are no cases, or a logit is not finite.
        """
        if logits.ndim != 2 or len(logits) != len(labels):
            raise DataError(f"logits have shape {logits.shape} for {len(labels)} labels; they must be (N, K)")
        if not np.isfinite(logits).all():
            raise DataError("some logits are NaN or infinite; predict again with an undamaged checkpoint")
        n_classes, predicted = logits.shape[1], logits.argmax(1)
        check_classes(labels, predicted, n_classes)
        logs = log_softmax(logits)
        probabilities = np.exp(logs)
        confidence = probabilities.max(1)
        return cls(
            n_classes=n_classes,
            cells=labels * n_classes + predicted,
            rankings=tuple(Ranking.of(labels == c, probabilities[:, c]) for c in range(n_classes)),
            bins=confidence_bins(confidence),
            gaps=(labels == predicted) - confidence,
            brier=brier_scores(probabilities, labels),
            nll=-logs[np.arange(len(labels)), labels],
        )

    def __len__(self) -> int:
        return len(self.cells)

    def confusion(self, weights: np.ndarray) -> np.ndarray:
        """Weighted confusion matrices (B, K, K), true class in rows, for `weights` (B, N)."""
        return _sums_by_key(self.cells, weights, self.n_classes**2).reshape(-1, self.n_classes, self.n_classes)

    def metrics(self, weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Every metric for each weighting.

        Args:
            weights: weight of each case, float (B, N), each row with a positive sum; one row of ones if
                None.

        Returns:
            Each name of `OVERALL` with shape (B,), each of `PER_CLASS` with shape (B, K). NaN where
            a metric is undefined; see `evaluation.metrics`.
        """
        weights = np.ones((1, len(self))) if weights is None else weights
        confusion, total = self.confusion(weights), weights.sum(1)
        metrics = count_metrics(confusion)
        metrics["auc"] = np.stack([ranking.auc(weights) for ranking in self.rankings], axis=1)
        metrics["macro_auc"] = macro(metrics["auc"], present(confusion))
        metrics["ece"] = np.abs(_sums_by_key(self.bins, weights * self.gaps, ECE_BINS)).sum(1) / total
        metrics["brier"] = weights @ self.brier / total
        metrics["nll"] = weights @ self.nll / total
        return metrics


def _sums_by_key(keys: np.ndarray, weights: np.ndarray, n_keys: int) -> np.ndarray:
    rows = len(weights)
    places = keys[None] + n_keys * np.arange(rows)[:, None]  # (B, N)
    return np.bincount(places.ravel(), weights.ravel(), rows * n_keys).reshape(rows, n_keys)
