"""Examples of the worklist, of statistics and comparisons in OpenAPI; a test holds them against the models."""

from __future__ import annotations

from typing import Any

from lesionlens.serving.examples import BUNDLE_ID, ID, PREDICTION, REVIEW

WORKLIST: dict[str, Any] = {
    "predictions": 12,
    "unreviewed": 1,
    "disagreements": 1,
    "is_complete": True,
    "waiting": [PREDICTION],
    "disagreeing": [
        {
            "prediction": {**PREDICTION, "review": {**REVIEW, "conclusion": "nv"}},
            "kind": "false_alarm",
            "by": "review",
            "says": "nv",
            "certainty": 0.82,
        }
    ],
}
FEW: dict[str, Any] = {"hits": 3, "n": 4, "value": None, "low": None, "high": None}
MANY: dict[str, Any] = {"hits": 36, "n": 40, "value": 0.9, "low": 0.769, "high": 0.96}
STATISTICS: dict[str, Any] = {
    "bundle": BUNDLE_ID,
    "agreement": {"reviewed": 45, "not_comparable": 5, "diagnosis": MANY, "malignant": MANY},
    "confirmed": {
        "lesions": 5,
        "left_out": 1,
        "sensitivity": FEW,
        "specificity": {**FEW, "hits": 0, "n": 0},
        "by_diagnosis": {"mel": FEW},
        "calibration": {
            "predicted": 0.7,
            "observed": FEW,
            "brier": 0.12,
            "bins": [{"low": 0.0, "high": 0.05, "predicted": None, "observed": {**FEW, "hits": 0, "n": 0}}],
        },
    },
    "note": "Lesions with histology are those that somebody suspected.",
    "drift": {
        "bundle": BUNDLE_ID,
        "weeks": [
            {
                "week": "2026-11-16",
                "predictions": 210,
                "not_usable": 25,
                "not_sure": 31,
                "refusal_share": 0.119,
                "prior": 0.21,
            }
        ],
        "state": "alarm",
        "alarms": [{"what": "refusals", "before": 0.03, "recent": 0.119, "z": 5.2}],
    },
}
COMPARISON: dict[str, Any] = {
    "first": ID,
    "second": ID,
    "registration": {
        "matrix": [[0.9, 0.1, 0.02], [-0.1, 0.9, 0.05]],
        "zoom": 1.1,
        "rotation_deg": 6.3,
        "agreement": 0.71,
        "overlap": 0.84,
        "reason": "",
    },
    "areas": [
        {"share": 0.12, "mm2": 31.4, "diameter_mm": 6.3, "reason": ""},
        {"share": 0.15, "mm2": 39.3, "diameter_mm": 7.1, "reason": ""},
    ],
    "size": {"factor": 1.25, "by": "mm", "reason": ""},
    "colour": {"delta_e": 3.1, "lightness": -2.8, "red": 0.9, "yellow": -1.0},
}
