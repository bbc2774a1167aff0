"""Reading cases and lesions from the prediction log: lists of cases, and one lesion over time."""

from __future__ import annotations

import math
import statistics
from typing import Any

from lesionlens.core.database import Connection
from lesionlens.serving.histology import histology_of, no_lesion
from lesionlens.serving.history import PREDICTIONS, History, with_current
from lesionlens.serving.problems import Problem
from lesionlens.serving.subjects import MINE

OF_CASES = f"""SELECT s.case_id, max(a.id), max(a.created), count(*), count(DISTINCT nullif(s.lesion_id, '')),
    count(*) FILTER (WHERE NOT EXISTS (SELECT 1 FROM reviews r WHERE r.prediction = a.id)), max(s.malignant_share)
    FROM subjects s JOIN answers a ON a.id = s.prediction WHERE s.case_id != '' AND {MINE}
    GROUP BY s.case_id HAVING ? = '' OR max(a.id) < ? ORDER BY max(a.id) DESC LIMIT ?"""
CASE_FIELDS = ("case", "newest", "created", "images", "lesions", "unreviewed", "malignant_share")
OF_IMAGES = f"{PREDICTIONS} JOIN subjects s ON s.prediction = a.id WHERE s.case_id = ? AND {MINE}"
MOST_IMAGES = 500  # of one case


class Cases:
    """Reads what belongs to cases; `token_name` limits every method to the predictions of one token, None does not.

    Args:
        history: reads the log.
    """

    def __init__(self, history: History) -> None:
        self._history = history

    def page(self, limit: int, before: str = "", token_name: str | None = None) -> list[dict[str, Any]]:
        """Cases, the one with the newest image first.

        Args:
            limit: the most to return.
            before: only those whose newest image came before the prediction with this id.
            token_name: see the class.
        """
        with self._history.reading() as connection:
            rows = connection.execute(OF_CASES, (token_name, token_name, before, before, limit)).fetchall()
        return [dict(zip(CASE_FIELDS, row, strict=True)) for row in rows]

    def case(self, case: str, token_name: str | None = None) -> dict[str, Any]:
        """One case: its lesions, each with its newest image first, and the images of no lesion.

        Raises:
            Problem: `case_not_found`.
        """
        with self._history.reading() as connection:
            images = _images(connection, case, None, token_name)
            if not images:
                raise Problem(
                    "case_not_found", "there is no image of that case; it may have been deleted, or belong to another token"
                )
            names = sorted({image["lesion"] for image in images if image["lesion"]})
            lesions = [_lesion(connection, case, name, [image for image in images if image["lesion"] == name]) for name in names]
        return {"case": case, "lesions": lesions, "unassigned": [image for image in images if not image["lesion"]]}

    def lesion(self, case: str, lesion: str, token_name: str | None = None) -> dict[str, Any]:
        """One lesion over time: its images, oldest first, visits with the spread of their predictions, and histology.

        Raises:
            Problem: `lesion_not_found`.
        """
        with self._history.reading() as connection:
            images = _images(connection, case, lesion, token_name)
            if not images:
                raise no_lesion()
            return _lesion(connection, case, lesion, images)


def visits_of(images: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Images grouped by the day they were taken, or else sent; each with the spread of the malignant share.

    Args:
        images: predictions, oldest first. The same image sent twice counts once.

    Returns:
        For each day: `day`, ids of its `images`, and `malignant_share` with `count`, `mean`, `low`, `high` and `sd` (the
        standard deviation of single photographs, null for fewer than two); null where no image was usable.
    """
    days: dict[str, list[dict[str, Any]]] = {}
    for image in images:
        days.setdefault(day_of(image), []).append(image)
    return [
        {"day": day, "images": [image["id"] for image in group], "malignant_share": _spread(group)}
        for day, group in sorted(days.items())
    ]


def day_of(image: dict[str, Any]) -> str:
    """The day an image was taken, or else sent (UTC)."""
    return str(image["taken"] or image["created"][:10])


def _lesion(connection: Connection, case: str, lesion: str, images: list[dict[str, Any]]) -> dict[str, Any]:
    images = sorted(images, key=lambda image: (day_of(image), image["id"]))
    return {
        "case": case,
        "lesion": lesion,
        "site": next((image["site"] for image in images if image["site"]), None),
        "histology": histology_of(connection, case, lesion),
        "visits": visits_of(images),
        "images": images,
    }


def _images(connection: Connection, case: str, lesion: str | None, token_name: str | None) -> list[dict[str, Any]]:
    clause, values = ("", ()) if lesion is None else (" AND s.lesion_id = ?", (lesion,))
    query = f"{OF_IMAGES}{clause} ORDER BY a.id DESC LIMIT {MOST_IMAGES}"
    rows = connection.execute(query, (case, token_name, token_name, *values)).fetchall()
    return [with_current(connection, id_, text) for id_, text in rows]


def _spread(images: list[dict[str, Any]]) -> dict[str, Any] | None:
    first = {(image["input_sha256"], image["image"]["frame"]): image["malignant_share"] for image in reversed(images)}
    shares = [share for share in first.values() if share is not None]
    if not shares:
        return None
    sd = statistics.stdev(shares) if len(shares) > 1 else None
    return {"count": len(shares), "mean": math.fsum(shares) / len(shares), "low": min(shares), "high": max(shares), "sd": sd}
