"""What an external evaluation leaves in its folder, and the table of all sets of a run."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from lesionlens.assessment.external.evaluation import ExternalEvaluation
from lesionlens.core.artifact import atomic_file, read_json, write_json
from lesionlens.core.errors import ArtifactError
from lesionlens.evaluation.predictions import write_predictions

RESULT_FILE, CASES_FILE, FLOW_FILE = "external.json", "cases.csv", "flow.svg"
KEYS = {"name", "made_from", "model", "frozen", "mapping", "leaks", "flow", "intention", "image", "lesion", "key_figures"}
KEYS |= {"shift", "conformal", "internal"}


def write_evaluation(evaluation: ExternalEvaluation, folder: Path) -> None:
    """Write predictions.npz, scores.json, cases.csv and external.json; the last one last, as it says that all is there.

    Raises:
        StorageError: if the disk is full or not writable.
    """
    content = evaluation.content
    write_predictions(evaluation.predictions, folder / "predictions.npz")
    write_json(folder / "scores.json", {name: value for name, value in content["image"]["full"].items() if name != "view"})
    _write_cases(evaluation.rows, folder / CASES_FILE)
    write_json(folder / RESULT_FILE, content)


def _write_cases(rows: tuple[dict[str, Any], ...], path: Path) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, restval="", lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(rows)


def read_evaluations(folder: Path, checkpoint_hash: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The external evaluations of one checkpoint below a folder, by name, and the names of those of other checkpoints.

    Raises:
        ArtifactError: if one of them is damaged.
    """
    evaluations, others = [], []
    for path in sorted(folder.glob(f"*/{RESULT_FILE}")):
        content = read_json(path)
        if not isinstance(content, dict) or not content.keys() >= KEYS:
            raise ArtifactError(f"{path} is no external evaluation; make it again with: lesionlens evaluate MODEL --index INDEX")
        if content["made_from"].get("checkpoint") == checkpoint_hash:
            evaluations.append(content)
        else:
            others.append(str(content["name"]))
    return evaluations, others
