"""Similar confirmed lesions, and images whose label would teach most, by the pooled features stored with predictions."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from lesionlens.core.database import Connection
from lesionlens.serving.entries import FEATURE_TYPE as TYPE
from lesionlens.serving.history import History, with_current
from lesionlens.serving.problems import Problem
from lesionlens.serving.subjects import MINE
from lesionlens.serving.worklist import LAST_HISTOLOGY, UNREVIEWED

MOST_SEARCHED = 20_000  # confirmed images, the newest
MOST_UNSURE = 2_000  # unreviewed images, the newest
ALIKE = 0.95  # cosine above which two images teach the same
OWN = f"""SELECT a.bundle_id, s.case_id, s.lesion_id, f.vector FROM answers a JOIN subjects s ON s.prediction = a.id
    LEFT JOIN features f ON f.prediction = a.id WHERE a.id = ? AND {MINE}"""
CONFIRMED = f"""SELECT a.id, s.case_id, s.lesion_id, f.vector, {LAST_HISTOLOGY} AS histology FROM answers a
    JOIN subjects s ON s.prediction = a.id JOIN features f ON f.prediction = a.id
    WHERE a.bundle_id = ? AND {LAST_HISTOLOGY} IS NOT NULL AND {MINE} ORDER BY a.id DESC LIMIT ?"""
UNSURE = f"""SELECT a.id, p.answer, f.vector FROM answers a JOIN payloads p ON p.id = a.id
    JOIN subjects s ON s.prediction = a.id JOIN features f ON f.prediction = a.id
    WHERE {UNREVIEWED} AND {LAST_HISTOLOGY} IS NULL AND a.outcome != 'not_usable' AND {MINE} ORDER BY a.id DESC LIMIT ?"""


def similar(history: History, id_: str, limit: int, token_name: str | None = None) -> dict[str, Any]:
    """The confirmed lesions whose features are nearest, as `Similar` in `similar_schemas`.

    Each lesion appears once, with its nearest image; the prediction's own lesion does not count. Only features of the same
    bundle can be compared.

    Args:
        history: reads the log.
        id_: of the prediction.
        limit: the most lesions to return.
        token_name: only predictions of this token; None: of any.

    Raises:
        Problem: `prediction_not_found`.
    """
    with history.reading() as connection:
        own = connection.execute(OWN, (id_, token_name, token_name)).fetchone()
        if own is None:
            raise Problem("prediction_not_found", "there is no prediction with that id")
        bundle_id, case, lesion, vector = own
        rows = connection.execute(CONFIRMED, (bundle_id, token_name, token_name, MOST_SEARCHED)).fetchall()
        rows = [row for row in rows if row[0] != id_ and not (lesion and row[1:3] == (case, lesion))]
        if vector is None or not rows:
            return {"prediction": id_, "searched": len(rows), "items": []}
        cosines = _matrix([row[3] for row in rows]) @ np.frombuffer(vector, TYPE).astype(np.float32)
        nearest: dict[tuple[str, str], tuple[float, str, str]] = {}
        for at in np.argsort(-cosines):
            found, of, name, _, histology = rows[int(at)]
            nearest.setdefault((of, name), (float(cosines[at]), found, histology))
        items = [
            {"prediction": _read(connection, found), "histology": histology, "similarity": round(cosine, 4)}
            for cosine, found, histology in list(nearest.values())[:limit]
        ]
    return {"prediction": id_, "searched": len(rows), "items": items}


def label_next(history: History, limit: int, token_name: str | None = None) -> dict[str, Any]:
    """Unreviewed images between whose two most probable diagnoses the model is least decided, as `LabelNext`.

    Images whose features are nearly those of a chosen one are left out, since they would teach the same.

    Args:
        history: reads the log.
        limit: the most images to return.
        token_name: only predictions of this token; None: of any.
    """
    with history.reading() as connection:
        rows = connection.execute(UNSURE, (token_name, token_name, MOST_UNSURE)).fetchall()
        margins = [_margin(text) for _, text, _ in rows]
        chosen: list[int] = []
        vectors: list[np.ndarray] = []
        for at in np.argsort(margins, kind="stable"):
            vector = np.frombuffer(rows[int(at)][2], TYPE).astype(np.float32)
            if len(chosen) < limit and all(len(vector) != len(each) or vector @ each < ALIKE for each in vectors):
                chosen.append(int(at))
                vectors.append(vector)
        items = [{"prediction": _read(connection, rows[at][0]), "margin": round(margins[at], 6)} for at in chosen]
    return {"searched": len(rows), "items": items}


def _margin(text: str) -> float:
    first, second, *_ = sorted((row["probability"] for row in json.loads(text)["probabilities"]), reverse=True)
    return float(first - second)


def _matrix(vectors: list[bytes]) -> np.ndarray:
    return np.stack([np.frombuffer(vector, TYPE) for vector in vectors]).astype(np.float32)


def _read(connection: Connection, id_: str) -> dict[str, Any]:
    (text,) = connection.execute("SELECT answer FROM payloads WHERE id = ?", (id_,)).fetchone()
    return with_current(connection, id_, text)
