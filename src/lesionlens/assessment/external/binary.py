"""Binary metrics on external images: melanoma against the rest, malignant against benign."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lesionlens.bundle.decision import Decision, watched_codes
from lesionlens.core.labels import LabelSet
from lesionlens.core.seeds import generator
from lesionlens.evaluation.delong import clustered_auc
from lesionlens.evaluation.intervals import Interval
from lesionlens.evaluation.proportions import Lesions, Ratio
from lesionlens.evaluation.ranking import Ranking
from lesionlens.evaluation.ratio_intervals import ratio_intervals
from lesionlens.evaluation.ratio_intervals import too_few as lesions_lacking
from lesionlens.export.decision_fit import EXPECTATION, SENSITIVITY, Guarantee, fit_decision


@dataclass(frozen=True, eq=False)
class Cases:
    """N images, or lesions, with what a model says and what is true.

    Attributes:
        probabilities: calibrated, over all classes of the model, (N, K).
        labels: class of the model, int64 (N,); -1 for a diagnosis that the model lacks.
        malignant: whether the true diagnosis is malignant, bool (N,).
        watched: whether it is one of the diagnoses that the threshold watches (melanoma), bool (N,).
        clusters: lesion, or patient, for intervals, text (N,).
        label_set: the model's diagnoses.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    malignant: np.ndarray
    watched: np.ndarray
    clusters: np.ndarray
    label_set: LabelSet

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> Cases:
        """Some of the cases, by number or mask."""
        names = ("probabilities", "labels", "malignant", "watched", "clusters")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    @property
    def called_malignant(self) -> np.ndarray:
        """Whether the first choice is malignant, bool (N,)."""
        return np.asarray(np.array(self.label_set.malignant)[self.probabilities.argmax(axis=1)])

    @property
    def malignant_share(self) -> np.ndarray:
        """Probability of all malignant diagnoses together, (N,)."""
        return np.asarray(self.probabilities[:, np.array(self.label_set.malignant)].sum(axis=1))


def malignant_metrics(cases: Cases, confidence: float = 0.95) -> dict[str, Any]:
    """Malignant against benign, by the first choice; diagnoses that the model lacks count as what they are.

    Returns:
        `n_positive`, `n_negative`, and `auc`, `sensitivity`, `specificity`, each as `evaluation.intervals.Interval.to_json`;
        or a `reason` where the model knows no malignant, or no benign, diagnosis.
    """
    if len(set(cases.label_set.malignant)) < 2:
        return {"reason": "the model's diagnoses are all of one malignancy"}
    return _metrics(cases.malignant, cases.malignant_share, cases.called_malignant, cases.clusters, confidence)


def watched_metrics(cases: Cases, decision: Decision | None, confidence: float = 0.95) -> dict[str, Any]:
    """Melanoma (or all that the threshold watches) against the rest, at the frozen and at a re-fitted threshold.

    An image counts as detected if its first choice is watched, or it is "not sure": both bring a person to look.

    Returns:
        `watched` (codes), `n_positive`, `n_negative`, `auc`; `frozen` and `refitted`, each with `threshold`, `sensitivity` and
        `specificity`, or a `reason`. The re-fitted threshold is chosen on these very images; its sensitivity and specificity
        are cross-fitted: each half of the lesions at a threshold that was chosen on the other.
    """
    watched = decision.watched if decision is not None and decision.watched else watched_codes(cases.label_set)
    if not watched:
        return {"reason": "none of the model's diagnoses is malignant"}
    score = cases.probabilities[:, [cases.label_set.index(code) for code in watched]].sum(axis=1)
    counts = {"n_positive": int(cases.watched.sum()), "n_negative": int((~cases.watched).sum())}
    metrics = {"watched": list(watched), **counts, "auc": auc_interval(cases.watched, score, cases.clusters, confidence)}
    if decision is None or decision.threshold is None:
        metrics["frozen"] = {"reason": "no threshold was fixed" if decision is None else decision.reason}
    else:
        detected = detected_by(decision, cases)
        metrics["frozen"] = {"threshold": decision.threshold, **_rates(cases.watched, detected, cases.clusters, confidence)}
    rule = _Rule() if decision is None else _Rule.of(decision)
    return {**metrics, "refitted": _refitted(cases, rule, confidence)}


