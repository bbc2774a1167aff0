"""A reporting checklist: its items, and how a run fills them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lesionlens import __version__
from lesionlens.reporting.documents.answers import Answer, Provider, combined
from lesionlens.reporting.documents.facts import RunFacts
from lesionlens.reporting.documents.people import cell

FILLED, PARTLY, NOT_AVAILABLE, NOT_APPLICABLE = "filled", "partly", "not available", "not applicable"
STATUSES = (FILLED, PARTLY, NOT_AVAILABLE, NOT_APPLICABLE)


@dataclass(frozen=True)
class Item:
    """One item of a checklist.

    Attributes:
        number: as published, such as `12a`.
        title: what it asks for, in our words.
        answers: names of the answers that fill it.
    """

    number: str
    title: str
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Checklist:
    """A published reporting guideline.

    Attributes:
        name: such as `CLAIM 2024`.
        file: stem of its files.
        citation: where it is published.
        doi: of that publication.
        note: how its items got here, and what to use for a submission.
        sections: its items by section, in order.
    """

    name: str
    file: str
    citation: str
    doi: str
    note: str
    sections: Mapping[str, Sequence[Item]]

    @property
    def items(self) -> tuple[Item, ...]:
        """All items in order."""
        return tuple(item for items in self.sections.values() for item in items)


def fill(checklist: Checklist, facts: RunFacts, providers: Mapping[str, Provider]) -> dict[str, Any]:
    """Fill a checklist from a run, JSON-ready.

    Returns:
        `name`, `citation`, `doi`, `note`, `lesionlens`, `counts` of items by status, and `items`: each with `section`, `number`,
        `title`, `status`, `text`, `from` (files), and `missing` (why something is not available).
    """
    items = [
        {
            "section": section,
            "number": item.number,
            "title": item.title,
            **_filled(combined(providers[name](facts) for name in item.answers)),
        }
        for section, items in checklist.sections.items()
        for item in items
    ]
    counts = Counter(item["status"] for item in items)
    return {
        "name": checklist.name,
        "run": facts.run.recipe.name,
        "citation": checklist.citation,
        "doi": checklist.doi,
        "note": checklist.note,
        "lesionlens": __version__,
        "counts": {status: counts[status] for status in STATUSES},
        "items": items,
    }


def _filled(answer: Answer) -> dict[str, Any]:
    if not answer.applies:
        return {"status": NOT_APPLICABLE, "text": answer.text, "from": [], "missing": ""}
    status = NOT_AVAILABLE if not answer.text else PARTLY if answer.missing else FILLED
    return {
        "status": status,
        "text": answer.text,
        "from": [name for name in answer.source.split(", ") if name],
        "missing": answer.missing,
    }


def as_markdown(filled: Mapping[str, Any]) -> str:
    """A filled checklist as Markdown, one table for each section."""
    counts = ", ".join(f"{count} {status}" for status, count in filled["counts"].items() if count)
    lines = [
        f"# {filled['name']}: {cell(filled['run'])}",
        "",
        f"{filled['citation']}, doi:{filled['doi']}. {filled['note']}",
        "",
        f"{len(filled['items'])} items: {counts}. Filled by lesionlens {filled['lesionlens']} from the files named in brackets.",
    ]
    section = ""
    for item in filled["items"]:
        if item["section"] != section:
            section = item["section"]
            lines += ["", f"## {section}", "", "| item | asks for | this run |", "|---|---|---|"]
        lines.append(f"| {item['number']} | {cell(item['title'])} | {_answered(item)} |")
    return "\n".join(lines) + "\n"


def _answered(item: Mapping[str, Any]) -> str:
    if item["status"] == NOT_APPLICABLE:
        return f"Not applicable: {cell(item['text'])}"
    files = f" [{', '.join(item['from'])}]" if item["from"] else ""
    said = f"{cell(item['text'])}{files}" if item["text"] else ""
    lacks = f"**Not available:** {cell(item['missing'])}" if item["missing"] else ""
    return " ".join(text for text in (said, lacks) if text)
