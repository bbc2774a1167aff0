"""One consistent copy of the prediction log, beside a running server."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from lesionlens.core.artifact import atomic_file
from lesionlens.core.errors import ArtifactError, StorageError
from lesionlens.serving.database_url import Place
from lesionlens.serving.log_file import check_sound, open_log
from lesionlens.serving.record import record_file


def backup(record: Place, out: Path) -> int:
    """Copy the prediction log as it is at one moment, without what was deleted; mode 0600.

    Args:
        record: where the prediction log is, a file; a server may write to it meanwhile.
        out: the copy; a former one is replaced once the new one is written and checked.

    Returns:
        Bytes of the copy.

    Raises:
        RecipeError: if it is in PostgreSQL.
        ArtifactError: if there is no prediction log, or it is damaged; a former copy is kept.
        StorageError: if the copy cannot be written.
    """
    path = record_file(record, f"PostgreSQL copies its databases itself: pg_dump -Fc -f {out} {record}")
    if out.exists() and out.samefile(path):
        raise ArtifactError(f"{out} is the prediction log itself; name another file for the copy")
    with atomic_file(out, mode=0o600) as temporary:
        try:
            with closing(open_log(path, read_only=True)) as connection:
                connection.execute("VACUUM INTO ?", (str(temporary),))
        except sqlite3.OperationalError as error:
            raise StorageError(f"the copy {out} cannot be written ({error}); free some space, or choose another --out") from error
        except sqlite3.DatabaseError as error:
            raise ArtifactError(f"prediction log {path} is damaged ({error}); restore a backup. {out} was not changed") from error
        check_sound(temporary)
        return temporary.stat().st_size
