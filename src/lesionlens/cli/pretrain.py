"""The command `pretrain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import REPORTER, emit
from lesionlens.cli.options import (
    BenignOnly,
    Device,
    DeviceOption,
    Json,
    Layout,
    Malignant,
    Set,
    SkipUnlabelled,
    column,
    data_root,
    rules,
)


def pretrain(
    recipe: Annotated[str, typer.Argument(help="Name or path of a recipe; its [model], [input] and [pretraining] count.")],
    data: Annotated[str, typer.Option(help="Labelled images, of which the training split is seen: as of `lesionlens run`.")] = "",
    unlabelled: Annotated[
        Path | None, typer.Option(help="Further images without diagnoses: a folder, or a CSV (image_id, lesion_id).")
    ] = None,
    folder: Annotated[Path, typer.Option("--run", help="Run folder; weights go to its folder `pretrain`.")] = Path("runs/run"),
    source: Annotated[Layout, typer.Option(help="Layout of the labelled images.")] = Layout.auto,
    image_column: Annotated[str, column("the image's id, file name or path")] = "",
    dx_column: Annotated[str, column("the diagnosis")] = "",
    lesion_column: Annotated[str, column("the lesion's id")] = "",
    patient_column: Annotated[str, column("the patient's id")] = "",
    malignant: Malignant = None,
    benign_only: BenignOnly = False,
    skip_unlabelled: SkipUnlabelled = False,
    overrides: Set = None,
    device: DeviceOption = Device.auto,
    restart: Annotated[bool, typer.Option("--restart/--resume", help="Start again, or resume where it stopped.")] = False,
    as_json: Json = False,
) -> None:
    """Pretrain a network without diagnoses (SimSiam); stopped at any moment, the same command resumes.

    Only the training split and the unlabelled images are seen, never validation or test. `run` starts from the weights with
    --set model.weights=RUN/pretrain/backbone.safetensors.
    """
    from lesionlens.core.recipe_file import load_recipe
    from lesionlens.core.run import Run
    from lesionlens.pipeline.job import ImageSource, Job
    from lesionlens.pipeline.pretraining import labelled_images, pretrain_run
    from lesionlens.training.distributed import join_world

    columns = {"image": image_column, "dx": dx_column, "lesion": lesion_column, "patient": patient_column}
    given = {name: value for name, value in columns.items() if value}
    root = data_root(data) if data else None
    images = ImageSource(root, source, given, rules(malignant, benign_only, skip_unlabelled))
    job = Job(Run.at(folder), load_recipe(recipe, overrides or ()), images, REPORTER, restart)
    with join_world(device) as world:
        emit(pretrain_run(job, labelled_images(job) if data else None, unlabelled, world), as_json)
