"""The report's section on calibration and decisions, from decisions.json."""

from __future__ import annotations

from typing import Any

from lesionlens.core.percent import p_number
from lesionlens.reporting.decision_plots import decision_curve_panel, reliability_panel
from lesionlens.reporting.formats import ABSENT, percent
from lesionlens.reporting.palette import class_names
from lesionlens.reporting.run_folder import RunContents

Cell = dict[str, str]
MINUS = "−"
RULES = {
    "bayes": "threshold of the costs",
    "bundle": "called so or not sure",
    "first choice": "called so",
    "all": "everybody",
    "none": "nobody",
}
QUESTIONS = {"melanoma": "Melanoma against the rest", "malignant": "Malignant against benign"}
SCORES = {"lac": "LAC", "aps": "APS"}
GROUPS = {"marginal": "one threshold", "class": "one for each diagnosis"}
GUARANTEED = ("sensitivity", "lesion_sensitivity", "not_sure", "accuracy_answered")


def decisions(run: RunContents) -> dict[str, Any] | None:
    """The tables and figures of decisions.json; None without one."""
    content = run.assessments.get("decisions")
    if content is None:
        return None
    stated = content["settings"]
    return {
        "notes": content["notes"],
        "images": content["n_images"],
        "lesions": content["n_lesions"],
        "confidence": percent(content["resampling"]["confidence"], 0),
        "calibration": _calibration(content["recalibration"]),
        "reliability": _reliability(run, content["reliability"]),
        "questions": [_question(name, each) for name, each in content["questions"].items()],
        "guarantees": _guarantees(content["guarantees"], stated["guarantee"]["delta"]),
        "conformal": _conformal(run, content["conformal"]),
        "clinic": _clinic(content["clinic"]),
        "has_costs": stated["cost_missed"] is not None,
    }


def cell(number: dict[str, Any], digits: int = 1, scale: float = 100) -> Cell:
    """A number as `value` and `interval`: a count or a dash where there is no interval, and the reason as `why`.

    >>> cell({"value": 0.5, "low": 0.4, "high": 0.6})
    {'value': '50.0', 'interval': '40.0–60.0', 'why': ''}
    """
    why = number.get("reason", "")
    if number.get("value") is None:
        return {"value": ABSENT, "interval": "", "why": why}
    shown = _decimal(scale * number["value"], digits)
    if number.get("low") is not None:
        low, high = (_decimal(scale * number[end], digits) for end in ("low", "high"))
        between = " to " if low.startswith(MINUS) else "–"
        return {"value": shown, "interval": f"{low}{between}{high}", "why": ""}
    return {"value": shown, "interval": f"{number['count']} of {number['of']}" if "count" in number else ABSENT, "why": why}


