"""scores.json: every metric of a set of predictions with its interval."""

from __future__ import annotations

from typing import Any

import numpy as np

from lesionlens.evaluation.metric_intervals import METHODS, metric_intervals
from lesionlens.evaluation.metrics import confusion_matrix, present
from lesionlens.evaluation.predictions import Predictions
from lesionlens.evaluation.ratio_intervals import LEAST_LESIONS
from lesionlens.evaluation.weighted_metrics import OVERALL, PER_CLASS, WeightedMetrics

FORMAT = 2  # 1, of lesionlens 0.1, had percentile intervals for every metric, the plain ECE and no methods


def score(predictions: Predictions, resamples: int = 2000, confidence: float = 0.95, seed: int = 0) -> dict[str, Any]:
    """All metrics of `predictions`, JSON-ready.

    Args:
        predictions: of one split.
        resamples: bootstrap resamples over lesions, for Brier score and likelihood.
        confidence: level of the intervals, in (0, 1).
        seed: of the resamples.

    Returns:
        The content of scores.json: where the predictions come from, `metrics` (each name of
        `OVERALL`) and `per_class` by code (`n`, `n_lesions` and each name of `PER_CLASS`) as
        `value low high` with the `method` of the interval, or the `reason` why there is none; `count` and `of` for
        proportions; for `ece`, whose value is debiased, the `plain` one and `p` of the test of calibration;
        `methods`: in words; `least_lesions`: what an interval needs; `confusion` with the true diagnosis in rows;
        `n_classes_averaged`: the number of diagnoses in the macro means. Undefined metrics are None.
    """
    cases = WeightedMetrics.of(predictions.logits, predictions.labels)
    intervals = metric_intervals(cases, predictions.lesion_ids, resamples, confidence, seed)
    confusion = confusion_matrix(predictions.labels, predictions.predicted, cases.n_classes)
    per_class = {
        code: {
            "n": int(confusion[c].sum()),
            "n_lesions": len(np.unique(predictions.lesion_ids[predictions.labels == c])),
            **{name: intervals[name][c].to_json() for name in PER_CLASS},
        }
        for c, code in enumerate(predictions.codes)
    }
    used = {each.method for of_classes in intervals.values() for each in of_classes}
    return {
        "format": FORMAT,
        **_origin(predictions),
        "resamples": resamples,
        "confidence": confidence,
        "resample_seed": seed,
        "labels": predictions.label_set.to_json(),
        "metrics": {name: intervals[name][0].to_json() for name in OVERALL},
        "per_class": per_class,
        "methods": {name: text for name, text in METHODS.items() if name in used},
        "least_lesions": LEAST_LESIONS,
        "confusion": confusion.tolist(),
        "n_classes_averaged": int(present(confusion).sum()),
        "made_from": dict(predictions.origin.hashes),
    }


def _origin(predictions: Predictions) -> dict[str, Any]:
    """Where the predictions come from."""
    origin = predictions.origin
    return {
        "name": origin.name,
        "seed": origin.seed,
        "protocol": origin.protocol,
        "leaks": origin.leaks,
        "leak_rate": origin.leak_rate,
        "n_unknown_lesion": origin.n_unknown_lesion,
        "patient_leak_rate": origin.patient_leak_rate,
        "split": origin.split,
        "n_images": len(predictions),
        "n_lesions": len(np.unique(predictions.lesion_ids)),
        "n_dropped": origin.n_dropped,
        "views": origin.views,
        "precision": origin.precision,
    }
