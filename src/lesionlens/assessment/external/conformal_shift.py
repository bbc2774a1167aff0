"""What is left of the coverage of conformal sets on external images."""

from __future__ import annotations

from typing import Any

import numpy as np

from lesionlens.assessment.decisions.conformal import ConformalSets
from lesionlens.assessment.decisions.conformal_coverage import evaluate_sets
from lesionlens.assessment.decisions.linear_map import LinearMap
from lesionlens.evaluation.calibration import log_softmax
from lesionlens.evaluation.predictions import Predictions

NO_DECISIONS = "the model's run has no decisions.json of this checkpoint; make one with: lesionlens assess CHECKPOINT"
OTHER_VIEWS = "decisions.json was made with another number of views"


def coverage_under_shift(
    decisions: dict[str, Any] | None, predictions: Predictions, temperature: float, confidence: float = 0.95
) -> dict[str, Any]:
    """Coverage of the run's conformal sets on external images, beside that on its own test split.

    The sets, and the recalibration that their probabilities need, are those of decisions.json; nothing is fitted here. The
    promise of the sets is for lesions from the source of the validation split; this shows what is left of it.

    Args:
        decisions: content of decisions.json of the same checkpoint; None if there is none.
        predictions: external ones; logits are logarithms of probabilities with the temperature applied.
        temperature: that was applied.
        confidence: level of the intervals.

    Returns:
        `sets`: for each kind `score`, `group`, the promised `coverage`, and what `evaluate_sets` finds on `test` and
        `external`; or a `reason`.
    """
    if decisions is None:
        return {"reason": NO_DECISIONS}
    if decisions["views"] != predictions.origin.views:
        return {"reason": OTHER_VIEWS}
    made = decisions["recalibration"]
    recalibration = LinearMap(np.array(made["weights"]), np.array(made["intercepts"]))
    raw = log_softmax(predictions.logits.astype(np.float64) * temperature)  # undoes the temperature
    probabilities = np.exp(recalibration.log_probabilities(raw))
    rows = []
    for row in decisions["conformal"]:
        sets = ConformalSets.from_json(row["sets"])
        found = evaluate_sets(sets, probabilities, predictions.labels, predictions.lesion_ids, confidence)
        rows.append({"score": sets.score, "group": sets.group, "coverage": sets.coverage, "test": row["test"], "external": found})
    return {"sets": rows}
