"""The report's section on subgroups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from lesionlens.assessment.subgroups.gaps import GAP_METRICS
from lesionlens.core.percent import p_number
from lesionlens.reporting.formats import ABSENT, defined, has_interval, percent
from lesionlens.reporting.plots import IntervalRow
from lesionlens.reporting.run_folder import RunContents
from lesionlens.reporting.stability_plots import ForestGroup, forest_plot

AREAS = ("auc_melanoma", "auc_malignant")
HEADS = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "auc_melanoma": "AUC melanoma",
    "auc_malignant": "AUC malignant",
    "sensitivity_malignant": "Sensitivity",
    "specificity_malignant": "Specificity",
    "ece": "ECE",
}
PLOTTED = {"balanced_accuracy": "balanced accuracy, %", "auc_malignant": "AUC, malignant against benign"}


def section(run: RunContents) -> dict[str, Any] | None:
    """What the template shows; None if the run lacks the assessment."""
    result = run.assessments.get("subgroups")
    if result is None:
        return None
    available = [each for each in result["attributes"] if not each["reason"]]
    return {
        "split": result["split"],
        "images": result["n_images"],
        "lesions": result["n_lesions"],
        "least": result["least_lesions"],
        "confidence": percent(result["confidence"], 0),
        "heads": [f"{head}{'' if name in AREAS else ', %'}" for name, head in HEADS.items()],
        "overall": _cells(result["overall"]),
        "attributes": [_attribute(each) for each in available],
        "missing": [(each["title"], each["reason"]) for each in result["attributes"] if each["reason"]],
        "gaps": [_gap_row(each, metric, result) for each in available for metric in GAP_METRICS if _shows(each, metric, result)],
        "primary": result["metrics"][result["primary"]],
        "method": result["gap_method"],
        "plots": [plot for metric in PLOTTED if (plot := _plot(available, metric, result)) is not None],
    }


def metric_number(name: str, value: float | None) -> str:
    """A metric without unit: shares in per cent with one decimal, areas with three decimals."""
    if value is None or not defined(value):
        return ABSENT
    return f"{value:.3f}" if name in AREAS else f"{100 * value:.1f}"


def _attribute(attribute: Mapping[str, Any]) -> dict[str, Any]:
    notes = list(attribute["notes"])
    if attribute["n_unknown"]:
        notes.append(f"unknown for {attribute['n_unknown']} images")
    if attribute["n_lesions_in_several_groups"]:
        notes.append(f"{attribute['n_lesions_in_several_groups']} lesions have images in several groups")
    return {
        "title": attribute["title"],
        "definition": attribute["definition"],
        "estimate": attribute["estimate"],
        "notes": notes,
        "rows": [_row(group) for group in attribute["groups"]],
    }


def _row(group: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "group": group["group"],
        "images": group["n_images"],
        "lesions": group["n_lesions"],
        "malignant": group["n_malignant"],
        "diagnoses": group["n_classes"],
        "reason": group["reason"],
        "cells": _cells(group["metrics"]) if group["scored"] else [],
    }


def _cells(metrics: Mapping[str, Any]) -> list[dict[str, str]]:
    return [{"value": metric_number(name, metrics[name]["value"]), "interval": _interval(name, metrics[name])} for name in HEADS]


def _interval(name: str, metric: Mapping[str, Any]) -> str:
    if has_interval(metric):
        return f"{metric_number(name, metric['low'])}–{metric_number(name, metric['high'])}"
    return "too few" if defined(metric["value"]) else ""


def _signed_interval(name: str, metric: Mapping[str, Any]) -> str:
    """Both ends of a difference, which may be below 0."""
    ends = (metric_number(name, metric[end]).replace("-", "\u2212") for end in ("low", "high"))
    return " to ".join(ends) if has_interval(metric) else "too few"


def _shows(attribute: Mapping[str, Any], metric: str, result: Mapping[str, Any]) -> bool:
    """The primary metric of every attribute, and balanced accuracy beside it."""
    return attribute["gaps"].get(metric) is not None and metric in (result["primary"], "balanced_accuracy")


def _gap_row(attribute: Mapping[str, Any], metric: str, result: Mapping[str, Any]) -> dict[str, Any]:
    gap = attribute["gaps"][metric]
    clearest = gap.get("clearest")
    return {
        "attribute": attribute["title"],
        "metric": HEADS[metric] + ("" if metric in AREAS else ", %"),
        "pair": f"{gap['better']} over {gap['worse']}",
        "both": " and ".join(metric_number(metric, value) for value in gap["values"]),
        "difference": metric_number(metric, gap["difference"]["value"]),
        "interval": _signed_interval(metric, gap["difference"]),
        "p": p_number(gap["p_holm"], ABSENT) if metric == result["primary"] else ABSENT,
        "clearest": f"clearest: {clearest['better']} over {clearest['worse']}" if clearest else "",
        "over": f"over {', '.join(gap['classes'])}" if gap.get("classes") else "",
    }


def _forest(attributes: list[Mapping[str, Any]], metric: str) -> list[ForestGroup]:
    groups = []
    for attribute in attributes:
        scored = [(group["group"], group["metrics"][metric]) for group in attribute["groups"] if group["scored"]]
        rows = tuple(
            IntervalRow(name, "plain", each["value"], each["low"], each["high"]) for name, each in scored if has_interval(each)
        )
        if rows:
            groups.append(ForestGroup(attribute["title"], rows))
    return groups


def _plot(attributes: list[Mapping[str, Any]], metric: str, result: Mapping[str, Any]) -> tuple[str, Markup] | None:
    """Title and forest of one metric; None if no group has an interval of it."""
    groups = _forest(attributes, metric)
    if not groups:
        return None
    return result["metrics"][metric], forest_plot(
        groups, PLOTTED[metric], result["overall"][metric]["value"], metric not in AREAS
    )
