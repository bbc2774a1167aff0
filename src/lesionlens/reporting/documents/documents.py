"""Write the documents of a run into one folder: card, checklists, CHAI card, Croissant metadata, and all facts as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lesionlens import __version__
from lesionlens.core.artifact import atomic_folder, hash_file
from lesionlens.core.run import Run
from lesionlens.reporting.documents.chai import chai_card
from lesionlens.reporting.documents.checklist import Checklist, as_markdown, fill
from lesionlens.reporting.documents.claim import CLAIM
from lesionlens.reporting.documents.croissant import croissant
from lesionlens.reporting.documents.facts import RunFacts, gather
from lesionlens.reporting.documents.page import card_page
from lesionlens.reporting.documents.providers import PROVIDERS
from lesionlens.reporting.documents.run_card import run_card, with_front_matter
from lesionlens.reporting.documents.stard_ai import STARD_AI
from lesionlens.reporting.documents.stated import Stated, stated_of
from lesionlens.reporting.documents.tripod_ai import TRIPOD_AI
from lesionlens.reporting.run_folder import read_run

FACTS_FILE, CARD_FILE, PAGE_FILE = "documents.json", "card.md", "card.html"
CHAI_FILE, CROISSANT_FILE = "chai-applied-model-card.xml", "croissant.json"
CHECKLISTS: tuple[Checklist, ...] = (CLAIM, TRIPOD_AI, STARD_AI)
FORMAT = 1


@dataclass(frozen=True)
class WrittenDocuments:
    """Documents on disk.

    Attributes:
        folder: that holds them.
        content: of documents.json.
    """

    folder: Path
    content: dict[str, Any]


def write_documents(run: Run, stated: Stated | None = None) -> WrittenDocuments:
    """Write the documents of a run; the same artifacts give the same bytes.

    Args:
        run: its artifacts are read, its documents are written; a folder in their place is replaced if it holds documents.
        stated: what only people know; if None, stated.toml in the run folder, or nothing.

    Raises:
        ArtifactError: if a needed artifact is missing or damaged, or holds a number that is not finite.
        BundleError, CheckpointError, RecipeError, SplitError: as `read_run`.
        StorageError: if the folder may not be written, or holds something else.
    """
    facts = gather(read_run(run), stated_of(run) if stated is None else stated)
    texts = document_texts(facts, run.documents)
    with atomic_folder(run.documents, mark=FACTS_FILE) as folder:
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8", newline="")
        content = _content(facts, folder, tuple(texts))
        (folder / FACTS_FILE).write_text(_json(content), encoding="utf-8", newline="")
    return WrittenDocuments(run.documents, content)


def document_texts(facts: RunFacts, folder: Path) -> dict[str, str]:
    """The text of every document but documents.json, by the name of its file.

    Args:
        facts: of the run.
        folder: that they are written into.
    """
    text = run_card(facts)
    texts = {CARD_FILE: with_front_matter(facts, text), PAGE_FILE: card_page(facts, text)}
    for checklist in CHECKLISTS:
        filled = fill(checklist, facts, PROVIDERS)
        texts |= {f"{checklist.file}.json": _json(filled), f"{checklist.file}.md": as_markdown(filled)}
    texts[CHAI_FILE] = chai_card(facts, PROVIDERS)
    texts[CROISSANT_FILE] = _json(croissant(facts, folder))
    return texts


def _content(facts: RunFacts, folder: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """documents.json: all facts, and the hash of every document."""
    checklists = {
        each.file: json.loads((folder / f"{each.file}.json").read_text(encoding="utf-8"))["counts"] for each in CHECKLISTS
    }
    return {
        "format": FORMAT,
        "lesionlens": __version__,
        "name": facts.run.recipe.name,
        "made_from": dict(facts.run.scores["made_from"]),
        "limits": [{"name": limit.name, "text": limit.text} for limit in facts.limits],
        "checklists": checklists,
        "lacking": dict(facts.results.lacking),
        "stated": {**facts.stated.texts, "watts": facts.stated.watts, "grams_co2_per_kwh": facts.stated.grams_co2_per_kwh},
        "people": facts.people,
        "parameters": facts.parameters,
        "card": facts.card,
        "files": {name: hash_file(folder / name) for name in names},
    }


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def documents_text(written: WrittenDocuments) -> str:
    """What was written, for people."""
    lines = [f"{written.folder}: {len(written.content['files']) + 1} files"]
    for name, counts in written.content["checklists"].items():
        lines.append(f"  {name:12} " + ", ".join(f"{count} {status}" for status, count in counts.items() if count))
    lines += ["most important limits:", *(f"  - {limit['text']}" for limit in written.content["limits"][:3])]
    lines += [f"not available: {name}: {why}" for name, why in written.content["lacking"].items()]
    return "\n".join(lines)
