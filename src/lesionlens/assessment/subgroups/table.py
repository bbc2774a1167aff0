"""Subgroups as a table for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

COLUMNS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "bal. acc.",
    "auc_melanoma": "AUC mel",
    "auc_malignant": "AUC mal",
    "ece": "ECE",
}
SHARES = ("accuracy", "balanced_accuracy", "sensitivity_malignant", "specificity_malignant", "ece")  # in per cent


def subgroups_text(result: Mapping[str, Any]) -> str:
    """The groups of every attribute with the largest gap of the primary metric.

    Args:
        result: of `assess_subgroups`.
    """
    first = f"{result['n_images']} {result['split']} images of {result['n_lesions']} lesions, by subgroup; intervals by lesion"
    lines = [first]
    for attribute in result["attributes"]:
        lines += ["", *_attribute_lines(attribute, result)]
    return "\n".join(lines)


def _attribute_lines(attribute: Mapping[str, Any], result: Mapping[str, Any]) -> list[str]:
    title = attribute["title"]
    if attribute["reason"]:
        return [f"{title}: not available, because {attribute['reason']}"]
    width = max(len(group["group"]) for group in attribute["groups"]) if attribute["groups"] else 0
    head = f"{title:{width + 2}}  images lesions" + "".join(f"  {name:>20}" for name in COLUMNS.values())
    lines = [head, *(_group_line(group, width) for group in attribute["groups"])]
    if attribute["n_unknown"]:
        lines.append(f"  unknown for {attribute['n_unknown']} images, which are not scored here")
    primary = result["primary"]
    lines.append(f"  largest gap, {result['metrics'][primary]}: {gap_words(attribute['gaps'].get(primary), primary)}")
    return lines


def _group_line(group: Mapping[str, Any], width: int) -> str:
    counts = f"  {group['group']:{width}}  {group['n_images']:6} {group['n_lesions']:7}"
    if not group["scored"]:
        return f"{counts}  not scored: {group['reason']}"
    return counts + "".join(f"  {_cell(name, group['metrics'][name]):>20}" for name in COLUMNS)


def _cell(name: str, metric: Mapping[str, Any]) -> str:
    if metric["value"] is None:
        return "-"
    if metric["low"] is None:
        return f"{_number(name, metric['value'])} (too few)"
    return f"{_number(name, metric['value'])} ({_number(name, metric['low'])} to {_number(name, metric['high'])})"


def _number(name: str, value: float) -> str:
    return f"{100 * value:.1f}" if name in SHARES else f"{value:.3f}"


def gap_words(gap: Mapping[str, Any] | None, metric: str) -> str:
    """A gap as a phrase: which group is better than which, by how much, and the corrected p.

    Args:
        gap: of the result; None if fewer than two groups have an interval.
        metric: of the gap.
    """
    if gap is None:
        return "fewer than two groups have an interval"
    low, high = gap["difference"]["low"], gap["difference"]["high"]
    ends = f" ({_number(metric, low)} to {_number(metric, high)})" if low is not None else ""
    words = f"{gap['better']} over {gap['worse']} by {_number(metric, gap['difference']['value'])}{ends}"
    return words + (f", p {gap['p_holm']:.3f} corrected over attributes" if gap.get("p_holm") is not None else "")
