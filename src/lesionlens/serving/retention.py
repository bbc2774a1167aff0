"""Deleting what is older than may be kept."""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from lesionlens.core.errors import RecipeError, StorageError
from lesionlens.serving.deletion import delete_histology_without_images
from lesionlens.serving.identifiers import first_of
from lesionlens.serving.images import images_folder
from lesionlens.serving.log_file import open_log
from lesionlens.serving.prediction_log import timestamp

HASH = re.compile(r"[0-9a-f]{64}")


class Deleted(NamedTuple):
    """How much was deleted."""

    predictions: int
    reviews: int
    refusals: int
    histology: int
    deletions: int
    images: int


def retain(path: Path, days: int, now: datetime | None = None) -> Deleted:
    """Delete predictions with their reviews, refusals, notes of deletions, and kept images that are older than some days.

    Histology is deleted with the last image of its lesion.

    Deleted content is overwritten with zeros (SQLite's secure_delete), the file is rewritten
    without gaps (VACUUM), and the write-ahead log is emptied; copies on other disks and in
    backups are not reached. A server may run meanwhile; its predictions wait while the file is rewritten.

    Args:
        path: of the prediction log.
        days: to keep, at least 1.
        now: the time to count from.

    Raises:
        RecipeError: if `days` is out of range.
        ArtifactError: if there is no prediction log.
        StorageError: if it cannot be written.
    """
    if not 1 <= days <= 36_500:
        raise RecipeError(f"days = {days}; it must be from 1 to 36500")
    before = (now or datetime.now(UTC)) - timedelta(days=days)
    try:
        with closing(open_log(path)) as connection:
            counts = _delete(connection, before)
            images = _delete_images(connection, images_folder(path), before)
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except (sqlite3.Error, OSError) as error:
        raise StorageError(
            f"prediction log {path} cannot be cleaned ({error}); free some space and run the same command again"
        ) from error
    return Deleted(*counts, images)


def _delete(connection: sqlite3.Connection, before: datetime) -> tuple[int, int, int, int, int]:
    first = first_of(int(before.timestamp() * 1000))
    connection.execute("BEGIN IMMEDIATE")
    # The foreign keys delete reviews and payloads with their prediction.
    reviews = connection.execute("SELECT count(*) FROM reviews WHERE prediction < ?", (first,)).fetchone()[0]
    predictions = connection.execute("DELETE FROM answers WHERE id < ?", (first,)).rowcount
    refusals = connection.execute("DELETE FROM refusals WHERE created < ?", (timestamp(before),)).rowcount
    histology = delete_histology_without_images(connection)
    deletions = connection.execute("DELETE FROM deletions WHERE created < ?", (timestamp(before),)).rowcount
    connection.execute("COMMIT")
    return predictions, reviews, refusals, histology, deletions


def _delete_images(connection: sqlite3.Connection, folder: Path, before: datetime) -> int:
    """Delete old images of no prediction in the log; a new image may belong to a prediction that is being made."""
    count = 0
    for entry in os.scandir(folder) if folder.is_dir() else ():
        if not HASH.fullmatch(entry.name) or entry.stat().st_mtime >= before.timestamp():
            continue
        if connection.execute("SELECT 1 FROM answers WHERE input_sha256 = ?", (entry.name,)).fetchone() is None:
            Path(entry.path).unlink(missing_ok=True)
            count += 1
    return count
