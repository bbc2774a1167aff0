"""Run folders of LesionLens 0.1.0 kept one record of all stages, `road.json`; it becomes a stamp beside each artifact."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lesionlens.core.artifact import hash_file, read_json, read_stamp, stamp_path, write_stamp
from lesionlens.core.errors import ArtifactError
from lesionlens.core.progress import Reporter
from lesionlens.core.run import Run

OLD_RECORD = "road.json"


def adopt_old_record(run: Run, artifacts: Mapping[str, tuple[Path, Path]], reporter: Reporter) -> None:
    """Turn `road.json`, if there is one, into stamps, and remove it.

    Args:
        run: the run folder.
        artifacts: artifact and deciding file of each stage, by name.
        reporter: told once.

    Raises:
        ArtifactError: if the file is not such a record.
    """
    path = run.folder / OLD_RECORD
    if not path.is_file():
        return
    record = read_json(path)
    if not isinstance(record, dict) or not all(
        isinstance(row, dict) and {"inputs", "output"} <= row.keys() for row in record.values()
    ):
        raise ArtifactError(f"{path} is not the record of a run; delete it and run again (artifacts stay)")
    for name, row in record.items():
        artifact, file = artifacts.get(name, (None, None))
        if artifact is None or file is None or not file.is_file() or hash_file(file) != row["output"]:
            continue
        stamp = read_stamp(artifact) if stamp_path(artifact).is_file() else {"made_from": {}, "facts": {}}
        facts = {**stamp["made_from"], **stamp["facts"]}
        write_stamp(artifact, row["inputs"], facts, own=row["output"])
    path.unlink()
    reporter.note(f"{run.folder} was made by LesionLens 0.1.0; its artifacts are read as they are, new ones get today's names")
