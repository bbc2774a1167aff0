"""What is to be done: predictions without a review, by malignant share, and those with which a person or histology disagrees."""

from __future__ import annotations

from typing import Any

from lesionlens.core.database import Connection
from lesionlens.serving.history import PREDICTIONS, History, with_current
from lesionlens.serving.subjects import MINE

UNREVIEWED = "NOT EXISTS (SELECT 1 FROM reviews r WHERE r.prediction = a.id)"
NEXT = f"""{PREDICTIONS} JOIN subjects s ON s.prediction = a.id WHERE {UNREVIEWED} AND {MINE}
    ORDER BY s.malignant_share DESC NULLS LAST, a.id DESC LIMIT ?"""
COUNT = f"SELECT count(*), count(*) FILTER (WHERE {UNREVIEWED}) FROM answers a WHERE {MINE}"
LAST_REVIEW = "(SELECT r.conclusion FROM reviews r WHERE r.prediction = a.id ORDER BY r.number DESC LIMIT 1)"
LAST_HISTOLOGY = """(SELECT h.dx FROM histology h WHERE h.case_id = s.case_id AND h.lesion_id = s.lesion_id
    AND s.case_id != '' ORDER BY h.number DESC LIMIT 1)"""
OTHERWISE = f"""SELECT id, answer, review, histology FROM (
    SELECT a.id, p.answer, a.diagnosis, {LAST_REVIEW} AS review, {LAST_HISTOLOGY} AS histology
    FROM answers a JOIN payloads p ON p.id = a.id JOIN subjects s ON s.prediction = a.id
    WHERE a.outcome = 'diagnosis' AND {MINE}) AS judged
    WHERE review != diagnosis OR histology != diagnosis ORDER BY id DESC LIMIT ?"""
MOST_SEARCHED = 5000  # disagreements that are put in order; older ones are left out, and told
MISSED, FALSE_ALARM, UNUSABLE, OTHER = "missed_malignant", "false_alarm", "unusable", "other_diagnosis"
ORDER = (MISSED, FALSE_ALARM, OTHER, UNUSABLE)


class Worklist:
    """Reads what waits for a person; `token_name` limits it to the predictions of one token, None does not.

    Args:
        history: reads the log.
    """

    def __init__(self, history: History) -> None:
        self._history = history

    def read(self, limit: int, token_name: str | None = None) -> dict[str, Any]:
        """The worklist as `Worklist` in `worklist_schemas`: at most `limit` of either kind, and how many there are."""
        mine = (token_name, token_name)
        with self._history.reading() as connection:
            total, unreviewed = connection.execute(COUNT, mine).fetchone()
            rows = connection.execute(NEXT, (*mine, limit)).fetchall()
            waiting = [with_current(connection, id_, text) for id_, text in rows]
            found = connection.execute(OTHERWISE, (*mine, MOST_SEARCHED)).fetchall()
            disagreements = self._ranked(connection, found)
        return {
            "predictions": total,
            "unreviewed": unreviewed,
            "disagreements": len(disagreements),
            "is_complete": len(found) < MOST_SEARCHED,
            "waiting": waiting,
            "disagreeing": disagreements[:limit],
        }

    def _ranked(self, connection: Connection, rows: list[tuple[str, str, str | None, str | None]]) -> list[dict[str, Any]]:
        items = [
            {"prediction": prediction, **found}
            for id_, text, review, histology in rows
            if (found := disagreement(prediction := with_current(connection, id_, text), review, histology))
        ]
        return sorted(items, key=lambda item: (ORDER.index(item["kind"]), item["by"] != "histology", -item["certainty"]))


def disagreement(prediction: dict[str, Any], review: str | None, histology: str | None) -> dict[str, Any] | None:
    """How a person or histology disagrees with a diagnosis; None if nobody does. Histology counts more than a review.

    Args:
        prediction: with the outcome `diagnosis`.
        review: newest conclusion, or None.
        histology: last diagnosis, or None.

    Returns:
        `kind` (`missed_malignant`, `false_alarm`, `other_diagnosis` or `unusable`), `by` (`histology` or `review`), `says`
        (what they say) and `certainty`: the probability that the model gave to its own diagnosis.

    Example:
        >>> rows = [("nv", 0.999, False), ("bcc", 0.001, True)]
        >>> names = ("code", "probability", "malignant")
        >>> nevus = {"diagnosis": "nv", "probabilities": [dict(zip(names, row, strict=True)) for row in rows]}
        >>> disagreement(nevus, "bcc", None)
        {'kind': 'missed_malignant', 'by': 'review', 'says': 'bcc', 'certainty': 0.999}
    """
    by, says = ("histology", histology) if histology is not None else ("review", review)
    if says is None or says == prediction["diagnosis"]:
        return None
    malignant = {row["code"]: row["malignant"] for row in prediction["probabilities"]}
    own = malignant[prediction["diagnosis"]]
    kind = OTHER
    if says == "unusable":
        kind = UNUSABLE
    elif says in malignant and malignant[says] != own:
        kind = FALSE_ALARM if own else MISSED
    certainty = next(row["probability"] for row in prediction["probabilities"] if row["code"] == prediction["diagnosis"])
    return {"kind": kind, "by": by, "says": says, "certainty": certainty}
