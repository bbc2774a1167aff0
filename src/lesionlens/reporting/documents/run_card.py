"""card.md of a run: the bundle's card with all that the run knows beyond it."""

from __future__ import annotations

from lesionlens.bundle.card import card
from lesionlens.reporting.documents import assessed_external
from lesionlens.reporting.documents.facts import ASSESSMENTS, RunFacts
from lesionlens.reporting.documents.model_index import front_matter
from lesionlens.reporting.documents.people import people_table
from lesionlens.reporting.documents.results import reading

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
    sections = {"people": people_table(facts.people), "lacking": _lacking(facts)}
    for name, module in ASSESSMENTS.items():
        content = facts.results.get(name)
        if content is not None:
            with reading(name, facts.run.paths):
                sections[name] = module.section(content)
    if facts.results.external:
        with reading("external", facts.run.paths):
            sections["external"] = assessed_external.section(facts.results.external)
    return sections


def _lacking(facts: RunFacts) -> str:
    """What the run lacks, and how to make it."""
    rows = [f"| {TITLES[name]} | {_remedy(why)} |" for name, why in facts.results.lacking.items()]
    return "\n".join(["## Not available", "| what | how to make it |", "|---|---|", *rows]) if rows else ""


def _remedy(why: str) -> str:
    """A reason with its command as code."""
    reason, mark, command = why.rpartition("make it with: ")
    return f"{reason}`{command}`" if mark else why
