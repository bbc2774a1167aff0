"""A grid from its file to its tables: what the command `ablate` calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lesionlens.core.artifact import write_json, write_text
from lesionlens.core.progress import SILENT, Reporter
from lesionlens.experiments.data import planned_sources
from lesionlens.experiments.execution import DONE, FAILED, Options, State, run_grid, state_of
from lesionlens.experiments.folder import Experiment
from lesionlens.experiments.formats import csv_text, markdown, summary_text
from lesionlens.experiments.grid import Grid
from lesionlens.experiments.latency import latencies
from lesionlens.experiments.page import page
from lesionlens.experiments.points import Point, points_of
from lesionlens.experiments.table import build_table
from lesionlens.models.build import check_takes
from lesionlens.pipeline.job import ImageSource


@dataclass(frozen=True)
class Outcome:
    """What became of a grid.

    Attributes:
        states: where every point stands.
        table: the content of table.json.
        text: the table for people.
    """

    states: tuple[State, ...]
    table: dict[str, Any]
    text: str

    @property
    def failed(self) -> int:
        """Number of runs that failed."""
        return sum(each.state == FAILED for each in self.states)

    @property
    def left(self) -> int:
        """Number of runs that are neither done nor failed."""
        return sum(each.state not in (DONE, FAILED) for each in self.states)


def ablate(
    grid: Grid,
    source: ImageSource,
    out: Path,
    options: Options | None = None,
    measure: bool = False,
    reporter: Reporter = SILENT,
) -> Outcome:
    """Run what is missing of a grid, and write its tables; see `execution.run_grid` for errors.

    Args:
        grid: rows, seeds, folds, budget.
        source: the images.
        out: folder of the experiment.
        options: device, retry, how runs are started.
        measure: whether the CPU latency of the rows is measured, side by side; nothing else should run meanwhile.
        reporter: told of progress.
    """
    experiment = Experiment(out)

    def write(points: Sequence[Point]) -> None:
        write_tables(experiment, build_table(experiment, grid, points))

    states = run_grid(experiment, grid, source, reporter, options, write)
    points = [each.point for each in states]
    if measure:
        latencies(experiment, [each.point for each in states if each.state == DONE], reporter)
    table = build_table(experiment, grid, points)
    write_tables(experiment, table)
    return Outcome(tuple(states), table, f"{summary_text(table)}\n\n{experiment.table('md')}, .csv, .html, .json")


def planned(grid: Grid, source: ImageSource, out: Path) -> tuple[State, ...]:
    """Where every point of a grid stands, without running any; every network is tried with its input size.

    Raises:
        RecipeError: if the grid is wrong, or the folder holds results of another grid.
        ModelError: if a network is unknown or does not take the size of its input.
    """
    experiment = Experiment(out)
    points = points_of(grid)
    experiment.check_grid(grid)
    for recipe in {(point.recipe.model, point.recipe.input.size): point.recipe for point in points}.values():
        check_takes(recipe.model, recipe.input.size)
    return tuple(state_of(experiment, point) for point in points_of(grid, planned_sources(experiment, grid, source)))


def write_tables(experiment: Experiment, table: dict[str, Any]) -> None:
    """Write a table as Markdown, CSV, HTML and JSON, each atomically."""
    write_json(experiment.table("json"), table)
    write_text(experiment.table("md"), markdown(table))
    write_text(experiment.table("csv"), csv_text(table))
    write_text(experiment.table("html"), page(table, experiment.folder))
