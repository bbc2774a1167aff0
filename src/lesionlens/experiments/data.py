"""What the runs of an experiment share: index, audit, splits, plans of copies and packed images, each made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lesionlens.core.progress import Reporter
from lesionlens.data.index import Index, read_index
from lesionlens.experiments.folder import Experiment, distinct
from lesionlens.experiments.grid import Grid
from lesionlens.experiments.point_run import grid_stages
from lesionlens.experiments.points import Point
from lesionlens.pipeline.execution import execute, plan
from lesionlens.pipeline.job import ImageSource, Job


def index_images(experiment: Experiment, grid: Grid, source: ImageSource, reporter: Reporter) -> Index:
    """List the images, unless that was done and they did not change since.

    Raises:
        DataError: if the source cannot be read.
    """
    run = experiment.run(Point("", grid.base.seed, "", grid.base))
    _execute(Job(run, grid.base, source, reporter), until="index")
    return read_index(run.index)


def share(experiment: Experiment, points: Sequence[Point], grid: Grid, source: ImageSource, reporter: Reporter) -> str:
    """Make what the points have in common and is not there yet.

    Returns:
        What they share, in one line.

    Raises:
        LesionLensError: whatever the stages raise.
    """
    for point in distinct(experiment, points, "split", "store"):
        recipe = replace(point.recipe, seed=grid.base.seed)  # synthetic images depend on the seed, splits and stores do not
        _execute(Job(experiment.run(point), recipe, source, reporter), until="pack", skip=("augment",))
    planned = distinct(experiment, points, "split", "plan")
    for point in planned:
        job = Job(experiment.run(point), point.recipe, source, reporter)
        _execute(job, until="augment", skip=("index", "audit", "split"))
    splits, stores = (len(distinct(experiment, points, name)) for name in ("split", "store"))
    counts = (_counted(splits, "split"), _counted(stores, "store"), _counted(len(planned), "plan"))
    return f"{_counted(len(points), 'run')} share 1 index, {', '.join(counts)}"


def _execute(job: Job, until: str, skip: Sequence[str] = ()) -> None:
    stages = grid_stages()
    for step in execute(stages, job, plan(stages, job, until=until, skip=skip)):
        if step.made:
            job.reporter.note(f"{step.name}: {step.text} ({step.seconds:.1f} s)")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
