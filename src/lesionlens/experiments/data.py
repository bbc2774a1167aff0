"""What the runs of an experiment share: index, audit, splits, plans of copies and packed images, each made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lesionlens.core.errors import SplitError
from lesionlens.core.progress import SILENT, Reporter
from lesionlens.data.index import Index, read_index
from lesionlens.data.protocols import sources
from lesionlens.data.sources.source import read_source
from lesionlens.data.sources.table import Columns
from lesionlens.experiments.folder import Experiment, Failure, distinct
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


def sources_of(grid: Grid, index: Index) -> tuple[str, ...]:
    """Names of the sources of the images, for a grid over sources; none for another grid.

    Raises:
        SplitError: if the index names fewer than two.
    """
    if not grid.sources:
        return ()
    names = sources(index)
    if len(names) < 2:
        raise SplitError(
            f"the column `dataset` names {', '.join(names) or 'no source'}; leaving one source out needs two or more. "
            "Use folds instead"
        )
    return names


def planned_sources(experiment: Experiment, grid: Grid, source: ImageSource) -> tuple[str, ...]:
    """The same before anything is written."""
    if not grid.sources:
        return ()
    path = experiment.run(Point("", grid.base.seed, "", grid.base)).index
    if path.is_file() or source.root is None:
        return sources_of(grid, index_images(experiment, grid, source, SILENT))
    return sources_of(grid, read_source(source.root, source.layout, source.rules, Columns(**source.columns)))


@dataclass(frozen=True)
class Images:
    """The images of an experiment.

    Attributes:
        source: where they are.
        audit: whether near-duplicates are looked for before the images are split.
    """

    source: ImageSource
    audit: bool = True


def share(experiment: Experiment, points: Sequence[Point], grid: Grid, images: Images, reporter: Reporter) -> str:
    """Make what the points have in common and is not there yet.

    A split that its protocol cannot make is recorded as the failure of its points.

    Args:
        experiment: where.
        points: of the grid.
        grid: the grid.
        images: what is shared.
        reporter: told of every stage.

    Returns:
        What they share, in one line.

    Raises:
        LesionLensError: whatever the stages raise.
    """
    for point in distinct(experiment, points, "split", "store"):
        recipe = replace(point.recipe, seed=grid.base.seed)  # synthetic images depend on the seed, splits and stores do not
        try:
            job = Job(experiment.run(point), recipe, images.source, reporter)
            _execute(job, until="pack", skip=("augment",) if images.audit else ("augment", "audit"), audit=images.audit)
        except SplitError as error:
            _record(experiment, points, point, str(error), reporter)
    usable = [point for point in points if experiment.run(point).split.is_file()]
    planned = distinct(experiment, usable, "split", "plan")
    for point in planned:
        job = Job(experiment.run(point), point.recipe, images.source, reporter)
        _execute(job, until="augment", skip=("index", "audit", "split"))
    splits, stores = (len(distinct(experiment, points, name)) for name in ("split", "store"))
    counts = (_counted(splits, "split"), _counted(stores, "store"), _counted(len(planned), "plan"))
    return f"{_counted(len(points), 'run')} share 1 index, {', '.join(counts)}"


def _record(experiment: Experiment, points: Sequence[Point], failed: Point, reason: str, reporter: Reporter) -> None:
    split = experiment.run(failed).split
    for point in points:
        if experiment.run(point).split == split:
            experiment.write_failure(point, Failure("error", reason))
    reporter.note(f"no split for {failed.label}: {reason}")


def _execute(job: Job, until: str, skip: Sequence[str] = (), audit: bool = True) -> None:
    stages = grid_stages(audit=audit)
    for step in execute(stages, job, plan(stages, job, until=until, skip=skip)):
        if step.made:
            job.reporter.note(f"{step.name}: {step.text} ({step.seconds:.1f} s)")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
