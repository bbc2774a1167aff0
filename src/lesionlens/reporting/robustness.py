"""The report's section on stability: repeated photographs, corruptions, human readers, hard images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lesionlens.evaluation.ratio_intervals import LEAST_LESIONS
from lesionlens.reporting.corruption_sheet import corruption_sheet
from lesionlens.reporting.formats import ABSENT, defined, has_interval, percent
from lesionlens.reporting.palette import class_names
from lesionlens.reporting.pictures import Picture, case_picture
from lesionlens.reporting.run_folder import RunContents
from lesionlens.reporting.stability_plots import StrengthCurve, case_scatter, lowest_tenth, strength_panel

REPEATED = {
    "all_alike": ("One diagnosis for all", True),
    "pairs_alike": ("Pairs with one diagnosis", True),
    "kappa": ("Agreement beyond chance (kappa)", False),
    "malignancy_alike": ("Malignancy called alike", True),
    "spread": ("Malignant probability, SD within", False),
    "coefficient": ("Malignant probability, repeatability coefficient", False),
}
PICTURE_BYTES = 12_000
TOO_FEW = f"an interval needs {LEAST_LESIONS}"
KINDS = {"label": "Label in doubt", "seeds": "Seeds disagree", "views": "Views disagree"}
CURVES = (("balanced_accuracy", "balanced accuracy", "plain"), ("malignant_sensitivity", "malignant sensitivity", "warm"))
READER_METRICS = {
    "accuracy": "Accuracy",
    "malignant_sensitivity": "Sensitivity, malignant",
    "malignant_specificity": "Specificity, malignant",
}


def section(run: RunContents) -> dict[str, Any] | None:
    """What the template shows; None if the run lacks the assessment."""
    result = run.assessments.get("robustness")
    if result is None:
        return None
    table = result["corruptions"]
    return {
        "name": result["name"],
        "split": result["split"],
        "images": result["n_images"],
        "lesions": result["n_lesions"],
        "confidence": percent(result["confidence"], 0),
        "repeated": _repeated(result),
        "corruptions": _corruptions(table),
        "panels": _panels(table),
        "sheet": corruption_sheet(run, result),
        "published": [_published(row) for row in result["published"]],
        "readers": _readers(result["readers"]),
        "hard": _hard(result["hard"], run),
    }


def _repeated(result: Mapping[str, Any]) -> dict[str, Any]:
    """Photographs of one lesion and views of one image, side by side."""
    photographs, views = result["photographs"], result["views"]
    columns, heads = [], []
    if photographs["n_units"]:
        columns.append(photographs["metrics"])
        heads.append(f"{photographs['n_ratings']} photographs of {photographs['n_units']} lesions")
    if views["n_units"]:
        columns.append(views["metrics"])
        heads.append(f"8 views of {views['n_units']} images")
    rows = []
    for name, (label, is_share) in REPEATED.items():
        scale, digits = (100, 1) if is_share else (1, 3)
        if any(name in metrics for metrics in columns):
            cells = [_cell(metrics.get(name), scale, digits) for metrics in columns]
            rows.append({"label": f"{label}, %" if is_share else label, "cells": cells})
    return {"heads": heads, "rows": rows, "reason": "" if photographs["n_units"] else photographs["reason"]}


def _cell(metric: Mapping[str, Any] | None, scale: float = 100, digits: int = 1) -> dict[str, str]:
    """A metric as text, with its interval or the reason why there is none."""
    if metric is None:
        return {"value": ABSENT, "interval": ""}
    reason = "too few lesions" if metric.get("reason", "").endswith(TOO_FEW) else metric.get("reason", "")
    if not defined(metric["value"]):
        return {"value": ABSENT, "interval": reason}
    value, low, high = (_signed(scale, digits, metric[end]) for end in ("value", "low", "high"))
    between = " to " if metric["low"] is not None and metric["low"] < 0 else "–"
    return {"value": value, "interval": f"{low}{between}{high}" if has_interval(metric) else reason}


def _signed(scale: float, digits: int, value: float | None) -> str:
    return ABSENT if value is None else f"{scale * value:.{digits}f}".replace("-", "\u2212")


def _corruptions(table: Mapping[str, Any]) -> dict[str, Any]:
    reference = table.get("reference")
    ratios = {row["name"]: row["ratio"] for row in reference["rows"]} if reference else {}
    rows = [
        {
            "title": row["title"],
            "unit": row["unit"],
            "cells": [(_cell(cell["balanced_accuracy"])["value"], f"{cell['value']:g}") for cell in row["strengths"]],
            "changed": _cell(row["strengths"][-1]["changed"]),
            "error": _cell(row["error"]),
            "above": _cell(row["error_above_clean"]),
            "ratio": percent(ratios.get(row["name"])) if reference else "",
        }
        for row in table["rows"]
    ]
    return {
        "images": table["n_images"],
        "lesions": table["n_lesions"],
        "clean": {name: _cell(metric) for name, metric in table["clean"].items()},
        "rows": rows,
        "mean": {name: _cell(metric) for name, metric in table["mean"].items()} if table["mean"] else None,
        "reference": {name: percent(reference[name]) for name in ("mce", "relative_mce")} if reference else None,
    }


def _panels(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One small plot for each corruption, all with the same axes."""
    found = {row["title"]: _curves(table["clean"], row) for row in table["rows"]}
    low = lowest_tenth([value for curves in found.values() for curve in curves for value in (*curve.values, *curve.lows)])
    return [{"title": title, "plot": strength_panel(curves, low, title)} for title, curves in found.items()]


