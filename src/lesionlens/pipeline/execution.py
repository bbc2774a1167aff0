"""One run along the road: what it starts from, where it writes, and which stages are up to date."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lesionlens.core.artifact import hash_file, hash_value, read_json, write_json
from lesionlens.core.errors import ArtifactError, RecipeError
from lesionlens.core.recipe import Recipe

Advance = Callable[[int], None]
Bar = Callable[[str, int], AbstractContextManager[Advance]]
RECORD = "road.json"


def _silent_bar(description: str, total: int) -> AbstractContextManager[Advance]:
    return nullcontext(lambda steps: None)


def _silent(text: str) -> None:
    pass


@dataclass(frozen=True)
class Journey:
    """Everything the stages need.

    Attributes:
        folder: the run folder; every artifact lies in it.
        recipe: what to do.
        data: folder (or metadata file) of images; None draws the embedded synthetic data set.
        source: layout of `data`, a key of `data.sources.SOURCES`, or `auto`.
        note: receives messages for people.
        bar: opens a progress bar.
        restart: train anew even where a training can be resumed.
    """

    folder: Path
    recipe: Recipe
    data: Path | None
    source: str = "auto"
    note: Callable[[str], None] = field(default=_silent, compare=False)
    bar: Bar = field(default=_silent_bar, compare=False)
    restart: bool = False

    def path(self, name: str) -> Path:
        """Where the artifact `name` lies."""
        return self.folder / name


@dataclass(frozen=True)
class Stage:
    """One step of the road.

    Attributes:
        name: also the name of its command.
        output: the file that tells that the stage is done, within the run folder.
        after: names of the stages whose outputs it reads.
        settings: what else it depends on, JSON-ready.
        make: does the work; returns one line for people.
    """

    name: str
    output: str
    after: tuple[str, ...]
    settings: Callable[[Journey], Any]
    make: Callable[[Journey], str]


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


def inputs_of(stage: Stage, stages: Sequence[Stage], journey: Journey) -> dict[str, str]:
    """Hashes of all that `stage` depends on; an output that does not exist yet counts as empty."""
    outputs = {other.name: journey.path(other.output) for other in stages}
    hashes = {name: hash_file(outputs[name]) if outputs[name].is_file() else "" for name in stage.after}
    return {**hashes, "settings": hash_value(stage.settings(journey))}


def is_done(stage: Stage, stages: Sequence[Stage], journey: Journey) -> bool:
    """Whether the stage's output is there, unchanged, and made from what is there now."""
    entry = _record(journey).get(stage.name)
    output = journey.path(stage.output)
    if entry is None or not output.is_file() or entry["output"] != hash_file(output):
        return False
    return bool(entry["inputs"] == inputs_of(stage, stages, journey))


def plan(stages: Sequence[Stage], journey: Journey, start: str = "", until: str = "") -> dict[str, bool]:
    """Which stages will be made: those that are stale, or behind one that will be made.

    Args:
        stages: the whole road in order.
        journey: the run.
        start: make this stage and all behind it anew; those before must be up to date.
        until: stop behind this stage.

    Returns:
        Whether each stage up to `until` will be made, by name.

    Raises:
        RecipeError: if a stage is unknown, or `start` lies behind `until`.
        ArtifactError: if a stage before `start` is not up to date.
    """
    names = [stage.name for stage in stages]
    for name in (start, until):
        if name and name not in names:
            raise RecipeError(f"unknown stage {name!r}; the road has {', '.join(names)}")
    last = names.index(until) if until else len(names) - 1
    first = names.index(start) if start else 0
    if first > last:
        raise RecipeError(f"--from {start} lies behind --until {until}; the road goes {', '.join(names)}")
    todo: dict[str, bool] = {}
    for position, stage in enumerate(stages[: last + 1]):
        behind_stale = any(todo.get(name, False) for name in stage.after)
        stale = behind_stale or not is_done(stage, stages, journey)
        if start and position < first and stale:
            raise ArtifactError(f"stage {stage.name} in {journey.folder} is not up to date; start from it: --from {stage.name}")
        todo[stage.name] = stale or (bool(start) and position >= first)
    return todo


def travel(stages: Sequence[Stage], journey: Journey, todo: dict[str, bool]) -> Iterator[Step]:
    """Make what `plan` found to do, in order; each stage is recorded as soon as it is done.

    Yields:
        One Step for each stage.
    """
    for stage in stages:
        if stage.name not in todo:
            return
        if not todo[stage.name]:
            yield Step(stage.name, False, "up to date", 0.0)
            continue
        began = time.perf_counter()
        inputs = inputs_of(stage, stages, journey)
        text = stage.make(journey)
        output = journey.path(stage.output)
        if not output.is_file():
            raise ArtifactError(f"stage {stage.name} made no {output}; this is a mistake of LesionLens, please report it")
        entry = {"inputs": inputs, "output": hash_file(output)}
        write_json(journey.path(RECORD), {**_record(journey), stage.name: entry})
        yield Step(stage.name, True, text, time.perf_counter() - began)


def _record(journey: Journey) -> dict[str, Any]:
    path = journey.path(RECORD)
    record = read_json(path) if path.exists() else {}
    if not isinstance(record, dict) or not all(
        isinstance(entry, dict) and {"inputs", "output"} <= entry.keys() for entry in record.values()
    ):
        raise ArtifactError(f"{path} is not the record of a run; delete it and run again (what is made stays)")
    return record
