"""decisions.json in the documents: operating points, guarantees, decision curve, conformal sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lesionlens.bundle.card_limits import Limit
from lesionlens.reporting.documents.numbers import plain, share, stated_share

Content = Mapping[str, Any]
QUESTIONS = {"melanoma": "Melanoma", "malignant": "Malignant or benign"}
PLURAL = {"melanoma": "melanomas", "malignant": "malignant lesions"}
KINDS = ("specificity", "sensitivity")
WANTED_SENSITIVITY = 0.95


def section(content: Content) -> str:
    """The section of the card."""
    rows = [
        f"| {_title(name)} | {kind} {stated_share(row['stated'])} | {_point(row)} |"
        for name, question in _asked(content)
        for kind in KINDS
        for row in question[f"at_{kind}"]
    ]
    table = [
        "| question | chosen on validation | threshold | sensitivity on test | specificity on test |",
        "|---|---|---|---|---|",
        *rows,
    ]
    texts = [text for text in (_readers(content), _curves(content), _guarantee(content), _conformal(content)) if text]
    asked = [name for name, _ in _asked(content)]
    unasked = [f"- {_title(name)}: {_why(question)}." for name, question in content["questions"].items() if name not in asked]
    return "\n".join(["## Operating points", *(table if rows else []), "", *(f"- {text}" for text in texts), *unasked])


def answer(content: Content) -> str:
    """Operating points and what follows from them, in sentences."""
    points = [
        f"{_title(name)}, {kind} {stated_share(row['stated'])} chosen on validation: {_rates(row)}"
        for name, question in _asked(content)
        for kind in KINDS
        for row in question[f"at_{kind}"][:2]
        if "test" in row
    ]
    texts = ["; ".join(points) + "." if points else "", _readers(content), _curves(content), _guarantee(content)]
    return " ".join(text for text in texts if text)


def recalibration(content: Content) -> str:
    """What a further recalibration would bring."""
    chosen = content["recalibration"]
    return (
        f"Recalibration chosen by cross-validation on validation: {chosen['method']} (temperature "
        f"{chosen['temperature']:.3f}), because {chosen['reason']}."
    )


def limits(content: Content) -> list[Limit]:
    """What sensitivity costs."""
    for name, question in _asked(content):
        for row in question["at_sensitivity"]:
            if row["stated"] == WANTED_SENSITIVITY and "test" in row:
                rate = row["test"]["specificity"]
                text = (
                    f"At the threshold that is to find {stated_share(WANTED_SENSITIVITY)} of the {PLURAL.get(name, name)}, "
                    f"{share({**rate, **_complement(rate)})} of the other images are called suspicious."
                )
                return [Limit(78, "cost_of_sensitivity", text)]
    return []


def _complement(rate: Mapping[str, Any]) -> dict[str, Any]:
    low, high = rate.get("low"), rate.get("high")
    flipped = {"value": 1 - rate["value"], "low": None if high is None else 1 - high, "high": None if low is None else 1 - low}
    return flipped | ({"count": rate["of"] - rate["count"]} if rate.get("of") else {})


def _asked(content: Content) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The questions that could be asked of these diagnoses and images."""
    for name, question in content["questions"].items():
        if isinstance(question.get("at_sensitivity"), list):  # else it holds the reason why it cannot be asked
            yield name, question


def _why(question: Mapping[str, Any]) -> str:
    return str(question.get("reason") or question.get("auc", {}).get("reason", "not asked"))


def _title(name: str) -> str:
    return QUESTIONS.get(name, name)


def _point(row: Mapping[str, Any]) -> str:
    if "test" not in row:
        return f"none: {row['reason']} | |"
    return f"{row['threshold']:.4f} | {share(row['test']['sensitivity'])} | {share(row['test']['specificity'])}"


def _rates(row: Mapping[str, Any]) -> str:
    return f"sensitivity {share(row['test']['sensitivity'])}, specificity {share(row['test']['specificity'])}"


def _readers(content: Content) -> str:
    readers = content["questions"].get("melanoma", {}).get("readers")
    if not readers or "verdict" not in readers:
        return ""
    return (
        f"{readers['n']} dermatologists reached a sensitivity of {stated_share(readers['sensitivity'])} at a specificity of "
        f"{stated_share(readers['specificity'])} on other images ({readers['source']}); the network's sensitivity there: "
        f"{readers['verdict']}."
    )


def _curves(content: Content) -> str:
    texts = []
    for name, question in _asked(content):
        curve = question["decision_curve"]
        if "reason" in curve:
            continue
        ranges = ", ".join(f"{low:g} to {high:g}" for low, high in curve["useful"])
        better = f"better than referring all or none at thresholds {ranges}"
        texts.append(f"{_title(name)}: {better if ranges else 'nowhere clearly better than referring all or none'}")
    return f"Decision curve. {'; '.join(texts)}." if texts else ""


def _guarantee(content: Content) -> str:
    stated = content["guarantees"]
    rule = stated["rules"].get(stated["stated"], {})
    if rule.get("test") is None:
        return f'Threshold of "not sure": none, {rule["reason"]}.' if rule.get("reason") else ""
    test = rule["test"]
    return (
        f'Threshold of "not sure" {rule["threshold"]:.4f} ({rule["promise"]}): on test {share(test["sensitivity"])} are found or '
        f'"not sure", and {share(test["not_sure"])} of all images are "not sure".'
    )


def _conformal(content: Content) -> str:
    """Coverage of the sets that hold best for the worst diagnosis."""
    rows = [row for row in content["conformal"] if row["test"]["per_class"]]
    if not rows:
        return ""
    best = _best_sets(rows)
    worst = min(best["test"]["per_class"].items(), key=lambda item: float(item[1]["coverage"]["value"]))
    return (
        f"Conformal sets ({best['sets']['score']}, {best['sets']['group']}) for a coverage of "
        f"{stated_share(best['sets']['coverage'])} hold the "
        f"true diagnosis for {share(best['test']['coverage'])} of lesions, for {worst[0]} {share(worst[1]['coverage'])}; "
        f"{plain({'value': best['test']['size']}, 2).partition(' ')[0]} diagnoses in a set on average."
    )


def _best_sets(rows: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The smallest sets that hold what they promise for every diagnosis; if none do, those that come closest."""

    def least(row: Mapping[str, Any]) -> float:
        return min(float(each["coverage"]["value"]) for each in row["test"]["per_class"].values())

    holding = [row for row in rows if least(row) >= row["sets"]["coverage"]]
    return min(holding, key=lambda row: float(row["test"]["size"])) if holding else max(rows, key=least)