def _curves(clean: Mapping[str, Any], row: Mapping[str, Any]) -> list[StrengthCurve]:
    curves = []
    for name, label, css in CURVES:
        metrics = [cell[name] for cell in (clean, *row["strengths"]) if name in cell]
        if len(metrics) == len(row["strengths"]) + 1 and all(defined(metric["value"]) for metric in metrics):
            ends = [tuple(np.nan if metric[end] is None else metric[end] for metric in metrics) for end in ("low", "high")]
            curves.append(StrengthCurve(label, css, tuple(metric["value"] for metric in metrics), *ends))
    return curves


def _published(row: Mapping[str, Any]) -> dict[str, Any]:
    readers = row["readers"]
    at = f" at {100 * readers['specificity']:.1f} % specificity" if readers["specificity"] else ""
    algorithms = f"; best algorithms {100 * readers['algorithms']:.1f}" if readers["algorithms"] else ""
    return {
        "metric": readers["metric"].replace("_", " ").capitalize() + at,
        "images": row["images"],
        "network": _cell(row["network"]),
        "readers": f"{100 * readers['value']:.1f}{algorithms}",
        "who": readers["name"],
        "shown": readers["images"],
        "source": readers["source"],
    }


def _readers(readers: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if readers is None:
        return None
    metrics = readers["metrics"]
    rows = [
        {"label": label, **{name: _cell(metrics[metric][name]) for name in ("readers", "network", "difference")}}
        for metric, label in READER_METRICS.items()
        if metric in metrics
    ]
    cases = {name: [_reader_case(case) for case in cases[:12]] for name, cases in readers["cases"].items()}
    return {
        "images": readers["n_images"],
        "answers": readers["n_answers"],
        "readers": readers["n_readers"],
        "notes": readers["notes"],
        "rows": rows,
        "majority": _cell(metrics["majority_accuracy"]),
        "agreement": _cell(metrics["agreement"]),
        "table": readers["table"],
        "cases": cases,
        "scatter": case_scatter([(right, probability, bool(malignant)) for right, probability, malignant in readers["points"]]),
    }


def _reader_case(case: Mapping[str, Any]) -> dict[str, str]:
    shares = {name: percent(case[name], 0) for name in ("reader_accuracy", "p_true")}
    return {**{name: str(case[name]) for name in ("image_id", "label", "called", "readers", "n_answers")}, **shares}


def _hard(hard: Mapping[str, Any], run: RunContents) -> dict[str, Any]:
    css, names = class_names(run.labels), {diagnosis.code: diagnosis.name for diagnosis in run.labels.diagnoses}
    images = [
        {
            "image_id": image["image_id"],
            "kind": KINDS[image["kind"]],
            "label": names.get(image["label"], image["label"]),
            "other": names.get(image["other"], image["other"]),
            "called": names.get(image["called"], image["called"]),
            "is_label": image["kind"] == "label",
            "made_by": image["dx_type"].replace("_", " "),
            "p_label": percent(image["p_label"], 0),
            "p_called": percent(image["p_called"], 0),
            "css": css.get(image["label"], ""),
            "picture": _picture(image["image_id"], run),
        }
        for image in hard["images"]
    ]
    counts = [(KINDS[kind], hard["counts"][kind], words) for kind, words in hard["kinds"].items()]
    return {"images": images, "counts": counts}


def _picture(image_id: str, run: RunContents) -> Picture | None:
    return case_picture(image_id, run.index, run.store, PICTURE_BYTES) if image_id in run.index.by_id() else None
