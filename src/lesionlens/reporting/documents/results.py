"""Results that a run may have beside its scores: bundle, decisions, subgroups, robustness, other data sets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lesionlens.bundle.bundle import FACTS_FILE, read_bundle
from lesionlens.core.artifact import read_json
from lesionlens.core.errors import ArtifactError
from lesionlens.core.run import Run
from lesionlens.reporting.run_folder import RunContents, file_name

COMMANDS = {
    "bundle": "lesionlens export CHECKPOINT",
    "decisions": "lesionlens assess RUN",
    "subgroups": "lesionlens assess RUN",
    "robustness": "lesionlens stress CHECKPOINT",
    "external": "lesionlens evaluate CHECKPOINT --index other.csv",
    "audit": "lesionlens audit INDEX",
    "explanation": "lesionlens explain CHECKPOINT",
    "compression": "lesionlens compress CHECKPOINT",
    "training": "lesionlens train RECIPE",
}
ASSESSED = ("decisions", "subgroups", "robustness")
FILES = {
    **{name: file_name(name) for name in (*ASSESSED, "audit")},
    "bundle": f"{file_name('bundle')}/{FACTS_FILE}",
    "external": f"{file_name('external')}/*/external.json",
    "explanation": file_name("faithfulness"),
    "compression": file_name("comparison"),
    "training": file_name("history"),
}  # in a run folder
EXTERNAL_FILE = "external.json"
NOT_IN_CARD = ("format", "id", "files")  # of bundle.json


@dataclass(frozen=True)
class Results:
    """What was found of the optional results.

    Attributes:
        content: JSON of `bundle`, `decisions`, `subgroups` and `robustness`, those that are there and of this checkpoint.
        external: JSON of each further data set, by its name.
        lacking: why a result is not there and how to make it, by name.
    """

    content: Mapping[str, dict[str, Any]]
    external: Mapping[str, dict[str, Any]]
    lacking: Mapping[str, str]

    def get(self, name: str) -> dict[str, Any] | None:
        """The content of one result; None if it is not there."""
        return self.content.get(name)


def read_results(run: RunContents) -> Results:
    """Read the optional results of a run.

    Raises:
        ArtifactError: if one of them is damaged or holds a number that is not finite.
        BundleError: if the bundle is damaged.
    """
    content: dict[str, dict[str, Any]] = {}
    lacking: dict[str, str] = {}
    found = {"bundle": _bundle(run), **{name: _read(getattr(run.paths, name)) for name in ASSESSED}}
    for name, value in found.items():
        if value is None:
            lacking[name] = f"make it with: {COMMANDS[name]}"
        elif not _is_of(run, value):
            lacking[name] = f"the one in the run is of another checkpoint; make it again with: {COMMANDS[name]}"
        else:
            content[name] = value
    external = _external(run)
    if not external:
        lacking["external"] = f"make it with: {COMMANDS['external']}"
    plain = {"audit": run.audit, "explanation": run.explanation, "compression": run.compression, "training": run.history or None}
    lacking |= {name: f"make it with: {COMMANDS[name]}" for name, value in plain.items() if value is None}
    return Results(content, external, lacking)


def check_finite(value: Any, path: Path, place: str = "") -> None:
    """Refuse JSON with NaN or infinity, which Python reads without a word.

    Raises:
        ArtifactError: if there is one.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise ArtifactError(f"{path} holds {value} at {place}; a number must be finite or null. Make the file again")
    if isinstance(value, Mapping):
        for key, item in value.items():
            check_finite(item, path, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            check_finite(item, path, f"{place}[{number}]")


def _read(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    value = read_json(path)  # lesionlens 0.1 had none of these, and `figures` is a key of today
    if not isinstance(value, dict):
        raise ArtifactError(f"{path} is not a result of lesionlens (no JSON object); make it again")
    check_finite(value, path)
    return value


def _bundle(run: RunContents) -> dict[str, Any] | None:
    if not (run.paths.bundle / FACTS_FILE).is_file():
        return None
    facts = read_bundle(run.paths.bundle).facts
    check_finite(facts, run.paths.bundle / FACTS_FILE)
    return {key: value for key, value in facts.items() if key not in NOT_IN_CARD}


def _is_of(run: RunContents, value: Mapping[str, Any]) -> bool:
    """Whether a result was made with the run's checkpoint."""
    origin = value.get("origin") or {}
    made_from = value.get("made_from") or origin.get("hashes") or {}
    expected = run.checkpoint_hash or run.scores["made_from"].get("checkpoint")
    return bool(expected) and made_from.get("checkpoint") == expected


def _external(run: RunContents) -> dict[str, dict[str, Any]]:
    folder = run.paths.external
    if not folder.is_dir():
        return {}
    read = {path.parent.name: _read(path) for path in sorted(folder.glob(f"*/{EXTERNAL_FILE}"))}
    return {name: value for name, value in read.items() if value is not None and _is_of(run, value)}


@contextmanager
def reading(name: str, run: Run) -> Iterator[None]:
    """Turn a result that lacks what it should hold into a clear error.

    Raises:
        ArtifactError: in place of the error of a missing key or a wrong type.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ArtifactError(
            f"{run.folder / FILES[name]} does not hold what it should ({type(error).__name__}: {error}); make it again "
            f"with: {COMMANDS[name]}"
        ) from error
