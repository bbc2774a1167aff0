"""Intention to diagnose: what becomes of every image of an index, and scores that count those without a diagnosis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lesionlens.assessment.external.binary import Cases, share_interval, too_few
from lesionlens.evaluation.delong import correlations
from lesionlens.evaluation.intervals import Interval
from lesionlens.evaluation.proportions import Lesions, Ratio

UNREADABLE, REFUSED, NOT_SURE, DIAGNOSED = OUTCOMES = ("unreadable", "refused", "not_sure", "diagnosed")
LINES = {
    "first_choice": "the first choice for every readable image, whatever the gate and the threshold say",
    "excluded": "images without a diagnosis (unreadable, refused by the gate, or not sure) are left out",
    "wrong": "images without a diagnosis count as wrong: as missed if malignant, as a false alarm if benign",
}
REFUSED_OPTIONS = {"both": ("excluded", "wrong"), "excluded": ("excluded",), "wrong": ("wrong",)}


@dataclass(frozen=True, eq=False)
class Intended:
    """Every image that was to be diagnosed: all of the index but the leaked ones.

    Attributes:
        cases: N images; probabilities of unreadable ones are 0.
        outcomes: one of `OUTCOMES` for each, text (N,).
    """

    cases: Cases
    outcomes: np.ndarray


def intention_lines(intended: Intended, refused: str = "both", confidence: float = 0.95) -> dict[str, Any]:
    """Accuracy, balanced accuracy, and sensitivity and specificity for malignancy, with images lacking a diagnosis as stated.

    Args:
        intended: every image that was to be diagnosed.
        refused: `wrong`, `excluded`, or `both`: how images without a diagnosis count.
        confidence: level of the intervals.

    Returns:
        By line (`first_choice`, and those of `refused`): `rule` in words, `n_images`, `n_counted_wrong`, and the four metrics.
    """
    cases, outcomes = intended.cases, intended.outcomes
    readable, diagnosed = outcomes != UNREADABLE, outcomes == DIAGNOSED
    masks = {
        "first_choice": (readable, readable),
        "excluded": (diagnosed, diagnosed),
        "wrong": (np.ones(len(cases), bool), diagnosed),
    }
    lines = {}
    for name in ("first_choice", *REFUSED_OPTIONS[refused]):
        population, scored = masks[name]
        metrics = _metrics(cases, population, scored, confidence)
        n_wrong = int((population & ~scored).sum())
        lines[name] = {"rule": LINES[name], "n_images": int(population.sum()), "n_counted_wrong": n_wrong, **metrics}
    return lines


def _metrics(cases: Cases, population: np.ndarray, scored: np.ndarray, confidence: float) -> dict[str, Any]:
    closed = population & (cases.labels >= 0)
    right = closed & scored & (cases.probabilities.argmax(axis=1) == cases.labels)
    malignant, called = cases.malignant, cases.called_malignant
    sick, well = population & malignant, population & ~malignant
    return {
        "accuracy": share_interval(right, closed, cases.clusters, confidence),
        "balanced_accuracy": mean_recall(right, closed, cases, confidence),
        "malignant_sensitivity": share_interval(sick & scored & called, sick, cases.clusters, confidence),
        "malignant_specificity": share_interval(well & scored & ~called, well, cases.clusters, confidence),
    }


def mean_recall(right: np.ndarray, closed: np.ndarray, cases: Cases, confidence: float = 0.95) -> dict[str, Any]:
    """Mean over the classes with images of the share that is right, with an interval by MOVER (Zou & Donner 2008).

    Args:
        right: which images are right, bool (N,).
        closed: which images count, bool (N,).
        cases: the images.
        confidence: level of the interval.
    """
    if not closed.any():
        return Interval(np.nan, np.nan, np.nan, "", "no images of the model's classes").to_json()
    truth = cases.labels[:, None] == np.unique(cases.labels[closed])  # (N, P)
    lesions = Lesions.of(cases.clusters)
    ratio = Ratio.of(lesions.totals(truth & right[:, None]), lesions.totals(truth & closed[:, None]))
    value = float(ratio.value.mean())
    reason = too_few(int((lesions.totals(closed.astype(float)) > 0).sum()), "in all")
    if reason:
        return Interval(value, np.nan, np.nan, "", reason).to_json()
    low, high = ratio.bounds(confidence)
    correlation = correlations(ratio.influence.T)
    half = [np.sqrt(max(0.0, float(each @ correlation @ each))) / len(low) for each in (ratio.value - low, high - ratio.value)]
    return Interval(value, max(0.0, value - half[0]), min(1.0, value + half[1]), "mover").to_json()
