"""The report's section on heat maps and their faithfulness."""

from __future__ import annotations

from typing import Any

from lesionlens.reporting.formats import interval_text, metric_text, percent
from lesionlens.reporting.pictures import embed_file
from lesionlens.reporting.run_folder import RunContents

LOCATION = {
    "pointing_game": "Highest cell inside the lesion",
    "energy_inside": "Share of the map inside the lesion",
    "best_iou": "Best overlap (IoU)",
}
CONTROLS = {
    "random_weights": "networks with random weights",
    "other_image": "this network’s map of another image",
    "centre": "a fixed blob in the centre",
}


def heat_maps(run: RunContents) -> dict[str, Any] | None:
    """Gallery, agreement with lesion masks beside the controls, deletion and insertion; None without heat maps."""
    report = run.explanation
    if report is None:
        return None
    localisation = report["localisation"]
    return {
        "method": report["method"],
        "images": report["n_images"],
        "split": report["split"],
        "gallery": embed_file(run.paths.explanation / "gallery.png", max_bytes=900_000),
        "heads": list(LOCATION.values()),
        "rows": [] if localisation is None else _location_rows(localisation),
        "chance": None if localisation is None else percent(localisation["metrics"]["chance"]["value"]),
        "curves": _curve_rows(report["curves"]),
        "confidence": percent(report["confidence"], 0),
    }


def _location_rows(localisation: dict[str, Any]) -> list[dict[str, Any]]:
    named = {"this network": localisation["metrics"], **{CONTROLS.get(k, k): row for k, row in localisation["controls"].items()}}
    return [{"label": label, "own": label == "this network", "cells": _cells(row)} for label, row in named.items()]


def _cells(row: dict[str, Any]) -> list[dict[str, str]]:
    return [{"value": metric_text(name, row[name]["value"]), "interval": interval_text(name, row[name])} for name in LOCATION]


def _curve_rows(curves: dict[str, Any] | None) -> list[dict[str, str]]:
    if curves is None:
        return []
    names = {"deletion": "Deletion (lower is better)", "insertion": "Insertion (higher is better)"}
    return [
        {
            "label": label,
            "area": metric_text("auc", curves[name]["area"]["value"]),
            "interval": interval_text("auc", curves[name]["area"]),
            "random": metric_text("auc", curves[name]["random_order_area"]["value"]),
            "gain": metric_text("auc", curves[name]["gain"]["value"]),
            "gain_interval": interval_text("auc", curves[name]["gain"]),
        }
        for name, label in names.items()
    ]
