"""Deleting what is older than may be kept."""

from __future__ import annotations

import os
import re
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from lesionlens.core.database import Connection
from lesionlens.core.errors import RecipeError, StorageError
from lesionlens.serving.database_url import Place
from lesionlens.serving.deletion import delete_histology_without_images
from lesionlens.serving.identifiers import first_of
from lesionlens.serving.images import images_folder
from lesionlens.serving.prediction_log import timestamp
from lesionlens.serving.record import Store, store_of

HASH = re.compile(r"[0-9a-f]{64}")


class Deleted(NamedTuple):
    """How much was deleted."""

    predictions: int
    reviews: int
    refusals: int
    histology: int
    deletions: int
    images: int


def retain(record: Place, days: int, now: datetime | None = None, images: Path | None = None) -> Deleted:
    """Delete predictions with their reviews, refusals, notes of deletions, and kept images that are older than some days.

    Histology is deleted with the last image of its lesion.

    In SQLite, deleted content is overwritten with zeros (secure_delete), the file is rewritten without gaps (VACUUM), and the
    write-ahead log is emptied. PostgreSQL writes its tables anew without it (VACUUM FULL); its own log, and the places on
    the disk where the tables were, are overwritten in time. Copies on other disks and in backups are not reached. Servers may
    run meanwhile; their predictions wait while the log is rewritten.

    Args:
        record: where the prediction log is.
        days: to keep, at least 1.
        now: the time to count from.
        images: folder of kept images; None: beside the file of the log, and with PostgreSQL there is none.

    Raises:
        RecipeError: if `days` is out of range.
        ArtifactError: if there is no prediction log.
        StorageError: if it cannot be written.
    """
    if not 1 <= days <= 36_500:
        raise RecipeError(f"days = {days}; it must be from 1 to 36500")
    before = (now or datetime.now(UTC)) - timedelta(days=days)
    store, folder = store_of(record), images_folder(record, images)
    with closing(store.open()) as connection:
        try:
            counts = _delete(store, connection, before)
            n_images = 0 if folder is None else _delete_images(connection, folder, before)
            store.clean(connection)
        except store.errors as error:
            raise _not_cleaned(store, store.fault(error).name) from error
        except OSError as error:
            raise _not_cleaned(store, str(error)) from error
    return Deleted(*counts, n_images)


def _not_cleaned(store: Store, reason: str) -> StorageError:
    return StorageError(f"{store.name} cannot be cleaned ({reason}); free some space and run the same command again")


def _delete(store: Store, connection: Connection, before: datetime) -> tuple[int, int, int, int, int]:
    first = first_of(int(before.timestamp() * 1000))
    store.begin(connection)
    # The foreign keys delete reviews and payloads with their prediction.
    reviews = connection.execute("SELECT count(*) FROM reviews WHERE prediction < ?", (first,)).fetchone()[0]
    predictions = connection.execute("DELETE FROM answers WHERE id < ?", (first,)).rowcount
    refusals = connection.execute("DELETE FROM refusals WHERE created < ?", (timestamp(before),)).rowcount
    histology = delete_histology_without_images(connection)
    deletions = connection.execute("DELETE FROM deletions WHERE created < ?", (timestamp(before),)).rowcount
    connection.execute("COMMIT")
    return predictions, reviews, refusals, histology, deletions


def _delete_images(connection: Connection, folder: Path, before: datetime) -> int:
    """Delete old images of no prediction in the log; a new image may belong to a prediction that is being made."""
    count = 0
    for entry in os.scandir(folder) if folder.is_dir() else ():
        if not HASH.fullmatch(entry.name) or entry.stat().st_mtime >= before.timestamp():
            continue
        if connection.execute("SELECT 1 FROM answers WHERE input_sha256 = ?", (entry.name,)).fetchone() is None:
            Path(entry.path).unlink(missing_ok=True)
            count += 1
    return count
