"""decisions.json: calibration and decisions of one checkpoint, chosen on validation and reported on test."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lesionlens.assessment.decisions.cases import Cases, Target, lesions_per_class, missing, targets
from lesionlens.assessment.decisions.conformal import GROUPS, SCORES, fit_sets
from lesionlens.assessment.decisions.conformal_coverage import evaluate_sets
from lesionlens.assessment.decisions.costs import bundle_referrals, referral_costs
from lesionlens.assessment.decisions.guarantees import fit_both, guarantees
from lesionlens.assessment.decisions.net_benefit import decision_curve
from lesionlens.assessment.decisions.operating_points import operating_points
from lesionlens.assessment.decisions.prevalence import whole_prevalence
from lesionlens.assessment.decisions.prior import class_shares, clinic_weights, correct_prior, prior_correction
from lesionlens.assessment.decisions.recalibrated_metrics import recalibrated_metrics
from lesionlens.assessment.decisions.recalibration import SIMPLE, Recalibration, choose_recalibration
from lesionlens.assessment.decisions.reliability import reliability
from lesionlens.assessment.decisions.settings import DecisionSettings, Resampling
from lesionlens.bundle.decision import Decision
from lesionlens.evaluation.calibration import log_softmax
from lesionlens.evaluation.predictions import Predictions

FORMAT = 1
NO_COSTS = "no costs are stated; state them with --cost-missed and --cost-referral"


def assess_decisions(
    validation: Predictions,
    test: Predictions,
    settings: DecisionSettings | None = None,
    resampling: Resampling | None = None,
) -> dict[str, Any]:
    """Calibration and decisions of one checkpoint, JSON-ready.

    Everything is chosen on `validation` and reported on `test`. Probabilities of validation images come from a recalibration that
    was fitted without their lesion.

    Args:
        validation: predictions of the validation split.
        test: of the test split, by the same checkpoint.
        settings: what the user states about a clinic and about decisions.
        resampling: how intervals are made.

    Returns:
        The content of decisions.json: `recalibration`, `reliability`, `questions` (operating points, decision curve and costs
        for melanoma and for malignant against benign), `guarantees`, `conformal`, and `clinic` where a prevalence is stated. A
        number is `value low high` with the `method` of its interval; what cannot be computed has a `reason` in its place.

    Raises:
        RecipeError: if the stated prevalences do not fit the diagnoses.
    """
    assessed = _Assessed(validation, test, settings or DecisionSettings(), resampling or Resampling())
    return {
        **assessed.origin(),
        "notes": assessed.notes(),
        "recalibration": assessed.calibration(),
        "reliability": reliability(assessed.test_cases, assessed.sums, assessed.how.confidence),
        "questions": assessed.of_questions(),
        "guarantees": guarantees(assessed.decisions, assessed.bundle_cases, assessed.settings, assessed.how.confidence),
        "conformal": assessed.conformal(),
        "clinic": assessed.clinic(),
    }


@dataclass(frozen=True, eq=False)
class _Assessed:
    """Both splits with their calibrated probabilities, and what is chosen on validation."""

    validation: Predictions
    test: Predictions
    settings: DecisionSettings
    how: Resampling

    @cached_property
    def logs(self) -> dict[str, np.ndarray]:
        """Log-probabilities of the network, by split."""
        return {"validation": log_softmax(self.validation.logits), "test": log_softmax(self.test.logits)}

    @cached_property
    def recalibration(self) -> Recalibration:
        """Chosen on validation."""
        split = self.validation
        return choose_recalibration(self.logs["validation"], split.labels, split.lesion_ids, split.label_set, self.how.seed)

    @cached_property
    def validation_cases(self) -> Cases:
        """Recalibrated without their own lesion."""
        return self._cases(self.validation, np.exp(self.recalibration.out_of_fold))

    @cached_property
    def test_cases(self) -> Cases:
        """Recalibrated."""
        return self._cases(self.test, np.exp(self.recalibration.map.log_probabilities(self.logs["test"])))

    @cached_property
    def bundle_cases(self) -> Cases:
        """Test images calibrated by the temperature alone, as the bundle is."""
        return self._cases(self.test, self._with_temperature("test"))

    @cached_property
    def decisions(self) -> dict[str, Decision]:
        """The bundle's rule for "not sure" under each guarantee."""
        return fit_both(self._cases(self.validation, self._with_temperature("validation")), self.settings)

    def _with_temperature(self, split: str) -> np.ndarray:
        return np.asarray(np.exp(self.recalibration.maps[SIMPLE].log_probabilities(self.logs[split])))

    def _cases(self, predictions: Predictions, probabilities: np.ndarray) -> Cases:
        return Cases.of(probabilities, predictions.labels, predictions.lesion_ids, predictions.label_set)

    @property
    def questions(self) -> list[Target]:
        """The questions that this label set allows."""
        return [each for each in targets(self.test.label_set).values() if isinstance(each, Target)]

    @property
    def sums(self) -> list[Target]:
        """The questions about more than one diagnosis."""
        return [each for each in self.questions if len(each.codes) > 1]

    def origin(self) -> dict[str, Any]:
        """Where the numbers come from."""
        splits = {"validation": self.validation, "test": self.test}
        origin = self.test.origin
        return {
            "format": FORMAT,
            "name": origin.name,
            "seed": origin.seed,
            "protocol": origin.protocol,
            "leaks": origin.leaks,
            "views": origin.views,
            "n_images": {name: len(each) for name, each in splits.items()},
            "n_lesions": {name: len(np.unique(each.lesion_ids)) for name, each in splits.items()},
            "labels": self.test.label_set.to_json(),
            "settings": self.settings.to_json(),
            "resampling": asdict(self.how),
        }

    def notes(self) -> list[str]:
        """What a reader must know beside the numbers."""
        notes = [
            "The epoch was chosen on the validation split too, so what is promised for new lesions holds as far as the test "
            "split confirms it."
        ]
        for split in (self.validation, self.test):
            counts = lesions_per_class(split.labels, split.lesion_ids, len(split.codes))
            absent = [code for code, n in zip(split.codes, counts, strict=True) if not n]
            if absent:
                notes.append(f"The {split.split} split has no image of {', '.join(absent)}; nothing is said about them.")
        if self.test.origin.leaks:
            notes.append("The split leaks: these numbers are too good.")
        return notes

    def calibration(self) -> dict[str, Any]:
        """The recalibration, with its figures on test beside those of the others."""
        chosen, test = self.recalibration, self.test
        metrics = recalibrated_metrics(self.logs["test"], test.labels, test.lesion_ids, chosen.representatives, self.how)
        return {**chosen.to_json(), "test": metrics}

    def of_questions(self) -> dict[str, Any]:
        """Operating points, decision curve and costs of each question; a reason for one that cannot be asked."""
        content: dict[str, Any] = {}
        for name, question in targets(self.test.label_set).items():
            if isinstance(question, str):
                content[name] = missing(question)
                continue
            points = operating_points(question, self.validation_cases, self.test_cases, self.settings, self.how)
            content[name] = points | self._decided(question, self.test_cases, np.ones(len(self.test)))
        return content

    def _decided(self, question: Target, cases: Cases, weights: np.ndarray) -> dict[str, Any]:
        return {
            "decision_curve": decision_curve(question, cases, weights, self.how.confidence),
            "costs": self._costs(question, cases, weights),
        }

    def _costs(self, question: Target, cases: Cases, weights: np.ndarray) -> dict[str, Any]:
        missed, referral = self.settings.cost_missed, self.settings.cost_referral
        if missed is None or referral is None:
            return missing(NO_COSTS)
        others = bundle_referrals(question, self.bundle_cases, self.decisions[self.settings.guarantee.kind])
        return referral_costs(question, cases, others, (missed, referral), weights, self.how)

    def conformal(self) -> list[dict[str, Any]]:
        """Every kind of set with its coverage on test, overall and for each diagnosis."""
        cases, test = self.validation_cases, self.test_cases
        rows = []
        for score, of_score in SCORES.items():
            for group, of_group in GROUPS.items():
                given = (cases.probabilities, cases.labels, cases.lesion_ids, self.test.codes, self.settings.coverage)
                sets = fit_sets(*given, score, group)
                coverage = evaluate_sets(sets, test.probabilities, test.labels, test.lesion_ids, self.how.confidence)
                words = {"score": of_score, "group": of_group}
                rows.append({"sets": sets.to_json(), "words": words, "unlimited": list(sets.unlimited), "test": coverage})
        return rows

    def clinic(self) -> dict[str, Any] | None:
        """Prior correction, decision curves and costs at the stated prevalence; None if none is stated."""
        if not self.settings.prevalence:
            return None
        cases, labels = self.test_cases, self.test.label_set
        prior = class_shares(self.validation.labels, len(labels))
        prevalence = whole_prevalence(self.settings.prevalence, labels, prior)
        corrected = self._cases(self.test, correct_prior(cases.probabilities, prior, prevalence))
        weights = clinic_weights(self.test.labels, prevalence)
        return {
            "prior_correction": prior_correction(cases, corrected, prior, prevalence, self.how),
            "questions": {each.name: self._decided(each, corrected, weights) for each in self.questions},
        }
