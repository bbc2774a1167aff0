"""subgroups.json in the documents: scores by group, the largest gap, and groups too small to score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lesionlens.bundle.card_limits import SIGNIFICANT, Limit
from lesionlens.reporting.documents.numbers import metric_number, p_text
from lesionlens.reporting.documents.people import cell
from lesionlens.reporting.formats import plural

Content = Mapping[str, Any]
PEOPLE = ("sex", "age", "site", "skin_tone")  # attributes of the patient, not of the photograph or the diagnosis
CLUSTERS = ("dataset",)
SKIN_TONE = "skin_tone"
LISTED = 5  # groups in one sentence


def section(content: Content) -> str:
    """The section of the card."""
    primary = content["primary"]
    head = f"| group | images | lesions | accuracy | {content['metrics'][primary]} |"
    lines = ["## Subgroups", f"{content['n_images']} images of the {content['split']} split; intervals by lesion.", ""]
    lines += [f"Largest gap: {largest_gap(content)}", ""]
    for attribute in content["attributes"]:
        lines.append(f"### {cell(attribute['title'])}")
        if attribute["reason"]:
            lines += [f"Not available: {cell(attribute['reason'])}.", ""]
            continue
        unknown = f" Unknown for {plural(attribute['n_unknown'], 'image')}." if attribute["n_unknown"] else ""
        lines += [f"{_capital(cell(attribute['definition']))}.{unknown}", "", head, "|---|---|---|---|---|"]
        lines += [_row(group, primary) for group in attribute["groups"]]
        lines.append("")
    return "\n".join(lines).rstrip()


def answer(content: Content) -> str:
    """Scores by group of people, in sentences."""
    return f"{_by(content, PEOPLE)} Largest gap: {largest_gap(content)}"


def clusters(content: Content) -> str:
    """Scores by centre; empty if no centre is known."""
    return _by(content, CLUSTERS)


def fairness(content: Content) -> str:
    """Gaps between groups of people, and what was not done about them."""
    gaps = [
        f"{each['title']}: {text}" for each in content["attributes"] if each["name"] in PEOPLE and (text := _gap(each, content))
    ]
    return f"Gaps between groups of people were measured and nothing was done to close them. {' '.join(gaps)}".rstrip()


def limits(content: Content) -> list[Limit]:
    """The largest gap, groups too small to score, and skin tone that is an estimate."""
    found = []
    best = _largest(content)
    if best is not None:
        attribute, gap = best
        p = gap.get("p_holm", gap["p"])
        rank = 75 if p is not None and p < SIGNIFICANT else 95
        found.append(
            Limit(rank, "largest_gap", f"Subgroups differ most by {attribute['title'].lower()}: {_gap(attribute, content)}")
        )
    if has_skin_tone(content):
        text = "Skin tone is estimated from pixels: it can show a gap between people and cannot rule one out."
        found.append(Limit(150, "skin_tone", text))
    small = [
        f"{each['title'].lower()} {group['group']} ({group['n_lesions']})"
        for each in content["attributes"]
        if each["name"] in PEOPLE
        for group in each["groups"]
        if not group["scored"]
    ]
    if small:
        more = [f"and {len(small) - LISTED} more"] if len(small) > LISTED else []
        found.append(Limit(140, "small_groups", f"Too few lesions for a score of: {', '.join([*small[:LISTED], *more])}."))
    return found


def has_skin_tone(content: Content) -> bool:
    """Whether there are scores by skin tone."""
    return any(each["name"] == SKIN_TONE and not each["reason"] for each in content["attributes"])


def largest_gap(content: Content) -> str:
    """The largest gap of the primary metric in a sentence."""
    best = _largest(content)
    return "none could be measured." if best is None else f"{best[0]['title'].lower()}, {_gap(best[0], content)}"


def _largest(content: Content) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    gaps = [(each, gap) for each in content["attributes"] if (gap := each["gaps"].get(content["primary"])) is not None]
    return max(gaps, key=lambda item: float(item[1]["difference"]["value"]), default=None)


def _gap(attribute: Mapping[str, Any], content: Content) -> str:
    """A gap in a sentence; empty if none could be measured."""
    primary = content["primary"]
    gap = attribute["gaps"].get(primary)
    if gap is None:
        return ""
    better, worse = (metric_number(primary, {"value": value}).partition(" (")[0] for value in gap["values"])
    tested = p_text(gap.get("p_holm", gap["p"]))
    return (
        f"{content['metrics'][primary]} {better} for {gap['better']} and {worse} for {gap['worse']}, a difference of "
        f"{metric_number(primary, gap['difference'])}; {tested}."
    )


def _by(content: Content, names: tuple[str, ...]) -> str:
    primary = content["primary"]
    texts = []
    for attribute in content["attributes"]:
        scored = [group for group in attribute["groups"] if group["scored"]]
        if attribute["name"] in names and scored:
            groups = "; ".join(f"{group['group']} {metric_number(primary, group['metrics'][primary])}" for group in scored)
            texts.append(f"{content['metrics'][primary]} by {attribute['title'].lower()}: {groups}.")
    return " ".join(texts)


def _row(group: Mapping[str, Any], primary: str) -> str:
    counts = f"| {cell(group['group'])} | {group['n_images']} | {group['n_lesions']} |"
    if not group["scored"]:
        return f"{counts} not scored: {cell(group['reason'])} | |"
    return (
        f"{counts} {metric_number('accuracy', group['metrics']['accuracy'])} | "
        f"{metric_number(primary, group['metrics'][primary])} |"
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
