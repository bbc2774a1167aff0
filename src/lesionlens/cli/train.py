"""The command `train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import REPORTER, emit
from lesionlens.cli.options import IndexOfRun, Json, PlanOfRun, Set, StoreOfRun


def train(
    recipe: Annotated[str, typer.Argument(help="Name or path of a recipe.")],
    index: IndexOfRun = None,
    split: Annotated[Path | None, typer.Option("--split-file", help="split.json; the run folder's if not given.")] = None,
    plan: PlanOfRun = None,
    store: StoreOfRun = None,
    out: Annotated[Path, typer.Option(help="Folder for checkpoints and history, in the run folder.")] = Path("train"),
    overrides: Set = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    restart: Annotated[
        bool, typer.Option("--restart/--resume", help="Train from scratch, or resume where --out stopped.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train a network; stopped at any moment, the same command resumes."""
    from lesionlens.core.recipe_file import load_recipe
    from lesionlens.core.run import Run
    from lesionlens.pipeline.model_stages import train as train_network
    from lesionlens.training.distributed import join_world

    resolved = load_recipe(recipe, overrides or ())
    run = Run.at(out.parent, index=index, split=split, plan=plan, store=store, training=out)
    with join_world(device) as world:
        result = train_network(run, resolved, world, restart, REPORTER)
        if world.writes:
            emit(result, as_json)
