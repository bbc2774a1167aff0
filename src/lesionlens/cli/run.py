"""The command `run`: the whole pipeline, from images to the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lesionlens.cli.console import REPORTER, emit_text
from lesionlens.cli.options import (
    BenignOnly,
    Encoding,
    Json,
    LabelMap,
    Layout,
    Malignant,
    Set,
    SkipUnlabelled,
    column,
    data_root,
    rules,
)

if TYPE_CHECKING:
    from lesionlens.pipeline.job import Job

HEADLINE = ("accuracy", "balanced_accuracy", "macro_f1", "macro_auc", "ece")


def run(
    recipe: Annotated[str, typer.Argument(help="Name or path of a recipe.")],
    data: Annotated[str, typer.Option(help="Folder of images, a CSV that lists them, or `synthetic`.")],
    folder: Annotated[Path, typer.Option("--run", help="Run folder; every artifact goes there.")] = Path("runs/run"),
    source: Annotated[Layout, typer.Option(help="Layout of the images.")] = Layout.auto,
    image_column: Annotated[str, column("the image's id, file name or path")] = "",
    dx_column: Annotated[str, column("the diagnosis")] = "",
    lesion_column: Annotated[str, column("the lesion's id")] = "",
    patient_column: Annotated[str, column("the patient's id")] = "",
    malignant: Malignant = None,
    benign_only: BenignOnly = False,
    skip_unlabelled: SkipUnlabelled = False,
    label_map: LabelMap = None,
    encoding: Encoding = "",
    overrides: Set = None,
    start: Annotated[str, typer.Option("--from", metavar="STAGE", help="Run this stage and all after it again.")] = "",
    until: Annotated[str, typer.Option("--until", metavar="STAGE", help="Stop after this stage.")] = "",
    skip: Annotated[str, typer.Option("--skip", metavar="STAGES", help="Leave stages out, such as explain,compress.")] = "",
    dry: Annotated[bool, typer.Option("--plan", help="Only show what would run.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Train from scratch, not from where it stopped.")] = False,
    as_json: Json = False,
) -> None:
    """Run the whole pipeline, from images to a report.

    Stages: index, audit, split, augment, pack, train, evaluate, assess, explain, export, compress, predict, report, documents.
    Stages whose inputs did not change are skipped; stopped at any moment, the same command resumes.
    """
    from lesionlens.core.recipe_file import load_recipe
    from lesionlens.core.run import Run
    from lesionlens.pipeline.execution import execute, plan
    from lesionlens.pipeline.job import ImageSource, Job
    from lesionlens.pipeline.preflight import check_images, check_stages
    from lesionlens.pipeline.stages import STAGES

    root = data_root(data)
    resolved = load_recipe(recipe, overrides or ())
    columns = {"image": image_column, "dx": dx_column, "lesion": lesion_column, "patient": patient_column}
    given = {name: value for name, value in columns.items() if value}
    stated = rules(malignant, benign_only, skip_unlabelled, label_map, encoding)
    images = ImageSource(root, source, given, stated)
    names = [stage.name for stage in STAGES]
    from_scratch = restart or start in names[: names.index("train") + 1]
    job = Job(Run.at(folder), resolved, images, REPORTER, from_scratch)
    todo = plan(STAGES, job, start, until, [name.strip() for name in skip.split(",") if name.strip()])
    states = {name: "to do" if stale else "up to date" for name, stale in todo.items()}
    REPORTER.note(f"{resolved.name} in {folder}: " + ", ".join(f"{name} {state}" for name, state in states.items()))
    result: dict[str, Any] = {"run": str(folder), "stages": states}
    check_stages(resolved, todo, resume=job.run.last.exists() and not from_scratch)
    if dry and todo.get("index"):
        check_images(images, resolved)
    if not dry:
        for step in execute(STAGES, job, todo):
            REPORTER.note(f"{step.name}: {step.text}" + (f" ({step.seconds:.1f} s)" if step.made else ""))
            states[step.name] = "made" if step.made else "up to date"
        result |= _outputs(job, todo)
    emit_text(result, as_json, _summary(result, dry))


def _outputs(job: Job, todo: dict[str, bool]) -> dict[str, Any]:
    from lesionlens.core.artifact import read_json

    outputs: dict[str, Any] = {}
    if "evaluate" in todo:
        outputs["scores"] = read_json(job.run.scores)
    if "predict" in todo:
        outputs |= {"bundle": str(job.run.bundle), "example": read_json(job.run.example)}
    if "report" in todo:
        outputs["report"] = str(job.run.report)
    if "documents" in todo:
        outputs["documents"] = str(job.run.documents)
    return outputs


def _summary(result: dict[str, Any], dry: bool) -> str:
    if dry:
        return "\n".join(f"{name:9} {state}" for name, state in result["stages"].items())
    if "report" not in result or "scores" not in result:
        return f"{result['run']}: done until {list(result['stages'])[-1]}"
    metrics = result["scores"]["metrics"]
    shown = "\n".join(_metric(name, metrics[name]) for name in HEADLINE)
    marks = " (LEAKING protocol)" if result["scores"]["leaks"] else ""
    made = "\n".join(f"{name + ':':11}{result[name]}" for name in ("bundle", "report", "documents") if name in result)
    return f"test split, 95 % intervals by lesion{marks}\n{shown}\n{made}"


def _metric(name: str, metric: dict[str, Any]) -> str:
    value, low, high = (metric[key] for key in ("value", "low", "high"))
    if value is None:
        return f"  {name:18} undefined"
    if low is None or high is None:
        return f"  {name:18} {value:.3f}  (no interval: {metric.get('reason', 'not defined')})"
    return f"  {name:18} {value:.3f}  ({low:.3f} to {high:.3f})"
