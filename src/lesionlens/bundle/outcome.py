"""The outcome for one image: a diagnosis, "not sure", or "not usable", and a text that explains it."""

from __future__ import annotations

import numpy as np

from lesionlens.bundle.decision import Decision
from lesionlens.bundle.gate import GateResult
from lesionlens.core.labels import LabelSet
from lesionlens.core.percent import percent

DIAGNOSIS, NOT_SURE, NOT_USABLE = OUTCOMES = ("diagnosis", "not_sure", "not_usable")
NONE_MALIGNANT = "none of the diagnoses that it knows is malignant"
NOT_CHECKED = "This bundle has no gate, so whether the image is usable at all was not checked."
WITHOUT = "it was exported without one"
# The sentences of `explanation_text`, and of the browser's copy of it in `lesionlens site`.
SENTENCES = {
    NOT_USABLE: "Not usable, so there is no diagnosis: {reasons}.",
    NOT_SURE: (
        "Not sure: have a person look. The first choice is {first}, but the probability of {watched} "
        "is {probability}, not below the threshold {threshold}.{notes}"
    ),
    DIAGNOSIS: "Most probable is {first}; {share}.{notes}",
    "first": "{name} ({code}) with probability {probability}",
    "share": "malignant diagnoses together {probability}",
}


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
        return SENTENCES[NOT_USABLE].format(reasons="; ".join(gate_result.texts))
    number = int(probabilities.argmax())
    first = SENTENCES["first"].format(
        name=labels.names[number], code=labels.codes[number], probability=percent(float(probabilities[number]))
    )
    notes = "" if gate_result is not None else f" {NOT_CHECKED}"
    if outcome == NOT_SURE:
        assert decision is not None
        watched = float(decision.watched_probability(probabilities[None], labels)[0])
        numbers = {"probability": percent(watched, 2), "threshold": percent(decision.threshold or 0.0, 2)}
        return SENTENCES[NOT_SURE].format(first=first, watched=decision.name, notes=notes, **numbers)
    share = malignant_share(probabilities, labels)
    together = NONE_MALIGNANT if share is None else SENTENCES["share"].format(probability=percent(share))
    return SENTENCES[DIAGNOSIS].format(first=first, share=together, notes=f"{caution(decision)}{notes}")


def malignant_share(probabilities: np.ndarray, labels: LabelSet) -> float | None:
    """Sum of the probabilities (K,) of the malignant diagnoses, in [0, 1]; None if no diagnosis is malignant."""
    if not labels.has_malignant:
        return None
    return float(min(1.0, probabilities[np.array(labels.malignant)].sum()))


def caution(decision: Decision | None) -> str:
    """What a diagnosis lacks where nothing can be "not sure"."""
    if decision is not None and decision.threshold is not None:
        return ""
    why = WITHOUT if decision is None else decision.reason
    return f' This bundle has no calibrated outcome "not sure": {why}.'
