"""The model card: the facts of bundle.json for people. The card of a run has the same sections and more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lesionlens.bundle import card_sections as sections
from lesionlens.bundle.card_limits import Limit, limits

SHOWN_LIMITS = 3
MAIN_METRICS = {"balanced_accuracy": "Balanced accuracy", "macro_auc": "Macro AUC", "accuracy": "Accuracy"}
MELANOMA = {"recall": "Melanoma as first choice: sensitivity", "specificity": "Melanoma as first choice: specificity"}
NOT_EXPORTED = (
    '## Bundle\nThis network was not exported, so it has no calibration, no gate and no answer "not sure" yet. '
    "Export it with: `lesionlens export train/best.safetensors`"
)

Facts = Mapping[str, Any]
Section = Callable[[dict[str, Any]], str]


def card(facts: dict[str, Any], further: Mapping[str, str] | None = None, more_limits: Iterable[Limit] = ()) -> str:
    """The text of card.md.

    Args:
        facts: the content of bundle.json, see docs/bundle.md; without `variants`, of a network that was not exported.
        further: sections that only a run knows, by their names in `ORDER`; an empty one is left out.
        more_limits: limits beyond those that `facts` shows.
    """
    ranked = limits(facts, more_limits)
    own: dict[str, str] = {"summary": _summary(facts, ranked), "limits": _limits(ranked)}
    own |= {name: section(facts) for name, section in ALWAYS.items()}
    if "variants" in facts:
        own |= {name: section(facts) for name, section in OF_A_BUNDLE.items()}
    else:
        own["bundle"] = NOT_EXPORTED
    texts = {**own, **(further or {})}
    return "\n\n".join(texts[name] for name in ORDER if texts.get(name)) + "\n"


def _head(facts: dict[str, Any]) -> str:
    model, diagnoses = facts["origin"]["recipe"]["model"]["name"], facts["labels"]["diagnoses"]
    side = facts["input"]["size"]
    return (
        f"# {facts['name']}\n\n**{facts['intended_use']['status']}**\n\n"
        f"A {model} that gives {'calibrated ' if 'variants' in facts else ''}probabilities of {len(diagnoses)} diagnoses for one "
        f"dermoscopic image, looked at as {side}x{side} pixels ({facts['input']['resize']})."
    )


def _summary(facts: Facts, ranked: list[Limit]) -> str:
    use = facts["intended_use"]
    lines = ["## In short", f"- For: {use['for']}", f"- Not for: {use['not_for']}", "", *_main_metrics(facts), ""]
    lines.append("The most important limits, found by rules from what was measured:")
    lines += ["", *(f"{number}. {limit.text}" for number, limit in enumerate(ranked[:SHOWN_LIMITS], 1))]
    return "\n".join(lines)


def _main_metrics(facts: Facts) -> list[str]:
    scores = facts["scores"]
    if not scores:
        return [sections.NOT_MEASURED]
    melanoma = scores["per_class"].get("mel")
    rows = [(title, melanoma[name], name) for name, title in MELANOMA.items()] if melanoma else []
    rows += [(title, scores["metrics"][name], name) for name, title in MAIN_METRICS.items()]
    ece = (facts.get("calibrated_scores") or scores)["metrics"]["ece"]
    rows.append(("Calibration error (ECE)", ece, "ece"))
    return [
        f"Measured on {scores['n_images']} images of {scores['n_lesions']} lesions, {scores['split']} split:",
        "",
        f"| metric | value | {scores['confidence']:.0%} interval |",
        "|---|---|---|",
        *(f"| {title} | {_value(name, metric)} | {_bounds(name, metric)} |" for title, metric, name in rows),
    ]


def _value(name: str, metric: Facts) -> str:
    value = metric["value"]
    return "undefined" if value is None else f"{value:.3f}" if name == "macro_auc" else f"{100 * value:.1f} %"


def _bounds(name: str, metric: Facts) -> str:
    low, high = metric["low"], metric["high"]
    if low is None or high is None:
        return f"none ({metric['count']} of {metric['of']})" if metric.get("of") else "none"
    return f"{low:.3f} to {high:.3f}" if name == "macro_auc" else f"{100 * low:.1f} to {100 * high:.1f} %"


def _diagnoses(facts: dict[str, Any]) -> str:
    rows = [f"| {d['code']} | {d['name']} | {'yes' if d['malignant'] else 'no'} |" for d in facts["labels"]["diagnoses"]]
    any_malignant = any(d["malignant"] for d in facts["labels"]["diagnoses"])
    without = [] if any_malignant else ["", "None of these diagnoses is malignant, so predictions have no malignant share."]
    return "\n".join(["## Diagnoses", "| code | diagnosis | malignant |", "|---|---|---|", *rows, *without])


def _limits(ranked: list[Limit]) -> str:
    return "\n".join(
        ["## Limits", "Found by rules from what was measured, most important first.", ""]
        + [f"- {limit.text}" for limit in ranked]
    )


ALWAYS: dict[str, Section] = {
    "head": _head,
    "diagnoses": _diagnoses,
    "data": sections.data,
    "metadata": sections.metadata,
    "concepts": sections.concepts,
    "scores": sections.scores,
    "training": sections.training,
    "licences": sections.licences,
    "made_from": sections.made_from,
}
OF_A_BUNDLE: dict[str, Section] = {
    "calibration": sections.calibration,
    "gate": sections.gate,
    "decision": sections.decision,
    "variants": sections.variants,
    "explanation": sections.explanation,
}
ORDER = (
    *("head", "summary", "diagnoses", "data", "metadata", "concepts", "people", "scores", "decisions", "calibration", "bundle"),
    *(
        "decision",
        "gate",
        "subgroups",
        "robustness",
        "external",
        "limits",
        "explanation",
        "variants",
        "training",
        "licences",
        "made_from",
        "lacking",
    ),
)
