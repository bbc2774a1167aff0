"""The outcome for one image: a diagnosis, "not sure", or "not usable", and a text that explains it."""

from __future__ import annotations

import numpy as np

from lesionlens.bundle.decision import Decision
from lesionlens.bundle.gate import GateResult
from lesionlens.core.labels import LabelSet

DIAGNOSIS, NOT_SURE, NOT_USABLE = OUTCOMES = ("diagnosis", "not_sure", "not_usable")
NONE_MALIGNANT = "none of the diagnoses that it knows is malignant"
NOT_CHECKED = "This bundle has no gate, so whether the image is usable at all was not checked."


def outcome_of(probabilities: np.ndarray, labels: LabelSet, gate_result: GateResult | None, decision: Decision | None) -> str:
    """Which of the three outcomes applies.

    Args:
        probabilities: calibrated, (K,).
        labels: the diagnoses.
        gate_result: None if the bundle has no gate; then nothing is "not usable".
        decision: None if the bundle has no threshold; then nothing is "not sure".
    """
    if gate_result is not None and not gate_result.usable:
        return NOT_USABLE
    if decision is not None and decision.unsure(probabilities[None], labels)[0]:
        return NOT_SURE
    return DIAGNOSIS


def explanation_text(
    probabilities: np.ndarray, labels: LabelSet, gate_result: GateResult | None, decision: Decision | None
) -> str:
    """The outcome in words, for people; arguments as for `outcome_of`."""
    outcome = outcome_of(probabilities, labels, gate_result, decision)
    if outcome == NOT_USABLE:
        assert gate_result is not None
        return f"Not usable, so there is no diagnosis: {'; '.join(gate_result.texts)}."
    number = int(probabilities.argmax())
    first = f"{labels.names[number]} ({labels.codes[number]}) with probability {_words(float(probabilities[number]))}"
    notes = "" if gate_result is not None else f" {NOT_CHECKED}"
    if outcome == NOT_SURE:
        assert decision is not None
        watched = float(decision.watched_probability(probabilities[None], labels)[0])
        return (
            f"Not sure: have a person look. The first choice is {first}, but the probability of {decision.name} "
            f"is {watched:.3f}, not below the threshold {decision.threshold:.4f}.{notes}"
        )
    share = malignant_share(probabilities, labels)
    together = NONE_MALIGNANT if share is None else f"malignant diagnoses together {_words(share)}"
    return f"Most probable is {first}; {together}.{_caution(decision)}{notes}"


def malignant_share(probabilities: np.ndarray, labels: LabelSet) -> float | None:
    """Sum of the probabilities (K,) of the malignant diagnoses, in [0, 1]; None if no diagnosis is malignant."""
    if not labels.has_malignant:
        return None
    return float(min(1.0, probabilities[np.array(labels.malignant)].sum()))


def _caution(decision: Decision | None) -> str:
    """What a diagnosis lacks where nothing can be "not sure"."""
    if decision is not None and decision.threshold is not None:
        return ""
    why = "it was exported without one" if decision is None else decision.reason
    return f' This bundle has no calibrated outcome "not sure": {why}.'


def _words(probability: float) -> str:
    """Two decimals, but never a certainty that nobody has."""
    if probability > 0.995:
        return "above 0.99"
    return "below 0.01" if probability < 0.005 else f"{probability:.2f}"
