"""The thresholds of "not sure" under both guarantees, side by side on the test split."""

from __future__ import annotations

from typing import Any

import numpy as np

from lesionlens.assessment.decisions.cases import Cases, proportions
from lesionlens.assessment.decisions.settings import DecisionSettings
from lesionlens.bundle.decision import GUARANTEES, Decision
from lesionlens.evaluation.proportions import Lesions
from lesionlens.export.decision_fit import Guarantee, decision_metrics, fit_decision, lowest_by_lesion


def fit_both(validation: Cases, settings: DecisionSettings) -> dict[str, Decision]:
    """The decision under each guarantee, chosen on validation as `lesionlens export` does."""
    given = (validation.probabilities, validation.labels, validation.lesion_ids, validation.label_set)
    delta = settings.guarantee.delta
    return {kind: fit_decision(*given, settings.guaranteed_sensitivity, Guarantee(kind, delta)) for kind in GUARANTEES}


def guarantees(decisions: dict[str, Decision], test: Cases, settings: DecisionSettings, confidence: float) -> dict[str, Any]:
    """Both guarantees on the test split, JSON-ready.

    Args:
        decisions: of `fit_both`.
        test: calibrated by the temperature, as the bundle is.
        settings: which of them was asked for.
        confidence: level of the intervals by lesion.

    Returns:
        `stated`; by guarantee the `threshold` with its `promise` (or a `reason`), and on `test` the shares of
        `export.decision_fit.decision_metrics` and `lesion_sensitivity`: watched lesions of which every image is detected.
    """
    rows = {kind: _row(decision, test, confidence) for kind, decision in decisions.items()}
    return {"stated": settings.guarantee.kind, "sensitivity": settings.guaranteed_sensitivity, "rules": rows}


def _row(decision: Decision, test: Cases, confidence: float) -> dict[str, Any]:
    row = {"promise": decision.promise, "threshold": decision.threshold, "watched": list(decision.watched)}
    if decision.threshold is None:
        return {**row, "reason": decision.reason, "validation": decision.validation, "test": None}
    indices = [test.label_set.index(code) for code in decision.watched]
    is_watched = np.isin(test.labels, indices)
    if not is_watched.any():
        return {
            **row,
            "reason": f"no image of {decision.name} in the test split",
            "validation": decision.validation,
            "test": None,
        }
    detected = np.isin(test.probabilities.argmax(axis=1), indices) | decision.unsure(test.probabilities, test.label_set)
    by_lesion = lowest_by_lesion(detected[is_watched].astype(float), test.lesion_ids[is_watched]) > 0
    one_each = Lesions.of(np.arange(len(by_lesion)))
    of_lesions = proportions(by_lesion[:, None], np.ones_like(by_lesion)[:, None], one_each, confidence)[0]
    metrics = decision_metrics(decision, test.probabilities, test.labels, test.lesion_ids, test.label_set)
    return {**row, "validation": decision.validation, "test": {**metrics, "lesion_sensitivity": of_lesions.to_json()}}
