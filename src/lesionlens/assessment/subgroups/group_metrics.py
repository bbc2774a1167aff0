"""The metrics of one subgroup, each with the interval that suits it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lesionlens.assessment.shares import proportion, undefined
from lesionlens.core.diagnoses import is_melanoma
from lesionlens.core.labels import LabelSet
from lesionlens.evaluation.delong import clustered_auc
from lesionlens.evaluation.intervals import Interval
from lesionlens.evaluation.metric_intervals import metric_intervals
from lesionlens.evaluation.predictions import Predictions
from lesionlens.evaluation.proportions import Lesions
from lesionlens.evaluation.ranking import Ranking
from lesionlens.evaluation.ratio_intervals import too_few
from lesionlens.evaluation.weighted_metrics import WeightedMetrics

METRICS = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "auc_melanoma": "AUC, melanoma against the rest",
    "auc_malignant": "AUC, malignant against benign",
    "sensitivity_malignant": "Sensitivity, malignant",
    "specificity_malignant": "Specificity, malignant",
    "ece": "Calibration error (ECE)",
}
LEAST_RESAMPLES = 100  # only Brier score and likelihood need more, and they are not reported by subgroup


@dataclass(frozen=True, eq=False)
class Cases:
    """Predictions of N images, ready for any subgroup of them.

    Attributes:
        logits: float (N, K).
        labels: true class indices, (N,).
        lesion_ids: lesion of each image, (N,).
        label_set: the diagnoses.
        probabilities: float64 (N, K).
    """

    logits: np.ndarray
    labels: np.ndarray
    lesion_ids: np.ndarray
    label_set: LabelSet
    probabilities: np.ndarray

    @classmethod
    def of(cls, predictions: Predictions) -> Cases:
        """The cases of predictions."""
        return cls(
            predictions.logits,
            predictions.labels,
            predictions.lesion_ids,
            predictions.label_set,
            predictions.probabilities,
        )

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> Cases:
        """Some of the cases, by row numbers or mask."""
        return Cases(self.logits[rows], self.labels[rows], self.lesion_ids[rows], self.label_set, self.probabilities[rows])

    @property
    def n_lesions(self) -> int:
        """Number of lesions."""
        return len(np.unique(self.lesion_ids))


def melanoma_classes(labels: LabelSet) -> np.ndarray:
    """Which diagnoses are melanoma or a kind of it, bool (K,)."""
    return np.array([is_melanoma(diagnosis) for diagnosis in labels.diagnoses])


def group_metrics(cases: Cases, confidence: float = 0.95, seed: int = 0) -> dict[str, Interval]:
    """Every metric of `METRICS` with its interval.

    A metric without enough lesions (see `metric_intervals`) has its value, no interval, and the reason; one that the
    diagnoses do not allow has no value either.

    Args:
        cases: of the subgroup, at least one.
        confidence: level, in (0, 1).
        seed: of the draws for the calibration error.
    """
    intervals = metric_intervals(
        WeightedMetrics.of(cases.logits, cases.labels), cases.lesion_ids, LEAST_RESAMPLES, confidence, seed
    )
    malignant, melanoma = np.array(cases.label_set.malignant), melanoma_classes(cases.label_set)
    sensitivity, specificity = _malignant_calls(cases, malignant, confidence)
    return {
        "accuracy": intervals["accuracy"][0],
        "balanced_accuracy": intervals["balanced_accuracy"][0],
        "auc_melanoma": auc_interval(cases, melanoma, "melanoma", confidence),
        "auc_malignant": auc_interval(cases, malignant, "malignant diagnoses", confidence),
        "sensitivity_malignant": sensitivity,
        "specificity_malignant": specificity,
        "ece": intervals["ece"][0],
    }


def auc_interval(cases: Cases, classes: np.ndarray, name: str, confidence: float = 0.95) -> Interval:
    """AUC of a set of diagnoses against all others, by the sum of their probabilities, with DeLong's interval for lesions.

    Args:
        cases: the predictions.
        classes: which diagnoses count as positive, bool (K,).
        name: of these diagnoses, for the reason.
        confidence: level, in (0, 1).
    """
    if not classes.any():
        return undefined(f"the label set holds no {name}")
    truth = classes[cases.labels]
    if not truth.any() or truth.all():
        return undefined(f"{'only' if truth.any() else 'no'} images of {name}")
    auc = clustered_auc(Ranking.of(truth, cases.probabilities[:, classes].sum(1)), Lesions.of(cases.lesion_ids))
    if reason := too_few(auc.n_positive, f"of {name}") or too_few(auc.n_negative, "of the rest"):
        return Interval(auc.value, np.nan, np.nan, "", reason)
    return Interval(auc.value, *auc.bounds(confidence), method="delong-logit")


def _malignant_calls(cases: Cases, malignant: np.ndarray, confidence: float) -> tuple[Interval, Interval]:
    """Sensitivity and specificity of a malignant first choice."""
    if not malignant.any():
        reason = "the label set holds no malignant diagnosis"
        return undefined(reason), undefined(reason)
    truth, called = malignant[cases.labels], malignant[cases.logits.argmax(1)]
    lesions = Lesions.of(cases.lesion_ids)
    return (
        proportion(truth & called, truth, lesions, "malignant", confidence),
        proportion(~truth & ~called, ~truth, lesions, "benign", confidence),
    )
