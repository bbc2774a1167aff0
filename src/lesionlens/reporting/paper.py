"""Metrics of the paper, as shares in [0, 1]; misprints are corrected and marked.

Source: Abdulqader & Abraham, "Deep learning-based skin disease detection and classification",
Science Journal of University of Zakho 14(2), 370-385, 2026, doi:10.25271/sjuoz.2026.14.2.1737.
"""

from __future__ import annotations

from dataclasses import dataclass

CITATION = (
    "Abdulqader & Abraham, Deep learning-based skin disease detection and classification, "
    "Science Journal of University of Zakho 14(2), 370–385, 2026"
)
DOI = "10.25271/sjuoz.2026.14.2.1737"
TEST_IMAGES = 1002
LEAK_RATE = 0.386  # share of test images whose lesion is in training, under a random split over images


@dataclass(frozen=True)
class PaperValue:
    """One printed metric.

    Attributes:
        value: in [0, 1], corrected where the paper misprints it.
        printed: the misprint, in per cent; None where the paper is right.
    """

    value: float
    printed: float | None = None


METRICS = ("accuracy", "precision", "recall", "specificity", "f1", "auc")

TABLE_7 = {"accuracy": 95.21, "precision": 93.89, "recall": 89.87, "specificity": 98.62, "f1": 91.60, "auc": 98.98}

TABLE_8 = {
    "nv": {"accuracy": 98.96, "precision": 96.65, "recall": 98.96, "specificity": 93.05, "f1": 97.79, "auc": 98.24},
    "mel": {"accuracy": 82.14, "precision": 89.32, "recall": 82.14, "specificity": 98.76, "f1": 85.58, "auc": 96.71},
    "bkl": {"accuracy": 90.00, "precision": 94.29, "recall": 90.00, "specificity": 99.33, "f1": 92.09, "auc": 98.76},
    "bcc": {"accuracy": 98.08, "precision": 91.07, "recall": 98.08, "specificity": 99.47, "f1": 94.44, "auc": 99.96},
    "akiec": {"accuracy": 78.12, "precision": 92.59, "recall": 78.12, "specificity": 99.79, "f1": 84.75, "auc": 99.27},
    "vasc": {"accuracy": 98.96, "precision": 93.33, "recall": 100.0, "specificity": 99.90, "f1": 99.90, "auc": 100.0},
    "df": {"accuracy": 81.82, "precision": 100.0, "recall": 81.82, "specificity": 100.0, "f1": 90.00, "auc": 100.0},
}
# 2 * 93.33 * 100 / 193.33 = 96.55; the accuracy column repeats recall, so it is 100. The paper prints other columns' values.
CORRECTIONS_8 = {("vasc", "f1"): 96.55, ("vasc", "accuracy"): 100.0}

TABLE_9 = {
    "base": {"accuracy": 92.81, "precision": 90.73, "recall": 85.42, "specificity": 98.02, "f1": 87.86, "auc": 98.60},
    "offline": {"accuracy": 93.71, "precision": 93.91, "recall": 90.74, "specificity": 92.19, "f1": 98.05, "auc": 98.75},
    "online": {"accuracy": 93.61, "precision": 91.56, "recall": 89.37, "specificity": 98.25, "f1": 90.22, "auc": 98.78},
    "both": {"accuracy": 95.21, "precision": 93.89, "recall": 89.87, "specificity": 98.62, "f1": 91.60, "auc": 98.98},
}
# The row's two columns are swapped: an F1 of 98.05 cannot come from a precision of 93.91 and a recall of 90.74.
CORRECTIONS_9 = {("offline", "specificity"): 98.05, ("offline", "f1"): 92.19}

TABLE_12 = {
    "convnext_small": {"accuracy": 91.52, "precision": 88.62, "recall": 85.72, "specificity": 97.25, "f1": 86.66, "auc": 97.01},
    "convnext_base": {"accuracy": 91.86, "precision": 89.02, "recall": 85.93, "specificity": 97.46, "f1": 87.12, "auc": 97.22},
    "convnextv2_base": {"accuracy": 92.51, "precision": 89.45, "recall": 87.54, "specificity": 97.84, "f1": 88.10, "auc": 97.74},
    "convnextv2_tiny": {"accuracy": 93.61, "precision": 91.97, "recall": 89.54, "specificity": 98.18, "f1": 90.61, "auc": 98.81},
    "convnext_tiny": {"accuracy": 95.21, "precision": 93.89, "recall": 89.87, "specificity": 98.62, "f1": 91.60, "auc": 98.98},
}

ARMS = {
    "base": "no augmentation",
    "offline": "offline copies only",
    "online": "MixUp and CutMix only",
    "both": "both phases (the paper’s proposal)",
}

OVERALL_NAMES = {
    "accuracy": "accuracy",
    "macro_precision": "precision",
    "balanced_accuracy": "recall",
    "macro_recall": "recall",
    "macro_specificity": "specificity",
    "macro_f1": "f1",
    "macro_auc": "auc",
}


def overall(metric: str) -> PaperValue | None:
    """Table 7's value for one of our overall metrics; None where the paper prints none (ECE, Brier, NLL).

    The paper's recall is the macro mean, which is also the balanced accuracy.
    """
    column = OVERALL_NAMES.get(metric)
    return None if column is None else PaperValue(_share(TABLE_7[column]))


def per_class(code: str, metric: str) -> PaperValue | None:
    """Table 8's value for a diagnosis and a metric, corrected; None where the paper has none."""
    return _cell(TABLE_8, CORRECTIONS_8, code, metric)


def augmentation_arm(arm: str, metric: str) -> PaperValue | None:
    """Table 9's value for an arm (`base`, `offline`, `online`, `both`), its swapped columns corrected."""
    return _cell(TABLE_9, CORRECTIONS_9, arm, metric)


def backbone(name: str, metric: str) -> PaperValue | None:
    """Table 12's value for a ConvNeXt."""
    return _cell(TABLE_12, {}, name, metric)


def arm_of(offline_fill: float, mixing: float) -> str:
    """Which arm of table 9 a recipe belongs to.

    Args:
        offline_fill: share up to which classes are filled with copies; 0 makes none.
        mixing: probability of MixUp and of CutMix together.
    """
    return {(False, False): "base", (True, False): "offline", (False, True): "online", (True, True): "both"}[
        offline_fill > 0, mixing > 0
    ]


def _cell(
    table: dict[str, dict[str, float]], corrections: dict[tuple[str, str], float], row: str, metric: str
) -> PaperValue | None:
    printed = table.get(row, {}).get(metric)
    if printed is None:
        return None
    corrected = corrections.get((row, metric))
    return PaperValue(_share(printed)) if corrected is None else PaperValue(_share(corrected), printed)


def _share(percent: float) -> float:
    return round(percent / 100, 6)
