"""card.md of a run: the bundle's card with all that the run knows beyond it."""

from __future__ import annotations

from lesionlens.bundle.card import card
from lesionlens.reporting.documents.facts import RunFacts
from lesionlens.reporting.documents.model_index import front_matter
from lesionlens.reporting.documents.people import people_table

TITLES = {
    "bundle": 'Calibration, gate and the answer "not sure"',
    "decisions": "Operating points",
    "subgroups": "Subgroups",
    "robustness": "Robustness",
    "external": "Other data sets",
    "audit": "Audit of the images",
    "explanation": "Heat maps",
    "compression": "Smaller variants",
    "training": "Time of the training",
}


def run_card(facts: RunFacts) -> str:
    """The card as Markdown, without its front matter."""
    return card(facts.card, further_sections(facts), facts.limits_beyond)


def with_front_matter(facts: RunFacts, text: str) -> str:
    """The card as it is written."""
    return front_matter(facts) + text


def further_sections(facts: RunFacts) -> dict[str, str]:
    """The sections that a bundle cannot have, by their names in `bundle.card.ORDER`."""
    return {"people": people_table(facts.people), "lacking": _lacking(facts)}


def _lacking(facts: RunFacts) -> str:
    """What the run lacks, and how to make it."""
    rows = [f"| {TITLES[name]} | {why} |" for name, why in facts.results.lacking.items()]
    return "\n".join(["## Not available", "| what | how to make it |", "|---|---|", *rows]) if rows else ""
