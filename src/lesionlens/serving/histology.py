"""Histology of a lesion, entered when it arrives. Entries are never changed; one that contradicts needs to be a correction."""

from __future__ import annotations

from typing import Any

from lesionlens.core.database import Connection
from lesionlens.serving.problems import Problem

FIELDS = ("dx", "note", "created", "who", "correction")
OTHER = "other"


def histology_of(connection: Connection, case: str, lesion: str) -> list[dict[str, Any]]:
    """All entries of a lesion, oldest first; the last one counts."""
    query = f"SELECT {', '.join(FIELDS)} FROM histology WHERE case_id = ? AND lesion_id = ? ORDER BY number"
    rows = connection.execute(query, (case, lesion))
    return [{**dict(zip(FIELDS, row, strict=True)), "correction": bool(row[-1])} for row in rows]


def insert_histology(connection: Connection, case: str, lesion: str, request_id: str, entry: dict[str, Any]) -> None:
    """Add an entry.

    Args:
        connection: to the log.
        case: of the lesion.
        lesion: its pseudonym.
        request_id: of the request.
        entry: `dx`, `note`, `created`, `who`, and whether it is a `correction`.

    Raises:
        Problem: `lesion_not_found`; or `histology_contradicts`, if the last entry has another diagnosis and this is no
            correction. Nothing is written then.
    """
    known = connection.execute("SELECT 1 FROM subjects WHERE case_id = ? AND lesion_id = ? LIMIT 1", (case, lesion)).fetchone()
    if known is None:
        raise no_lesion()
    entries = histology_of(connection, case, lesion)
    if entries and entries[-1]["dx"] != entry["dx"] and not entry["correction"]:
        last = entries[-1]
        raise Problem(
            "histology_contradicts",
            f"the histology of this lesion is {last['dx']}, entered by {last['who']} at {last['created']}, and this says "
            f"{entry['dx']}; check lesion and report. If the former was wrong, send `correction`: true with the reason as note",
        )
    columns = "case_id, lesion_id, created, request_id, who, dx, note, correction"
    values = (case, lesion, entry["created"], request_id, entry["who"], entry["dx"], entry["note"], int(entry["correction"]))
    connection.execute(f"INSERT INTO histology ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)


def no_lesion() -> Problem:
    """There is no image of that lesion."""
    return Problem("lesion_not_found", "there is no image of that lesion; it may have been deleted, or belong to another token")
