"""One prediction deleted on request: its data are gone, and that it was deleted, when and by whom is recorded."""

from __future__ import annotations

from typing import NamedTuple

from lesionlens.core.database import Connection


class Deletion(NamedTuple):
    """What was deleted.

    Attributes:
        input_sha256: of the image.
        is_last: whether no other prediction is of the same image, so that a kept image goes too.
    """

    input_sha256: str
    is_last: bool


def delete_prediction(connection: Connection, prediction: str, change: dict[str, str]) -> Deletion | None:
    """Delete a prediction with its maps, reviews, subject and key; record that it was deleted.

    Histology belongs to the lesion: it goes with the lesion's last image.

    Args:
        connection: to the log.
        prediction: its id.
        change: `created`, `request_id`, `who` and `reason`.

    Returns:
        None if there is no such prediction.
    """
    row = connection.execute("SELECT input_sha256 FROM answers WHERE id = ?", (prediction,)).fetchone()
    if row is None:
        return None
    connection.execute("DELETE FROM answers WHERE id = ?", (prediction,))  # the foreign keys delete the rest
    delete_histology_without_images(connection)
    columns = "prediction, created, request_id, who, reason"
    values = (prediction, change["created"], change["request_id"], change["who"], change["reason"])
    connection.execute(f"INSERT INTO deletions ({columns}) VALUES (?, ?, ?, ?, ?)", values)
    left = connection.execute("SELECT 1 FROM answers WHERE input_sha256 = ? LIMIT 1", row).fetchone()
    return Deletion(row[0], left is None)


def delete_histology_without_images(connection: Connection) -> int:
    """Delete the histology of lesions of which there is no image any more; returns how many entries."""
    query = """DELETE FROM histology WHERE NOT EXISTS (SELECT 1 FROM subjects s
        WHERE s.case_id != '' AND s.case_id = histology.case_id AND s.lesion_id = histology.lesion_id)"""
    return connection.execute(query).rowcount


def deleted_when(connection: Connection, prediction: str) -> str | None:
    """When a prediction was deleted on request; None if it was not."""
    row = connection.execute("SELECT created FROM deletions WHERE prediction = ?", (prediction,)).fetchone()
    return None if row is None else str(row[0])
