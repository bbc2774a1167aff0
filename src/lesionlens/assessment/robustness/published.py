"""Published results of human readers, which stand beside those of a network.

They come from other images and other mixtures of diagnoses, so a difference from them proves nothing; only `readers` compares
case by case.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lesionlens.assessment.resampling import Resampling, lesion_percentiles
from lesionlens.assessment.shares import proportion, undefined
from lesionlens.core.diagnoses import is_melanoma, known_diagnosis
from lesionlens.core.labels import LabelSet
from lesionlens.evaluation.intervals import Interval
from lesionlens.evaluation.predictions import Predictions
from lesionlens.evaluation.proportions import Lesions
from lesionlens.evaluation.ratio_intervals import too_few


@dataclass(frozen=True)
class PublishedReaders:
    """What a study of human readers reports.

    Attributes:
        name: of the readers.
        images: what they were shown.
        metric: `melanoma_sensitivity` or `accuracy`.
        value: of the readers, in [0, 1].
        specificity: at which their sensitivity holds; None for an accuracy.
        algorithms: what the algorithms of the same study reached; None if it is not reported alike.
        source: citation.
    """

    name: str
    images: str
    metric: str
    value: float
    specificity: float | None
    algorithms: float | None
    source: str


DERMATOLOGISTS = PublishedReaders(
    "58 dermatologists",
    "100 dermoscopic images of melanomas and benign nevi, without clinical information",
    "melanoma_sensitivity",
    0.866,
    0.713,
    None,
    "Haenssle et al., Ann. Oncol. 29:1836 (2018)",
)
EXPERTS = PublishedReaders(
    "27 experts",
    "batches of 30 images of the ISIC 2018 test set, seven diagnoses",
    "accuracy",
    0.626,
    None,
    0.848,
    "Tschandl et al., Lancet Oncol. 20:938 (2019); algorithms: the three best of the challenge",
)


def beside_published(predictions: Predictions, resampling: Resampling) -> list[dict[str, Any]]:
    """What the network reaches in the metrics of the studies, with intervals by lesion.

    Args:
        predictions: of one split.
        resampling: of the intervals.

    Returns:
        One JSON-ready row for each comparison.
    """
    lesions, every = Lesions.of(predictions.lesion_ids), np.ones(len(predictions), bool)
    accuracy = proportion(predictions.predicted == predictions.labels, every, lesions, "", resampling.confidence)
    rows = [_row(EXPERTS, f"all {len(predictions)} images, {len(predictions.label_set)} diagnoses", accuracy)]
    melanoma = np.array([is_melanoma(diagnosis) for diagnosis in predictions.label_set.diagnoses])
    truth = melanoma[predictions.labels]
    score = predictions.probabilities[:, melanoma].sum(1)
    nevi = nevus_classes(predictions.label_set)[predictions.labels]
    for name, kept in (("melanomas and nevi", truth | nevi), ("melanomas and all other images", every)):
        sensitivity = sensitivity_at_specificity(
            truth[kept], score[kept], predictions.lesion_ids[kept], DERMATOLOGISTS.specificity or 0, resampling
        )
        rows.append(_row(DERMATOLOGISTS, f"{name}, {int(kept.sum())} images", sensitivity))
    return rows


def _row(readers: PublishedReaders, images: str, network: Interval) -> dict[str, Any]:
    return {"readers": dict(vars(readers)), "images": images, "network": network.to_json()}


def nevus_classes(labels: LabelSet) -> np.ndarray:
    """Which diagnoses are nevi, bool (K,)."""
    known = [known_diagnosis(code) for code in labels.codes]
    return np.array([each is not None and not each.malignant and "nevus" in each.name.lower() for each in known])


def sensitivity_at_specificity(
    truth: np.ndarray,
    scores: np.ndarray,
    lesion_ids: np.ndarray,
    specificity: float,
    resampling: Resampling,
) -> Interval:
    """Sensitivity at the lowest threshold whose specificity is at least the stated one.

    The threshold is chosen on the same images, and again in each resample, so the interval holds its uncertainty.

    Args:
        truth: which cases are positive, bool (N,).
        scores: higher means more positive, (N,).
        lesion_ids: lesion of each, (N,).
        specificity: in (0, 1).
        resampling: of the intervals.
    """
    if not truth.any() or truth.all():
        return undefined(f"{'only' if truth.any() else 'no'} images of melanoma")
    n_lesions = [len(np.unique(lesion_ids[side])) for side in (truth, ~truth)]
    reason = too_few(n_lesions[0], "of melanoma") or too_few(n_lesions[1], "of the rest")
    return lesion_percentiles(lambda weights: _sensitivities(weights, truth, scores, specificity), lesion_ids, resampling, reason)


def _sensitivities(weights: np.ndarray, truth: np.ndarray, scores: np.ndarray, specificity: float) -> np.ndarray:
    """Weighted sensitivity at the threshold of each row of the weights (B, N); NaN without positives or negatives."""
    order = np.argsort(scores, kind="stable")
    ends = np.append(np.diff(scores[order]) > 0, True)  # a threshold lies above a whole run of equal scores
    negative, positive = (np.cumsum(weights[:, order] * side[order], axis=1) for side in (~truth, truth))
    reached = ends & (negative >= specificity * negative[:, -1:] - 1e-9)
    threshold = reached.argmax(1)
    total = positive[:, -1]
    above = total - positive[np.arange(len(weights)), threshold]
    defined = (total > 0) & (negative[:, -1] > 0)
    return np.asarray(np.divide(above, total, out=np.full(len(weights), np.nan), where=defined))
