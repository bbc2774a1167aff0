"""robustness.json in the documents: agreement between photographs and views, corruptions, people, hard images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lesionlens.bundle.card_limits import Limit
from lesionlens.reporting.documents.numbers import plain, share
from lesionlens.reporting.documents.people import cell

Content = Mapping[str, Any]
LEAST_FALL = 0.05  # of balanced accuracy under a corruption, from which it is a limit
UNSTABLE = 0.9  # share of lesions whose photographs agree, below which it is a limit


def section(content: Content) -> str:
    """The section of the card."""
    lines = ["## Robustness", *(f"- {text}" for text in _agreements(content))]
    table = content["corruptions"]
    lines += [
        "",
        f"Balanced accuracy under corruption, {table['n_images']} images; clean {share(table['clean']['balanced_accuracy'])}.",
        "",
    ]
    if table["rows"]:
        lines += [
            "| corruption | at the least strength | at the greatest strength | diagnosis changed there |",
            "|---|---|---|---|",
        ]
        lines += [_row(row) for row in table["rows"]]
    if table["mean"]:
        lines += [
            "",
            f"Mean corruption error {share(table['mean']['error'])}, {share(table['mean']['error_above_clean'])} above clean.",
        ]
    return "\n".join(lines)


def answer(content: Content) -> str:
    """Agreement and corruptions in sentences."""
    table = content["corruptions"]
    texts = _agreements(content)
    texts.append(f"Clean balanced accuracy {share(table['clean']['balanced_accuracy'])} on {table['n_images']} images.")
    if table["rows"]:
        worst = _worst(content)
        texts.append(f"Lowest under corruption: {share(worst['strengths'][-1]['balanced_accuracy'])} ({worst['title']}).")
    if table["mean"]:
        texts.append(f"Mean corruption error {share(table['mean']['error'])}.")
    return " ".join(texts)


def limits(content: Content) -> list[Limit]:
    """Photographs of one lesion that disagree, and the worst corruption."""
    found = []
    alike = content["photographs"].get("metrics", {}).get("all_alike", {})
    if alike.get("value") is not None and alike["value"] < UNSTABLE:
        text = f"Photographs of one lesion get one diagnosis for only {share(alike)} of the lesions that have several."
        found.append(Limit(105, "repeatability", text))
    if content["corruptions"]["rows"]:
        worst, clean = _worst(content), content["corruptions"]["clean"]["balanced_accuracy"]
        fallen = clean["value"] - worst["strengths"][-1]["balanced_accuracy"]["value"]
        text = (
            f"Under {_in_sentence(worst['title'])} balanced accuracy falls from {share(clean)} to "
            f"{share(worst['strengths'][-1]['balanced_accuracy'])}."
        )
        found += [Limit(106, "corruption", text)] if fallen >= LEAST_FALL else []
    return found


def _worst(content: Content) -> Mapping[str, Any]:
    rows: list[Mapping[str, Any]] = content["corruptions"]["rows"]
    return min(rows, key=lambda row: float(row["strengths"][-1]["balanced_accuracy"]["value"]))


def _agreements(content: Content) -> list[str]:
    return [
        _agreement(content["photographs"], "Photographs of one lesion", "lesions"),
        _agreement(content["views"], "Flips and rotations of one image", "images"),
    ]


def _agreement(result: Mapping[str, Any], what: str, units: str) -> str:
    if not result["n_units"]:
        return f"{what}: not available, {result['reason']}."
    metrics = result["metrics"]
    return (
        f"{what}: one diagnosis for {share(metrics['all_alike'])} of {result['n_units']} {units}, kappa "
        f"{plain(metrics['kappa'])}."
    )


def _row(row: Mapping[str, Any]) -> str:
    first, last = row["strengths"][0], row["strengths"][-1]
    return (
        f"| {cell(row['title'])} | {share(first['balanced_accuracy'])} | {share(last['balanced_accuracy'])} | "
        f"{share(last['changed'])} |"
    )


def _in_sentence(title: str) -> str:
    """A title within a sentence: `Defocus` becomes small, `JPEG compression` stays."""
    return title if title[:2].isupper() else title[:1].lower() + title[1:]