def detected_by(decision: Decision, cases: Cases) -> np.ndarray:
    """Whether the first choice is watched or the image is not sure, bool (N,)."""
    watched = [cases.label_set.index(code) for code in decision.watched]
    called = np.isin(cases.probabilities.argmax(axis=1), watched)
    return np.asarray(called | decision.unsure(cases.probabilities, cases.label_set))


@dataclass(frozen=True)
class _Rule:
    """How a threshold is chosen: the same way as the frozen one."""

    sensitivity: float = SENSITIVITY
    guarantee: Guarantee = EXPECTATION

    @classmethod
    def of(cls, decision: Decision) -> _Rule:
        delta = {} if decision.delta is None else {"delta": decision.delta}
        return cls(decision.sensitivity, Guarantee(decision.guarantee, **delta))


def _refitted(cases: Cases, rule: _Rule, confidence: float) -> dict[str, Any]:
    decision = _fitted(cases, rule)
    if decision.threshold is None:
        return {"reason": decision.reason.replace("in the validation split", "among these images")}
    halves = _halves(cases.clusters)
    decisions = [_fitted(cases.take(halves != half), rule) for half in (0, 1)]
    refitted: dict[str, Any] = {"threshold": decision.threshold, "target_sensitivity": rule.sensitivity}
    if any(each.threshold is None for each in decisions):
        return {**refitted, "reason": "too few lesions to choose the threshold on one half and measure it on the other"}
    detected = np.zeros(len(cases), bool)
    for half, each in enumerate(decisions):
        detected[halves == half] = detected_by(each, cases.take(halves == half))
    return {**refitted, **_rates(cases.watched, detected, cases.clusters, confidence)}


def _fitted(cases: Cases, rule: _Rule) -> Decision:
    """The threshold chosen on these cases; a diagnosis that the model lacks counts as not watched."""
    first = cases.label_set.index(watched_codes(cases.label_set)[0])
    truth = np.where(cases.watched, first, -1)  # only whether a case is watched decides the threshold
    return fit_decision(cases.probabilities, truth, cases.clusters, cases.label_set, rule.sensitivity, rule.guarantee)


def _halves(clusters: np.ndarray) -> np.ndarray:
    """0 or 1 for each case, the same for all of a cluster; it depends on the names alone, not on their order."""
    names, member = np.unique(clusters, return_inverse=True)
    order = generator("halves", len(names)).permutation(len(names))
    return np.asarray(order[member] % 2)


def _metrics(truth: np.ndarray, score: np.ndarray, called: np.ndarray, clusters: np.ndarray, confidence: float) -> dict[str, Any]:
    counts = {"n_positive": int(truth.sum()), "n_negative": int((~truth).sum())}
    return {**counts, "auc": auc_interval(truth, score, clusters, confidence), **_rates(truth, called, clusters, confidence)}


def _rates(truth: np.ndarray, called: np.ndarray, clusters: np.ndarray, confidence: float) -> dict[str, Any]:
    return {
        "sensitivity": share_interval(truth & called, truth, clusters, confidence),
        "specificity": share_interval(~truth & ~called, ~truth, clusters, confidence),
    }


def share_interval(hits: np.ndarray, cases: np.ndarray, clusters: np.ndarray, confidence: float = 0.95) -> dict[str, Any]:
    """Share of `hits` among `cases`, bool (N,), with its interval by cluster, count and method, or the reason for none."""
    lesions = Lesions.of(clusters)
    ratio = Ratio.of(lesions.totals(hits[:, None]), lesions.totals(cases[:, None]))
    return ratio_intervals(ratio, confidence, [too_few(int(ratio.n_lesions[0]))])[0].to_json()


def auc_interval(truth: np.ndarray, score: np.ndarray, clusters: np.ndarray, confidence: float = 0.95) -> dict[str, Any]:
    """AUC of `score` (N,) for `truth`, bool (N,), with its interval by cluster, or the reason for none."""
    lesions = Lesions.of(clusters)
    area = clustered_auc(Ranking.of(truth, score), lesions)
    reason = too_few(min(area.n_positive, area.n_negative), "of the rarer side")
    if np.isnan(area.value):
        reason = "no images of one side"
    low, high = (np.nan, np.nan) if reason else area.bounds(confidence)
    return Interval(area.value, float(low), float(high), "" if reason else "delong-logit", reason).to_json()


def too_few(n_lesions: int, which: str = "") -> str:
    """Why there is no interval; empty if there are enough lesions."""
    return lesions_lacking(n_lesions, which) if n_lesions else "no images"
