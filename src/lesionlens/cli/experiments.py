"""The commands `ablate`, `crossvalidate` and `search`: many runs as one experiment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lesionlens.cli.console import REPORTER, emit_text
from lesionlens.cli.options import CLUSTER_PANEL, Address, Device, DeviceOption, Json, Layout, On, Set, Where, data_root

if TYPE_CHECKING:
    from lesionlens.experiments.execution import Options, State
    from lesionlens.experiments.experiment import Outcome
    from lesionlens.experiments.grid import Grid
    from lesionlens.pipeline.job import ImageSource

Data = Annotated[str, typer.Option(help="Folder of images, a CSV that lists them, or `synthetic`.")]
Out = Annotated[Path, typer.Option(help="Folder of the experiment; it may hold earlier results of the same one.")]
Watts = Annotated[float, typer.Option(min=0.0, help="Power drawn while training, for the estimate of energy.")]
Measure = Annotated[bool, typer.Option("--measure", help="Measure the CPU latency of all rows; let nothing else run.")]
Source = Annotated[Layout, typer.Option(help="Layout of the images.")]
Retry = Annotated[bool, typer.Option("--retry", help="Run what failed before again.")]
Audit = Annotated[bool, typer.Option("--audit/--no-audit", help="Look for near-duplicates before the images are split.")]
CpusPerRun = Annotated[
    float,
    typer.Option(min=0.0, help="CPUs of a run; 0 takes those of the smallest node, or of a GPU.", rich_help_panel=CLUSTER_PANEL),
]
GpusPerRun = Annotated[
    float, typer.Option(min=0.0, help="GPUs of a run, such as 0.5; 0 takes one if there is one.", rich_help_panel=CLUSTER_PANEL)
]
Plan = Annotated[bool, typer.Option("--plan", help="Only show what would run.")]


def ablate(
    grid: Annotated[str, typer.Argument(help="Name or path of a grid, such as table9.")],
    data: Data,
    out: Out,
    base: Annotated[str, typer.Option(help="Another base recipe than the grid's, by name or path.")] = "",
    overrides: Set = None,
    seeds: Annotated[int, typer.Option(min=0, help="Number of seeds (0, 1, ...); 0 takes the grid's.")] = 0,
    hours: Annotated[float, typer.Option(min=0.0, help="Stop after so many hours; 0 takes the grid's budget.")] = 0.0,
    watts: Watts = 0.0,
    source: Source = Layout.auto,
    device: DeviceOption = Device.auto,
    audit: Audit = True,
    measure: Measure = False,
    retry: Retry = False,
    dry: Plan = False,
    as_json: Json = False,
    on: Where = On.here,
    address: Address = "",
    cpus_per_run: CpusPerRun = 0.0,
    gpus_per_run: GpusPerRun = 0.0,
) -> None:
    """Run a grid: train every row with every seed, and compare the rows in one table.

    Runs that are done are skipped; stopped at any moment, the same command resumes.
    """
    from lesionlens.experiments.execution import Options
    from lesionlens.experiments.grid import load_grid

    loaded = load_grid(grid, overrides or (), base)
    loaded = replace(
        loaded,
        seeds=tuple(range(seeds)) if seeds else loaded.seeds,
        hours=hours or loaded.hours,
        watts=watts or loaded.watts,
    )
    place = Place(on, address, cpus_per_run, gpus_per_run)
    _run(loaded, _image_source(data, source), out, Options(device, retry, audit), place, measure, dry, as_json)


def crossvalidate(
    recipe: Annotated[str, typer.Argument(help="Name or path of a recipe.")],
    data: Data,
    out: Out,
    folds: Annotated[int, typer.Option(min=2, help="Number of folds by lesion.")] = 5,
    by_source: Annotated[
        bool, typer.Option("--leave-one-source-out", help="Test on each source (column `dataset`) in turn, in place of folds.")
    ] = False,
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds: trainings of each fold.")] = 1,
    overrides: Set = None,
    hours: Annotated[float, typer.Option(min=0.0, help="Stop after so many hours; 0 sets no limit.")] = 0.0,
    watts: Watts = 0.0,
    source: Source = Layout.auto,
    device: DeviceOption = Device.auto,
    audit: Audit = True,
    measure: Measure = False,
    retry: Retry = False,
    dry: Plan = False,
    as_json: Json = False,
    on: Where = On.here,
    address: Address = "",
    cpus_per_run: CpusPerRun = 0.0,
    gpus_per_run: GpusPerRun = 0.0,
) -> None:
    """Train a recipe on every fold, or without each source in turn, and pool the scores.

    Images of one lesion or patient stay together; the validation split is taken from the images that are not tested.
    """
    from lesionlens.core.recipe_file import load_recipe
    from lesionlens.experiments.execution import Options
    from lesionlens.experiments.grid import single

    kind = "leave one source out" if by_source else f"{folds} folds"
    grid = replace(
        single(load_recipe(recipe, overrides or ()), kind),
        seeds=tuple(range(seeds)),
        folds=0 if by_source else folds,
        sources=by_source,
        hours=hours,
        watts=watts,
    )
    place = Place(on, address, cpus_per_run, gpus_per_run)
    _run(grid, _image_source(data, source), out, Options(device, retry, audit), place, measure, dry, as_json)


def search(
    space: Annotated[str, typer.Argument(help="Grid or recipe, by name or path; the axes of a grid may be ranges.")],
    data: Data,
    out: Out,
    trials: Annotated[int, typer.Option(min=1, help="Number of trials, those of earlier calls included.")] = 20,
    base: Annotated[str, typer.Option(help="Another base recipe than the grid's, by name or path.")] = "",
    overrides: Set = None,
    hours: Annotated[float, typer.Option(min=0.0, help="Stop after so many hours; 0 sets no limit.")] = 0.0,
    source: Source = Layout.auto,
    device: DeviceOption = Device.auto,
    audit: Audit = True,
    as_json: Json = False,
    on: Where = On.here,
    address: Address = "",
    cpus_per_run: CpusPerRun = 0.0,
    gpus_per_run: GpusPerRun = 0.0,
) -> None:
    """Search settings on the validation split by successive halving; the test split is never predicted.

    Trials that do badly are stopped early; stopped at any moment, the same command resumes.
    """
    from lesionlens.experiments.execution import Options
    from lesionlens.experiments.space import load_space
    from lesionlens.experiments.study import Budget, search_text
    from lesionlens.experiments.study import search as search_space

    loaded = load_space(space, overrides or (), base)
    with Place(on, address, cpus_per_run, gpus_per_run).options(Options(device, audit=audit)) as options:
        content = search_space(loaded, _image_source(data, source), out, Budget(trials, hours), options, REPORTER)
    files = ", ".join(str(out / name) for name in ("search.json", "search.md", "best.toml") if (out / name).is_file())
    emit_text(content, as_json, f"{search_text(content)}\n\n{files}")


@dataclass(frozen=True)
class Place:
    """Where runs go on: here, or on a cluster; the fields are the options of the commands."""

    on: On
    address: str
    cpus: float
    gpus: float

    @contextmanager
    def options(self, options: Options) -> Iterator[Options]:
        """The options of an experiment whose runs go on there, while the block runs."""
        if self.on is On.here:
            yield options
            return
        from lesionlens.experiments.ray_launch import ray_launch

        with ray_launch(self.address, self.cpus, self.gpus, options.device, REPORTER) as launch:
            yield replace(options, launch=launch, at_once=lambda: launch.places)


def _run(
    grid: Grid, source: ImageSource, out: Path, options: Options, place: Place, measure: bool, dry: bool, as_json: bool
) -> None:
    from lesionlens.experiments.experiment import ablate as run_grid
    from lesionlens.experiments.experiment import planned

    if dry:
        _emit_plan(planned(grid, source, out), as_json)
        return
    with place.options(options) as placed:
        outcome = run_grid(grid, source, out, placed, measure, REPORTER)
    _emit_outcome(outcome, as_json)


def _image_source(data: str, layout: Layout) -> ImageSource:
    from lesionlens.pipeline.job import ImageSource

    return ImageSource(data_root(data), layout)


def _emit_plan(states: Sequence[State], as_json: bool) -> None:
    width = max(len(each.point.label) for each in states)
    text = "\n".join(f"{each.point.label:{width}}  {each.text}" for each in states)
    runs = [{"label": each.point.label, "state": each.state, "text": each.text} for each in states]
    emit_text({"runs": runs}, as_json, text)


def _emit_outcome(outcome: Outcome, as_json: bool) -> None:
    """Print the table; exit with 1 if a run failed or is left."""
    emit_text(outcome.table, as_json, outcome.text)
    if outcome.failed or outcome.left:
        REPORTER.note(f"{outcome.failed} runs failed, {outcome.left} are left")
        raise typer.Exit(1)
