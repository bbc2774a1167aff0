"""Examples of cases in OpenAPI; a test holds them against the models."""

from __future__ import annotations

from typing import Any

from lesionlens.serving.examples import ID, PREDICTION

HISTOLOGY_IN: dict[str, Any] = {"dx": "mel", "note": "Breslow 0.4 mm", "correction": False}
HISTOLOGY: dict[str, Any] = {**HISTOLOGY_IN, "created": "2026-12-01T09:00:00.000Z", "who": "dr-jones"}
CASES: dict[str, Any] = {
    "items": [
        {
            "case": "A-17",
            "newest": ID,
            "created": "2026-11-22T20:00:00.000Z",
            "images": 1,
            "lesions": 1,
            "unreviewed": 1,
            "malignant_share": 0.82,
        }
    ],
    "next": None,
}
LESION: dict[str, Any] = {
    "case": "A-17",
    "lesion": "L1",
    "site": "back",
    "histology": [HISTOLOGY],
    "visits": [
        {
            "day": "2026-11-20",
            "images": [ID],
            "malignant_share": {"count": 1, "mean": 0.82, "low": 0.82, "high": 0.82, "sd": None},
        }
    ],
    "images": [PREDICTION],
}
CASE: dict[str, Any] = {"case": "A-17", "lesions": [LESION], "unassigned": []}
SUBJECT: dict[str, Any] = {"case": "A-17", "lesion": "L1", "site": "back", "taken": "2026-11-20"}
DELETED: dict[str, Any] = {
    "prediction": ID,
    "created": "2026-12-02T10:00:00.000Z",
    "who": "dr-jones",
    "image": True,
    "overwritten": True,
}
