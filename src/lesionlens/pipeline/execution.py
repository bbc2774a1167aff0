"""Which stages are up to date, and running those that are not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lesionlens.core.artifact import hash_file, hash_value, read_stamp, stamp_path, write_stamp
from lesionlens.core.errors import ArtifactError, RecipeError
from lesionlens.pipeline.job import Job, StageResult
from lesionlens.pipeline.old_record import adopt_old_record


@dataclass(frozen=True)
class Stage:
    """One step of the pipeline.

    Attributes:
        name: also the name of its command.
        artifact: what it writes, an attribute of `core.run.Run`; `store/store.json` names the file that decides
            whether a folder has changed.
        after: names of the stages whose artifacts it reads.
        settings: what else it depends on, JSON-ready.
        make: does the work.
    """

    name: str
    artifact: str
    after: tuple[str, ...]
    settings: Callable[[Job], Any]
    make: Callable[[Job], StageResult]

    def path(self, job: Job) -> Path:
        """The artifact, which its stamp lies beside."""
        path: Path = getattr(job.run, self.artifact.partition("/")[0])
        return path

    def file(self, job: Job) -> Path:
        """The file whose content decides whether the artifact has changed."""
        _, folder, name = self.artifact.partition("/")
        return self.path(job) / name if folder else self.path(job)


@dataclass(frozen=True)
class Step:
    """What happened to a stage.

    Attributes:
        name: of the stage.
        made: False if it was up to date.
        text: one line for people.
        seconds: how long it took.
    """

    name: str
    made: bool
    text: str
    seconds: float


def inputs_of(stage: Stage, stages: Sequence[Stage], job: Job) -> dict[str, str]:
    """Hashes of all that `stage` depends on; an artifact that does not exist yet counts as empty."""
    files = {other.name: other.file(job) for other in stages}
    hashes = {name: hash_file(files[name]) if files[name].is_file() else "" for name in stage.after}
    return {**hashes, "settings": hash_value(stage.settings(job))}


def is_current(stage: Stage, stages: Sequence[Stage], job: Job) -> bool:
    """Whether the stage's artifact is there, unchanged, and made from what is there now."""
    path, file = stage.path(job), stage.file(job)
    if not file.is_file() or not stamp_path(path).is_file():
        return False
    stamp = read_stamp(path)
    return bool(stamp["hash"] == hash_file(file) and stamp["made_from"] == inputs_of(stage, stages, job))


def plan(stages: Sequence[Stage], job: Job, start: str = "", until: str = "", skip: Sequence[str] = ()) -> dict[str, bool]:
    """Decide which stages to run: those that are stale, or come after one that will run.

    Args:
        stages: the whole pipeline in order.
        job: the run.
        start: run this stage and all after it again; those before must be up to date.
        until: stop after this stage.
        skip: leave these stages out; what depends on them takes what is there.

    Returns:
        Whether each stage up to `until` will run, by name.

    Raises:
        RecipeError: if a stage is unknown, or `start` comes after `until`.
        ArtifactError: if a stage before `start` is not up to date.
    """
    names = [stage.name for stage in stages]
    for name in (start, until, *skip):
        if name and name not in names:
            raise RecipeError(f"unknown stage {name!r}; the pipeline has {', '.join(names)}")
    last = names.index(until) if until else len(names) - 1
    first = names.index(start) if start else 0
    if first > last:
        raise RecipeError(f"--from {start} comes after --until {until}; the order is {', '.join(names)}")
    adopt_old_record(job.run, {stage.name: (stage.path(job), stage.file(job)) for stage in stages}, job.reporter)
    todo: dict[str, bool] = {}
    for position, stage in enumerate(stages[: last + 1]):
        if stage.name in skip:
            continue
        stale = any(todo.get(name, False) for name in stage.after) or not is_current(stage, stages, job)
        if start and position < first and stale:
            raise ArtifactError(f"stage {stage.name} in {job.run.folder} is not up to date; start from it: --from {stage.name}")
        todo[stage.name] = stale or (bool(start) and position >= first)
    return todo


def execute(stages: Sequence[Stage], job: Job, todo: dict[str, bool]) -> Iterator[Step]:
    """Run the stages that `plan` chose, in order; each is stamped as soon as it is done.

    Yields:
        One Step for each stage.
    """
    for stage in stages:
        if stage.name not in todo:
            continue
        if not todo[stage.name]:
            yield Step(stage.name, False, "up to date", 0.0)
            continue
        began = time.perf_counter()
        inputs = inputs_of(stage, stages, job)
        result = stage.make(job)
        stamp_stage(stage, job, inputs)
        yield Step(stage.name, True, result.line, time.perf_counter() - began)


def stamp_stage(stage: Stage, job: Job, inputs: dict[str, str]) -> None:
    """Record what a stage's artifact was made from, beside it; what its writer noted there is kept."""
    path, file = stage.path(job), stage.file(job)
    if not file.is_file():
        raise ArtifactError(f"stage {stage.name} wrote no {file}; this is a bug in LesionLens, please report it")
    facts = read_stamp(path)["facts"] if stamp_path(path).is_file() else {}
    write_stamp(path, inputs, facts, own=hash_file(file))
