"""The command `train`."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lesionlens.cli.console import emit, note, progress_bar

if TYPE_CHECKING:
    from lesionlens.core.recipe import Recipe
    from lesionlens.training.distributed import World
    from lesionlens.training.run import Inputs


def train(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe (see `lesionlens recipes`), or a TOML file.")],
    index: Annotated[Path, typer.Option(help="index.csv that `index` made.")],
    split: Annotated[Path, typer.Option(help="split.json that `split` made.")],
    plan: Annotated[Path, typer.Option(help="plan.csv that `augment` made.")],
    store: Annotated[Path, typer.Option(help="The folder that `pack` made.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoints and history.")] = Path("train"),
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one key of the recipe.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    restart: Annotated[
        bool, typer.Option("--restart/--resume", help="Begin anew, or go on where --out stopped (the default).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train a network; stopped at any moment, the same command goes on where it was."""
    from lesionlens.augment.offline import read_plan
    from lesionlens.core.recipe_file import load_recipe
    from lesionlens.data.index import read_index
    from lesionlens.data.split import read_split
    from lesionlens.data.store import Store
    from lesionlens.training.distributed import join_world
    from lesionlens.training.run import Inputs

    resolved = load_recipe(recipe, overrides or ())
    images = read_index(index)
    parts = read_split(split, images)
    inputs = Inputs(images, parts, read_plan(plan, parts), Store.open(store))
    with join_world(device) as world:
        result = train_and_tell(inputs, resolved, out, world, restart)
        if world.writes:
            emit(result, as_json, text_of(result))


def train_and_tell(inputs: Inputs, recipe: Recipe, out: Path, world: World, restart: bool = False) -> dict[str, Any]:
    """Train with a progress bar and a line an epoch; gives the JSON-ready result of the command."""
    from lesionlens.evaluation.validate import validator
    from lesionlens.training.history import read_history
    from lesionlens.training.run import BEST_FILE, HISTORY_FILE, LAST_FILE, train_run

    done = 0 if restart or not (out / LAST_FILE).exists() else len(read_history(out / HISTORY_FILE))
    if done and world.writes:
        note(f"going on after epoch {done} of {out / LAST_FILE}")
    left = (recipe.training.epochs - done) * len(inputs.plan)
    with progress_bar("training", left) if world.writes else nullcontext() as advance:
        epochs = train_run(inputs, recipe, out, validator(inputs), world=world, restart=restart, progress=advance)
        for epoch in epochs:
            if world.writes:
                note(epoch.line(recipe.training.epochs))
    return _result(out / BEST_FILE, out / LAST_FILE, out / HISTORY_FILE, recipe)


def _result(best: Path, last: Path, history: Path, recipe: Recipe) -> dict[str, Any]:
    from lesionlens.training.history import best_epoch, read_history

    epochs = read_history(history)
    chosen = best_epoch(epochs, recipe.training.monitor)
    paths = {"best": str(best), "last": str(last), "history": str(history)}
    return {"epochs": len(epochs), "best_epoch": chosen.to_json() if chosen else None, **paths}


def text_of(result: dict[str, Any]) -> str:
    """The result of training in one line, for people."""
    chosen = result["best_epoch"]
    metrics = ", ".join(f"{name} {value:.4f}" for name, value in chosen["validation"].items() if value is not None)
    return f"trained {result['epochs']} epochs; best is epoch {chosen['epoch']} (validation {metrics}): {result['best']}"
