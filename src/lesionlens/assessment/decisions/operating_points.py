"""Sensitivity and specificity of thresholds that are chosen on validation and carried over to test."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lesionlens.assessment.decisions.cases import Cases, Target, missing, proportions, too_few, without_bounds
from lesionlens.assessment.decisions.predictive_values import predictive_values
from lesionlens.assessment.decisions.roc import (
    Resampled,
    RocCurves,
    Statistic,
    partial_auc,
    partial_auc_above,
    sensitivity_at,
    specificity_at,
)
from lesionlens.assessment.decisions.settings import READERS_SPECIFICITY, DecisionSettings, Resampling
from lesionlens.assessment.decisions.thresholds import lesions_needed, threshold_for_sensitivity, threshold_for_specificity
from lesionlens.evaluation.delong import clustered_auc
from lesionlens.evaluation.intervals import Interval
from lesionlens.evaluation.ranking import Ranking
from lesionlens.evaluation.ratio_intervals import LEAST_LESIONS

LEAST_SPECIFICITY, LEAST_SENSITIVITY = 0.8, 0.8  # of the partial areas
READERS_SENSITIVITY = 0.866
WIDER = "wider"
READERS = {
    "n": 58,
    "sensitivity": READERS_SENSITIVITY,
    "specificity": READERS_SPECIFICITY,
    "source": "Haenssle et al. 2018, Annals of Oncology 29:1836, doi:10.1093/annonc/mdy166",
    "task": "58 dermatologists, dermoscopy alone, 100 images of melanomas and nevi, melanoma or not",
}


@dataclass(frozen=True)
class Kind:
    """A kind of operating point: one rate is stated, the other follows.

    Attributes:
        stated: `specificity` or `sensitivity`.
        follows: the other.
    """

    stated: str
    follows: str

    @property
    def name(self) -> str:
        """Key in decisions.json."""
        return f"at_{self.stated}"

    def threshold(self, truth: np.ndarray, scores: np.ndarray, value: float) -> float:
        """The threshold that reaches the stated rate."""
        choose = threshold_for_specificity if self.stated == "specificity" else threshold_for_sensitivity
        return choose(truth, scores, value)

    def of_curve(self, value: float) -> Statistic:
        """The rate that follows, of a ROC curve."""
        return sensitivity_at(value) if self.stated == "specificity" else specificity_at(value)

    def side(self, truth: np.ndarray) -> np.ndarray:
        """The images that the stated rate is about, bool (N,)."""
        return ~truth if self.stated == "specificity" else truth


AT_SPECIFICITY, AT_SENSITIVITY = Kind("specificity", "sensitivity"), Kind("sensitivity", "specificity")


def operating_points(
    target: Target, validation: Cases, test: Cases, settings: DecisionSettings, resampling: Resampling
) -> dict[str, Any]:
    """Operating points of one question, JSON-ready.

    Args:
        target: the question.
        validation: thresholds are chosen here.
        test: and reported here.
        settings: which points, and which prevalences.
        resampling: for points of the test split's own curve and for partial areas.

    Returns:
        `codes`; `counts` of images and lesions; `at_specificity` and `at_sensitivity`: for each `stated` value the `threshold`,
        what it does on `validation` and on `test` (sensitivity, specificity, predictive values by prevalence), and `curve`:
        the point of the test split's own curve, which is optimistic because it is chosen there; `auc`, `partial_auc`;
        `readers` for melanoma. What cannot be computed has a `reason` instead.
    """
    question = _Question(target, validation, test, settings, resampling)
    content: dict[str, Any] = {"codes": list(target.codes), "counts": question.counts()}
    stated = {AT_SPECIFICITY: settings.specificities, AT_SENSITIVITY: settings.sensitivities}
    names = [*(kind.name for kind in stated), "auc", "partial_auc", *(["readers"] if target.name == "melanoma" else [])]
    if question.reason:
        return content | {name: missing(question.reason) for name in names}
    for kind, values in stated.items():
        content[kind.name] = [question.point(kind, value) for value in values]
    content |= {"auc": question.auc().to_json(), "partial_auc": question.partial_areas()}
    return content | ({"readers": question.readers()} if "readers" in names else {})


@dataclass(frozen=True, eq=False)
class _Question:
    """One question on both splits."""

    target: Target
    validation: Cases
    test: Cases
    settings: DecisionSettings
    resampling: Resampling

    @cached_property
    def truths(self) -> dict[str, np.ndarray]:
        """Which images are positive, by split."""
        return {"validation": self.target.truth(self.validation), "test": self.target.truth(self.test)}

    @cached_property
    def scores(self) -> dict[str, np.ndarray]:
        """Probability of the question's diagnoses, by split."""
        return {"validation": self.target.scores(self.validation), "test": self.target.scores(self.test)}

    def counts(self) -> dict[str, Any]:
        """Positive and other images and lesions, by split."""
        splits = {"validation": self.validation, "test": self.test}
        sides = {name: {"positive": truth, "other": ~truth} for name, truth in self.truths.items()}
        return {
            name: {side: {"images": int(rows.sum()), "lesions": _n_lesions(splits[name], rows)} for side, rows in both.items()}
            for name, both in sides.items()
        }

    @property
    def reason(self) -> str:
        """Why no point can be computed; empty if they can."""
        for name, truth in self.truths.items():
            if truth.all() or not truth.any():
                which = f"other than {self.target.name}" if truth.all() else f"of {self.target.name}"
                return f"no image {which} ({', '.join(self.target.codes)}) in the {name} split"
        return ""

    @cached_property
    def few_in_test(self) -> str:
        """Why figures of the test split's own curve have no interval; empty if they have."""
        truth = self.truths["test"]
        return too_few(min(_n_lesions(self.test, side) for side in (truth, ~truth)), "of the rarer side in the test split")

    @cached_property
    def curve(self) -> dict[str, Resampled]:
        """Figures of the test split's own ROC curve, by name."""
        points = [(AT_SPECIFICITY, value) for value in {*self.settings.specificities, READERS_SPECIFICITY}]
        points += [(AT_SENSITIVITY, value) for value in self.settings.sensitivities]
        statistics = {f"{kind.name} {value}": kind.of_curve(value) for kind, value in points}
        statistics |= {"standardised": partial_auc(LEAST_SPECIFICITY), "isic_2024": partial_auc_above(LEAST_SENSITIVITY)}
        how, curves = self.resampling, RocCurves.of(self.truths["test"], self.scores["test"])
        return curves.resampled(statistics, self.test.lesion_ids, how.resamples, how.seed)

    def point(self, kind: Kind, value: float) -> dict[str, Any]:
        """One operating point: chosen on validation, reported on test."""
        truth, scores = self.truths["validation"], self.scores["validation"]
        lesions, needed = _n_lesions(self.validation, kind.side(truth)), lesions_needed(value)
        curve = {kind.follows: self._of_curve(kind, value).to_json()}
        if lesions < needed:
            why = f"a {kind.stated} of {value:g} cannot be chosen on {lesions} validation lesions; it takes {needed}"
            return {"stated": value, **missing(why), "curve": curve}
        threshold = kind.threshold(truth, scores, value)
        rates = {name: self._rates(name, threshold) for name in ("validation", "test")}
        return {
            "stated": value,
            "threshold": threshold,
            "validation": {name: rate.value for name, rate in rates["validation"].items()},
            "test": {name: rate.to_json() for name, rate in rates["test"].items()},
            "predictive_values": [self._predictive(rates["test"], p) for p in self.settings.target_prevalences],
            "curve": curve,
        }

    def _of_curve(self, kind: Kind, value: float) -> Interval:
        """The point of the test split's own curve; its interval is at least as wide as that of a fixed threshold."""
        resampled = self.curve[f"{kind.name} {value}"].percentile_interval(self.resampling.confidence)
        threshold = kind.threshold(self.truths["test"], self.scores["test"], value)
        fixed = self._rates("test", threshold)[kind.follows]
        if self.few_in_test or fixed.reason:
            return without_bounds(resampled, self.few_in_test or fixed.reason)
        return Interval(resampled.value, min(resampled.low, fixed.low), max(resampled.high, fixed.high), WIDER)

    def _rates(self, split: str, threshold: float) -> dict[str, Interval]:
        truth, called = self.truths[split], self.scores[split] >= threshold
        lesions = (self.test if split == "test" else self.validation).lesions
        sides = {"sensitivity": (truth & called, truth), "specificity": (~truth & ~called, ~truth)}
        return {
            name: proportions(hits[:, None], side[:, None], lesions, self.resampling.confidence)[0]
            for name, (hits, side) in sides.items()
        }

    def _predictive(self, rates: dict[str, Interval], prevalence: float) -> dict[str, Any]:
        values = predictive_values(rates["sensitivity"], rates["specificity"], prevalence)
        return {"prevalence": prevalence, **{name: value.to_json() for name, value in values.items()}}

    def auc(self) -> Interval:
        """Area under the test split's curve, with an interval as in scores.json."""
        auc = clustered_auc(Ranking.of(self.truths["test"], self.scores["test"]), self.test.lesions)
        return without_bounds(Interval(auc.value, *auc.bounds(self.resampling.confidence), "delong-logit"), self.few_in_test)

    def partial_areas(self) -> dict[str, Any]:
        """Standardised partial AUC, and that of ISIC 2024."""
        limits = {"least_specificity": LEAST_SPECIFICITY, "least_sensitivity": LEAST_SENSITIVITY}
        n_positive = _n_lesions(self.test, self.truths["test"])
        n_fewest = min(n_positive, _n_lesions(self.test, ~self.truths["test"]))
        standardised = self.curve["standardised"].logit_interval(n_fewest, 1.0, self.resampling.confidence)
        above = self.curve["isic_2024"].logit_interval(n_fewest, 1 - LEAST_SENSITIVITY, self.resampling.confidence)
        areas = {
            "standardised": without_bounds(standardised, self.few_in_test),
            "isic_2024": without_bounds(above, self.few_in_test or _few_hard(n_positive)),
        }
        return limits | {name: each.to_json() for name, each in areas.items()}

    def readers(self) -> dict[str, Any]:
        """The point at the specificity of dermatologists, beside their sensitivity."""
        point = self.point(AT_SPECIFICITY, READERS_SPECIFICITY)
        return {**READERS, "point": point, "verdict": _verdict(point.get("test", {}).get("sensitivity", {}))}


def _few_hard(n_positive: int) -> str:
    """Why the area above a sensitivity has no interval: it rests on the positive lesions with the lowest scores."""
    needed = round(LEAST_LESIONS / (1 - LEAST_SENSITIVITY))
    if n_positive >= needed:
        return ""
    share = f"{1 - LEAST_SENSITIVITY:.0%} of {n_positive} positive lesions"
    return f"it rests on the {share} that score lowest; an interval needs {needed}"


def _n_lesions(cases: Cases, rows: np.ndarray) -> int:
    return len(np.unique(cases.lesion_ids[rows]))


def _verdict(sensitivity: dict[str, Any]) -> str:
    """How a sensitivity compares with that of the readers, in words."""
    low, high = sensitivity.get("low"), sensitivity.get("high")
    if low is None or high is None:
        return "not compared: the sensitivity has no interval"
    if low > READERS_SENSITIVITY:
        return "higher than the readers' sensitivity"
    if high < READERS_SENSITIVITY:
        return "lower than the readers' sensitivity"
    return "not different from the readers' sensitivity, which lies in the interval"
