"""One run of a grid, in this process or in a process of its own: plan of copies, training, predictions, scores, and its cost.

    python -m lesionlens.experiments.point_run TASK.json

The process ends if the process that started it does, because it then reads the end of its standard input.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from lesionlens.core.artifact import read_json, write_json
from lesionlens.core.errors import LesionLensError
from lesionlens.core.machine import peak_memory_bytes, processor
from lesionlens.core.progress import SILENT, Reporter
from lesionlens.core.recipe import Recipe
from lesionlens.core.recipe_file import recipe_from
from lesionlens.core.run import Run
from lesionlens.evaluation.evaluate import PredictionSettings
from lesionlens.experiments.folder import COST, FAILURE, Failure, plan_settings
from lesionlens.experiments.network_check import count_network
from lesionlens.pipeline import data_stages, model_stages
from lesionlens.pipeline.execution import Stage, execute, plan
from lesionlens.pipeline.job import ImageSource, Job, StageResult
from lesionlens.pipeline.stages import STAGES
from lesionlens.training.checkpoint import load_info, versions
from lesionlens.training.distributed import choose_device, join_world
from lesionlens.training.history import best_epoch, read_history

DATA_STAGES = ("index", "audit", "split", "pack")
MEMORY_WORDS = ("out of memory", "can't allocate memory", "not enough memory")


@dataclass(frozen=True)
class Task:
    """What one run is given.

    Attributes:
        run: its paths, the shared ones included.
        recipe: what it follows.
        device: `auto`, `cpu` or `cuda`.
        until: the last stage, `train` or `evaluate`.
    """

    run: Run
    recipe: Recipe
    device: str = "auto"
    until: str = "evaluate"

    def write(self) -> Path:
        """Write the task into its run folder."""
        path = self.run.folder / "task.json"
        paths = {each.name: str(getattr(self.run, each.name).absolute()) for each in fields(Run)}
        write_json(path, {"run": paths, "recipe": self.recipe.to_json(), "device": self.device, "until": self.until})
        return path

    @classmethod
    def read(cls, path: Path) -> Task:
        """Read what `write` wrote."""
        value = read_json(path)
        run = Run(**{name: Path(text) for name, text in value["run"].items()})
        return cls(run, recipe_from(value["recipe"], where=str(path)), value["device"], value["until"])


def grid_stages(device: str = "auto", audit: bool = True) -> tuple[Stage, ...]:
    """The stages of a run of a grid, those that prepare images included.

    Args:
        device: where networks run.
        audit: whether the split unites what an audit is certain of, or the listed pairs alone.
    """
    by_name = {stage.name: stage for stage in STAGES}

    def split(job: Job) -> StageResult:
        return data_stages.split(job.run, job.recipe.split, (), job.reporter)

    def augment(job: Job) -> StageResult:
        return model_stages.augment(job.run, job.recipe, gallery=False)

    def train(job: Job) -> StageResult:
        with join_world(device) as world:
            return model_stages.train(job.run, job.recipe, world, reporter=job.reporter)

    def evaluate(job: Job) -> StageResult:
        recipe = job.recipe.evaluation
        settings = PredictionSettings(views=recipe.views, resamples=recipe.resamples, confidence=recipe.confidence, device=device)
        return model_stages.evaluate(job.run, settings, reporter=job.reporter)

    own = {
        "augment": Stage("augment", "plan", ("index", "split"), lambda job: plan_settings(job.recipe), augment),
        "train": Stage("train", "best", by_name["train"].after, by_name["train"].settings, train),
        "evaluate": Stage("evaluate", "scores", by_name["evaluate"].after, by_name["evaluate"].settings, evaluate),
    }
    if not audit:
        own["split"] = Stage("split", "split", ("index",), by_name["split"].settings, split)
    return tuple(own.get(name, by_name[name]) for name in ("index", "audit", "split", "augment", "pack", "train", "evaluate"))


def work_left(task: Task) -> list[str]:
    """Stages of a run that are missing or stale; empty if it is done."""
    job = Job(task.run, task.recipe, ImageSource(None))
    return [name for name, stale in plan(grid_stages(task.device), job, until=task.until, skip=DATA_STAGES).items() if stale]


def run_point(task: Task, reporter: Reporter = SILENT) -> None:
    """Run what is missing of one point; a training that was stopped resumes.

    Args:
        task: what to do; the shared index, split, plan and store must be there.
        reporter: told of every epoch.

    Raises:
        LesionLensError: whatever a stage raises; see `failure_of` for errors of memory.
    """
    stages = grid_stages(task.device)
    job = Job(task.run, task.recipe, ImageSource(None), reporter)
    for _ in execute(stages, job, plan(stages, job, until=task.until, skip=DATA_STAGES)):
        write_cost(task)


def write_cost(task: Task) -> None:
    """Write what the run has cost so far, JSON: time, memory, size of the network, device, versions.

    `training_s` is the time of all epochs with their validation, of every process that trained. Peaks of memory are of
    one process, the highest if there were several.
    """
    run, recipe = task.run, task.recipe
    if not run.best.is_file():
        return
    history, device = read_history(run.history), choose_device(task.device)
    best = best_epoch(history, recipe.training.monitor)
    path = run.folder / COST
    before = read_json(path) if path.is_file() else {}
    on_gpu = device.type == "cuda"
    content: dict[str, Any] = {
        **count_network(recipe, len(load_info(run.best).labels)),
        "size": recipe.input.size,
        "epochs": len(history),
        "best_epoch": best.epoch if best else None,
        "training_s": sum(epoch.seconds for epoch in history),
        "images_per_second": max(epoch.images_per_second for epoch in history),
        "peak_memory_bytes": _highest(before.get("peak_memory_bytes"), peak_memory_bytes()),
        "peak_gpu_bytes": _highest(before.get("peak_gpu_bytes"), torch.cuda.max_memory_allocated(device) if on_gpu else None),
        "device": torch.cuda.get_device_name(device) if on_gpu else processor(),
        "threads": torch.get_num_threads(),
        "versions": versions(),
    }
    write_json(path, content)


def _highest(*values: int | None) -> int | None:
    return max((value for value in values if value is not None), default=None)


def failure_of(error: BaseException) -> Failure | None:
    """The failure that an error of a run stands for; None if it is a bug, which should not be hidden."""
    cause = error.__cause__ or error  # building a network wraps what torch raises
    words, words_of_cause = (" ".join(str(each).split()) for each in (error, cause))
    lacks_memory = isinstance(cause, RuntimeError) and any(word in words_of_cause for word in MEMORY_WORDS)
    if lacks_memory or isinstance(cause, MemoryError):
        why = words_of_cause[:120] or type(cause).__name__
        return Failure("memory", f"out of memory ({why}); use a smaller network, input.size or training.batch_size")
    return Failure("error", words) if isinstance(error, LesionLensError | OSError) else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the task of a file; notes go to stdout, a failure to failure.json."""
    (path,) = sys.argv[1:] if arguments is None else arguments
    threading.Thread(target=_end_with_parent, daemon=True).start()
    task = Task.read(Path(path))
    try:
        run_point(task, Reporter(note=_note))
    except (LesionLensError, OSError, RuntimeError, MemoryError) as error:
        failure = failure_of(error)
        if failure is None:
            raise
        write_json(task.run.folder / FAILURE, {"kind": failure.kind, "reason": failure.reason})
        return 1
    return 0


def _note(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os._exit(1)  # nobody reads it any more: the parent has ended, which is no failure of the run


def _end_with_parent() -> None:
    stdin = sys.stdin.fileno()
    while os.read(stdin, 1):  # not through sys.stdin, whose lock would be held while Python shuts down
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
