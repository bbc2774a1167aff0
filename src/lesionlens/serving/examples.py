"""Examples in OpenAPI; a test holds them against the models."""

from __future__ import annotations

from typing import Any

ID = "01M82VDBJZ10K4N0HN98RYPJT5"
REQUEST_ID = "0f6773aae2728949"
BUNDLE_ID = "0e5ed02e4e8fc6004e4a38d2c3b3cd1be7a92723a369b906b4c9b564b372c085"
LABELS: list[dict[str, Any]] = [
    {"code": "mel", "name": "Melanoma", "malignant": True},
    {"code": "nv", "name": "Melanocytic nevus", "malignant": False},
]
REVIEW_IN = {"conclusion": "mel", "note": "Excised; histology follows."}
REVIEW = {**REVIEW_IN, "reviewer": "dr-jones", "created": "2026-11-22T20:05:00.000Z"}
PREDICTION: dict[str, Any] = {
    "schema": "1",
    "id": ID,
    "request_id": REQUEST_ID,
    "created": "2026-11-22T20:00:00.000Z",
    "file_name": "lesion.jpg",
    "input_sha256": "88b006f00a3e84f190960195f06c915d1e7d78668430c290b8164c090e6358cf",
    "same_image": None,
    "case": "A-17",
    "lesion": "L1",
    "site": "back",
    "taken": "2026-11-20",
    "outcome": "diagnosis",
    "explanation": "Most probable is Melanoma (mel) with probability 82.0 %; malignant diagnoses together 82.0 %.",
    "diagnosis": "mel",
    "malignant_share": 0.82,
    "probabilities": [{**LABELS[0], "probability": 0.82}, {**LABELS[1], "probability": 0.18}],
    "gate": {"usable": True, "reasons": [], "measures": {"sharpness": 12.5}},
    "notes": [],
    "image": {"width": 600, "height": 450, "frames": 1, "frame": 0, "pixel_spacing_mm": [0.05, 0.05]},
    "timings_ms": {"decode": 3.1, "resize": 1.0, "network": 66.0, "total": 75.2},
    "bundle": {"id": BUNDLE_ID, "name": "light", "variant": "int8"},
    "maps": {"codes": ["mel", "nv"], "available": True, "expires": "2026-11-22T20:10:00.000Z", "part": [0.125, 0.0, 0.75, 1.0]},
    "review": None,
}
HEAT_MAP: dict[str, Any] = {"code": "mel", "values": [[0.0, 0.41], [0.12, 0.03]], "limit": 0.41, "part": [0.125, 0.0, 0.75, 1.0]}
UNUSABLE: dict[str, Any] = {
    **PREDICTION,
    "outcome": "not_usable",
    "explanation": "Not usable, so there is no diagnosis: the image is blurred or out of focus; take it again.",
    "diagnosis": None,
    "malignant_share": None,
    "probabilities": [],
    "gate": {
        "usable": False,
        "reasons": [{"code": "blurred", "text": "the image is blurred or out of focus; take it again"}],
        "measures": {"sharpness": 0.4},
    },
}
PAGE: dict[str, Any] = {"items": [{**PREDICTION, "review": REVIEW}], "next": ID}
MODEL: dict[str, Any] = {
    "bundle": {
        "id": BUNDLE_ID,
        "name": "light",
        "variant": "int8",
        "runtime": "openvino",
        "why": "int8 on openvino is the fastest of 4 measured on this machine (1.4 ms per image), and the bundle's default",
    },
    "labels": LABELS,
    "input": {"size": 192, "frame": 192, "resize": "squash"},
    "scores": None,
    "limits": {"upload_bytes": 33554432, "pixels": 24000000},
    "intended_use": {"status": "A research and decision-support tool, not a medical device."},
    "card": "# light\n",
    "card_html": "<h3>light</h3>\n",
    "decision": None,
    "gate": None,
    "metadata": {"fields": ["age", "sex"], "choices": {"sex": ["female", "male"]}},
    "access": {"tokens_required": True, "role": "review", "name": "dr-jones"},
}
CSV = f"id,created,outcome,diagnosis\r\n{ID},2026-11-22T20:00:00.000Z,diagnosis,mel\r\n"
BATCH: dict[str, Any] = {
    "id": ID,
    "created": "2026-11-22T20:00:00.000Z",
    "finished": False,
    "waiting": 1,
    "done": 1,
    "refused": 0,
    "items": [
        {"number": 0, "file_name": "one.jpg", "state": "done", "prediction": ID, "problem": None},
        {"number": 1, "file_name": "two.jpg", "state": "waiting", "prediction": None, "problem": None},
    ],
}
EVENTS = 'event: item\ndata: {"number": 0, "file_name": "one.jpg", "state": "done", "prediction": "ID", "problem": null}\n\n'
DELIVERIES: dict[str, Any] = {
    "items": [
        {
            "number": 7,
            "prediction": ID,
            "kind": "sr",
            "created": "2026-11-22T20:00:00.000Z",
            "attempts": 3,
            "delivered": None,
            "error": "there is no association with ARCHIVE at 192.0.2.8:11112; is it running?",
        }
    ],
    "next": None,
}
COMPARISON: dict[str, Any] = {
    "champion": {"id": BUNDLE_ID, "name": "light", "variant": "int8"},
    "shadow": {"id": BUNDLE_ID[::-1], "name": "next", "variant": "fp32"},
    "left_out": 0,
    "compared": 2,
    "same_outcome": 2,
    "same_diagnosis": 1,
    "both_diagnosed": 2,
    "outcomes": [{"champion": "diagnosis", "shadow": "diagnosis", "count": 2}],
    "malignant_share_difference": {"mean": 0.21, "mean_absolute": 0.24},
    "disagreements": [
        {
            "prediction": ID,
            "champion": {"outcome": "diagnosis", "diagnosis": "nv", "malignant_share": 0.31},
            "shadow": {"outcome": "diagnosis", "diagnosis": "mel", "malignant_share": 0.76},
        }
    ],
}
FHIR: dict[str, Any] = {"resourceType": "Bundle", "type": "collection", "entry": []}
METRICS = 'lesionlens_answers_total{outcome="diagnosis"} 1\n'
