"""Other data sets: one row for each centre, and for each set how it was scored and how far it differs."""

from __future__ import annotations

from typing import Any

from lesionlens.assessment.external.artifacts import read_evaluations
from lesionlens.assessment.external.text import conformal_lines, flow_line, frozen_line, leak_lines, mapping_lines, shift_lines
from lesionlens.reporting.flow_plot import flow_diagram
from lesionlens.reporting.formats import ABSENT, NARROW, count, percent
from lesionlens.reporting.run_folder import RunContents

COLUMNS = {
    "balanced_accuracy": "Balanced accuracy",
    "restricted_balanced_accuracy": "Restricted",
    "macro_auc": "Macro AUC",
    "melanoma_auc": "Melanoma AUC",
    "melanoma_sensitivity": "Sensitivity",
    "melanoma_specificity": "Specificity",
    "refitted_sensitivity": "Re-fitted sensitivity",
    "refitted_specificity": "Re-fitted specificity",
    "malignant_auc": "Malignant AUC",
    "ece": "ECE",
}
INTENTION = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "malignant_sensitivity": "Sensitivity, malignant",
    "malignant_specificity": "Specificity, malignant",
}
OFFICIAL = {
    **{"auc": "AUC", "auc_sens_80": "AUC over 80 % sensitivity", "ap": "Average precision", "accuracy": "Accuracy"},
    **{"sensitivity": "Sensitivity", "specificity": "Specificity", "dice": "F1", "ppv": "PPV", "npv": "NPV"},
}


def section(run: RunContents) -> dict[str, Any] | None:
    """The external evaluations of the run's checkpoint; None if the run has none at all."""
    if not run.paths.external.is_dir():
        return None
    contents, others = read_evaluations(run.paths.external, run.checkpoint_hash)
    rows = [row for content in contents for row in _rows(content)]
    internal = next((content["internal"] for content in contents if content["internal"]), None)
    if internal is not None:
        rows.insert(0, _row(f"Own {internal['split']} split", internal, own=True))
    return {
        "columns": list(COLUMNS.values()),
        "rows": rows,
        "reasons": _by_reason(rows),
        "sets": [_set(content) for content in contents],
        "others": others,
        "confidence": percent(contents[0]["confidence"], 0) if contents else "",
    }


def _rows(content: dict[str, Any]) -> list[dict[str, Any]]:
    figures = content["key_figures"]
    rows = [_row(content["name"], figures["image"])]
    return rows if figures["lesion"] is None else [*rows, _row(f"{content['name']}, by lesion", figures["lesion"])]


def _row(name: str, row: dict[str, Any], own: bool = False) -> dict[str, Any]:
    figures = [(column, row["figures"][column]) for column in COLUMNS]
    left = row["without_diagnosis"]
    n_left = None if left is None else left["of"] and sum(left[cause] for cause in ("unreadable", "refused", "not_sure"))
    return {
        "name": name,
        "own": own,
        "images": count(row["n_images"]),
        "lesions": count(row["n_lesions"]),
        "cells": [_cell(column, figure) for column, figure in figures],
        "without_diagnosis": ABSENT if n_left is None else percent(n_left / left["of"]),
        "reasons": [(figure["reason"], COLUMNS[column]) for column, figure in figures if figure.get("reason")],
    }


def _by_reason(rows: list[dict[str, Any]]) -> list[str]:
    """Why figures or intervals are missing, each reason once with the columns and rows that it is true of."""
    by_reason: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        for reason, column in row["reasons"]:
            by_reason.setdefault(reason, {}).setdefault(row["name"], []).append(column)
    rows_of = {
        reason: [f"{name} ({', '.join(columns)})" for name, columns in where.items()] for reason, where in by_reason.items()
    }
    return [f"{reason}: {'; '.join(names)}" for reason, names in rows_of.items()]


def _cell(name: str, figure: dict[str, Any]) -> dict[str, str]:
    """A figure and its interval; AUC with three decimals, shares in per cent."""
    if figure["value"] is None:
        return {"value": ABSENT, "interval": ""}
    if figure["low"] is None or figure["high"] is None:
        counts = f"{figure['count']} of {figure['of']}" if "of" in figure else ""
        return {"value": _text(name, figure["value"]), "interval": counts}
    ends = [_text(name, figure[end], bare=True) for end in ("low", "high")]
    return {"value": _text(name, figure["value"]), "interval": "–".join(ends)}


def _text(name: str, value: float, bare: bool = False) -> str:
    if name.endswith("auc"):
        return f"{value:.3f}"
    return f"{100 * value:.1f}" + ("" if bare else f"{NARROW}%")


def _set(content: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": content["name"],
        "flow_line": flow_line(content["flow"]),
        "lines": [f"Frozen: {frozen_line(content['frozen'])}.", *mapping_lines(content), *leak_lines(content["leaks"])],
        "leaks_kept": content["flow"]["leaked_kept"],
        "screened": content["leaks"]["screened"],
        "flow": flow_diagram(content["flow"]),
        "mapping": _mapping(content),
        "intention": [_intention(row) for row in content["intention"].values()],
        "intention_heads": list(INTENTION.values()),
        "shift": [*shift_lines(content["shift"]), *conformal_lines(content)],
        "shares": _shares(content["shift"]["prior"]["shares"]),
        "official": _official(content["image"]["official"]),
        "lesion_reason": content["lesion"].get("reason", ""),
    }


def _mapping(content: dict[str, Any]) -> list[dict[str, str]]:
    return [
        {"name": row["name"], "model": row["model"] or "none", "how": row["how"], "images": count(row["n_images"])}
        for row in content["mapping"]["rows"]
    ]


def _intention(row: dict[str, Any]) -> dict[str, Any]:
    cells = [_cell(name, row[name]) for name in INTENTION]
    return {"rule": row["rule"][0].upper() + row["rule"][1:], "images": count(row["n_images"]), "cells": cells}


def _shares(shares: dict[str, dict[str, float | None]]) -> list[dict[str, str]]:
    names = ("training", "observed", "estimated")
    return [{"code": code, **{name: percent(row[name]) for name in names}} for code, row in shares.items()]


def _official(official: dict[str, Any]) -> dict[str, Any]:
    """The official metrics as a table; a ratio that the scorer gives away is marked."""
    rows = []
    for code, values in official["per_category"].items():
        cells = [_official_cell(values[name], code in official["set_to_one"].get(name, ())) for name in OFFICIAL]
        rows.append({"code": code, "cells": cells})
    means = [_official_cell(official["macro_average"][name], False) for name in OFFICIAL]
    return {
        "heads": list(OFFICIAL.values()),
        "rows": [*rows, {"code": "mean", "cells": means}],
        "balanced_accuracy": f"{official['aggregate']['balanced_accuracy']:.3f}",
        "set_to_one": bool(official["set_to_one"]),
        "reasons": [f"{code}: {reason}" for code, reason in official["reasons"].items()],
    }


def _official_cell(value: float | None, is_set: bool) -> str:
    return ABSENT if value is None else f"{value:.3f}" + ("*" if is_set else "")
