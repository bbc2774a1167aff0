"""The command `run`: the whole road, from images to the report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lesionlens.cli.console import emit, note, progress_bar

SYNTHETIC = "synthetic"


def run(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe (see `lesionlens recipes`), or a TOML file.")],
    data: Annotated[str, typer.Option(help="Folder of images, a CSV that lists them, or: synthetic.")],
    folder: Annotated[Path, typer.Option("--run", help="Run folder; every artifact goes there.")] = Path("runs/run"),
    source: Annotated[str, typer.Option(help="auto, ham10000, isic, folder or table.")] = "auto",
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one key of the recipe; repeatable.")
    ] = None,
    start: Annotated[str, typer.Option("--from", metavar="STAGE", help="Make this stage and all behind it anew.")] = "",
    until: Annotated[str, typer.Option("--until", metavar="STAGE", help="Stop behind this stage.")] = "",
    dry: Annotated[bool, typer.Option("--plan", help="Only show what would be done.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Train from the first epoch, not where it stopped.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Walk the whole road: index, audit, split, augment, pack, train, evaluate, explain, export,
    compress, predict, report.

    Stages whose inputs did not change are skipped. Stopped at any moment, the same command goes on.
    """
    from lesionlens.core.artifact import read_json
    from lesionlens.core.recipe_file import load_recipe
    from lesionlens.pipeline.artifacts import BUNDLE, EXAMPLE, REPORT, SCORES
    from lesionlens.pipeline.execution import Journey, plan, travel
    from lesionlens.pipeline.stages import STAGES

    resolved = load_recipe(recipe, overrides or ())
    root = None if data == SYNTHETIC else Path(data).expanduser()
    anew = restart or start in ("train", *(stage.name for stage in STAGES[: [s.name for s in STAGES].index("train")]))
    journey = Journey(folder, resolved, root, source, note, progress_bar, anew)
    todo = plan(STAGES, journey, start, until)
    note(
        f"{resolved.name} in {folder}: "
        + ", ".join(f"{name} {'to do' if wanted else 'up to date'}" for name, wanted in todo.items())
    )
    result: dict[str, Any] = {
        "run": str(folder),
        "stages": {name: "to do" if wanted else "up to date" for name, wanted in todo.items()},
    }
    if not dry:
        for step in travel(STAGES, journey, todo):
            note(f"{step.name}: {step.text}" + (f" ({step.seconds:.1f} s)" if step.made else ""))
            result["stages"][step.name] = "made" if step.made else "up to date"
        if "evaluate" in todo:
            result["scores"] = read_json(journey.path(SCORES))
        if "predict" in todo:
            result["bundle"] = str(journey.path(BUNDLE))
            result["example"] = read_json(journey.path(EXAMPLE))
        if "report" in todo:
            result["report"] = str(journey.path(REPORT))
    emit(result, as_json, _closing(result, dry))


def _closing(result: dict[str, Any], dry: bool) -> str:
    if dry:
        return "\n".join(f"{name:9} {state}" for name, state in result["stages"].items())
    if "report" not in result:
        return f"{result['run']}: done until {list(result['stages'])[-1]}"
    metrics = result["scores"]["metrics"]
    shown = "\n".join(_metric(name, metrics[name]) for name in ("accuracy", "balanced_accuracy", "macro_f1", "macro_auc", "ece"))
    marks = " (LEAKING protocol)" if result["scores"]["leaks"] else ""
    made = "\n".join(f"{name + ':':8}{result[name]}" for name in ("bundle", "report"))
    return f"test split, 95 % intervals by lesion{marks}\n{shown}\n{made}"


def _metric(name: str, metric: dict[str, float | None]) -> str:
    value, low, high = (metric[key] for key in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return f"  {name:18} undefined"
    return f"  {name:18} {value:.3f}  ({low:.3f} to {high:.3f})"