def _decimal(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", MINUS)  # no minus before a zero


def _calibration(recalibration: dict[str, Any]) -> dict[str, Any]:
    rows = []
    for name, candidate in {"none": {}, **recalibration["candidates"]}.items():
        test = recalibration["test"].get(name)
        rows.append(
            {
                "name": name,
                "own": name == recalibration["method"],
                "validation": ABSENT if candidate.get("nll") is None else f"{candidate['nll']:.3f}",
                "difference": _signed(candidate["difference"]).partition(" ") if "difference" in candidate else (),
                "nll": cell(test["nll"], 3, 1) if test else None,
                "ece": cell(test["ece"]) if test else None,
                "p": p_number(test["ece"]["p"], ABSENT) if test else ABSENT,
            }
        )
    after = recalibration["test"][recalibration["method"]]["ece"]
    facts = {key: recalibration[key] for key in ("method", "reason", "folds")}
    return {
        **facts,
        "temperature": f"{recalibration['temperature']:.2f}",
        "rows": rows,
        "ece": cell(after),
        "p": p_number(after["p"], ABSENT),
    }


def _signed(number: dict[str, Any]) -> str:
    if number["low"] is None:
        return f"{number['value']:+.3f}".replace("-", MINUS)
    return f"{number['value']:+.3f} ({number['low']:+.3f} to {number['high']:+.3f})".replace("-", MINUS)


def _reliability(run: RunContents, rows: dict[str, Any]) -> list[dict[str, Any]]:
    css, names = class_names(run.labels), dict(zip(run.labels.codes, run.labels.names, strict=True))
    cards = []
    for name, row in rows.items():
        title, colour = names.get(name, QUESTIONS.get(name, name)), css.get(name, "")
        if not row["n"]:
            continue
        line = {key: cell(row[key], 2, 1) for key in ("slope", "intercept")}
        cards.append(
            {"title": title, "css": colour, **line, "n": row["n"], "plot": reliability_panel(row["bins"], title, colour)}
        )
    return cards


def _question(name: str, content: dict[str, Any]) -> dict[str, Any]:
    title = QUESTIONS[name]
    reason = content.get("reason") or content["auc"].get("reason", "") * ("value" not in content["auc"])
    if reason:
        return {"title": title, "reason": reason}
    points = [(kind, row) for kind in ("specificity", "sensitivity") for row in content[f"at_{kind}"]]
    prevalences: list[dict[str, Any]] = next((row["predictive_values"] for _, row in points if "threshold" in row), [])
    counts = content["counts"]["test"]["positive"]
    return {
        "title": title,
        "reason": "",
        "codes": " + ".join(content["codes"]),
        "counts": counts,
        "auc": cell(content["auc"], 3, 1),
        "partial": _partial(content["partial_auc"]),
        "prevalences": [percent(each["prevalence"], 0) for each in prevalences],
        "points": [_point(kind, row) for kind, row in points],
        "readers": _readers(content.get("readers")),
        **_decided(content, title),
    }


def _decided(content: dict[str, Any], title: str) -> dict[str, Any]:
    """Decision curve and costs of a question, at the split's or a clinic's prevalence."""
    curve, costs = content["decision_curve"], content["costs"]
    marked = costs.get("threshold")
    return {
        "curve": None if "reason" in curve else decision_curve_panel(curve, title, marked),
        "curve_reason": curve.get("reason", ""),
        "prevalence": percent(curve.get("prevalence")),
        "useful": [f"{100 * low:g} to {100 * high:g} %" for low, high in curve.get("useful", [])],
        "costs": None if "reason" in costs else _costs(costs),
        "costs_reason": costs.get("reason", ""),
    }


def _partial(areas: dict[str, Any]) -> dict[str, Any]:
    limits = {name: percent(areas[name], 0) for name in ("least_specificity", "least_sensitivity")}
    return limits | {name: cell(areas[name], 3, 1) for name in ("standardised", "isic_2024")}


def _point(kind: str, row: dict[str, Any]) -> dict[str, Any]:
    label = f"{kind} {100 * row['stated']:g} %"
    (follows, curve), *_ = row["curve"].items()
    own = {**cell(curve), "follows": follows}
    if "threshold" not in row:
        return {"label": label, "reason": row["reason"], "own": own}
    test = row["test"]
    values = [{"ppv": cell(each["ppv"]), "npv": cell(each["npv"])} for each in row["predictive_values"]]
    rates = {name: cell(test[name]) for name in ("sensitivity", "specificity")}
    return {"label": label, "reason": "", "threshold": f"{100 * row['threshold']:.2f}", **rates, "values": values, "own": own}


def _readers(readers: dict[str, Any] | None) -> dict[str, Any] | None:
    if readers is None or "reason" in readers:
        return None
    point = _point("specificity", readers["point"])
    facts = {name: percent(readers[name]) for name in ("sensitivity", "specificity")}
    return {
        **facts,
        "n": readers["n"],
        "source": readers["source"],
        "task": readers["task"],
        "verdict": readers["verdict"],
        "point": point,
    }


def _costs(costs: dict[str, Any]) -> dict[str, Any]:
    rows = [
        {
            "name": name,
            "rule": RULES[name],
            "cost": cell(row["cost"], 3, 1),
            **{s: _decimal(100 * row[s], 1) for s in ("referred", "missed", "needless")},
        }
        for name, row in costs["rules"].items()
    ]
    stated = {name: f"{costs[name]:g}" for name in ("cost_missed", "cost_referral")}
    return {**stated, "threshold": percent(costs["threshold"], 2), "rows": rows, "saving": cell(costs["saving"], 3, 1)}


def _guarantees(content: dict[str, Any], delta: float) -> dict[str, Any]:
    words = {"expectation": "on average over splits", "pac": f"in all but {100 * delta:g} % of splits"}
    rows = []
    for kind, rule in content["rules"].items():
        threshold, test = rule["threshold"], rule["test"]
        row = {"kind": words[kind], "own": kind == content["stated"]}
        row |= {"reason": rule.get("reason", ""), "threshold": ABSENT if threshold is None else f"{100 * threshold:.2f}"}
        rows.append({**row, "cells": [cell(test[name]) for name in GUARANTEED] if test else []})
    return {
        "sensitivity": percent(content["sensitivity"], 0),
        "watched": " + ".join(content["rules"]["pac"]["watched"]),
        "rows": rows,
    }


def _conformal(run: RunContents, rows: list[dict[str, Any]]) -> dict[str, Any]:
    css, shown = class_names(run.labels), []
    codes = [code for code in run.labels.codes if any(code in row["test"]["per_class"] for row in rows)]
    for row in rows:
        sets, test = row["sets"], row["test"]
        classes = [test["per_class"].get(code) for code in codes]
        shown.append(
            {
                "name": SCORES[sets["score"]],
                "group": GROUPS[sets["group"]],
                "coverage": cell(test["coverage"]),
                "classes": [{"n": 0} if each is None else {"n": each["n_lesions"], **cell(each["coverage"])} for each in classes],
                "size": f"{test['size']:.2f}",
                "single": cell(test["single"]),
                "empty": cell(test["empty"]),
                "unlimited": ", ".join(row["unlimited"]),
            }
        )
    heads = [{"code": code, "css": css[code]} for code in codes]
    return {
        "coverage": percent(rows[0]["sets"]["coverage"], 0),
        "heads": heads,
        "rows": shown,
    }


def _clinic(clinic: dict[str, Any] | None) -> dict[str, Any] | None:
    if clinic is None:
        return None
    correction = clinic["prior_correction"]
    rows = [
        {"code": code, **{name: percent(row[name]) for name in ("prior", "prevalence", "before", "after")}}
        for code, row in correction["diagnoses"].items()
    ]
    questions = [{"title": QUESTIONS[name], **_decided(each, QUESTIONS[name])} for name, each in clinic["questions"].items()]
    return {
        "explanation": correction["explanation"],
        "absent": ", ".join(correction["absent"]),
        "rows": rows,
        "difference": _signed(correction["nll"]["difference"]),
        "questions": questions,
    }
