"""The command `explain`: where a network looks, and how faithful its heat maps are."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import REPORTER, emit
from lesionlens.cli.options import (
    Checkpoint,
    Device,
    DeviceOption,
    IndexOfRun,
    Json,
    SplitName,
    SplitOfRun,
    SplitOption,
    StoreOfRun,
)


class Method(StrEnum):
    """How heat maps are made."""

    auto = "auto"
    grad_cam = "grad-cam"
    integrated_gradients = "integrated-gradients"
    occlusion = "occlusion"


def explain(
    checkpoint: Checkpoint,
    index: IndexOfRun = None,
    split_file: SplitOfRun = None,
    store: StoreOfRun = None,
    split: SplitOption = SplitName.test,
    method: Annotated[Method, typer.Option(help="How heat maps are made.")] = Method.auto,
    limit: Annotated[int, typer.Option(help="Images to explain, drawn by seed; 0: all (occlusion: recipe).", min=0)] = 0,
    masks: Annotated[bool, typer.Option("--masks/--no-masks", help="Compare the maps with lesion masks.")] = True,
    random_networks: Annotated[int, typer.Option(help="Networks with random weights to compare with.", min=0)] = 3,
    curve_images: Annotated[int, typer.Option(help="Images with deletion and insertion curves.", min=0)] = 200,
    curve_steps: Annotated[int, typer.Option(help="Steps of each curve.", min=1)] = 30,
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples; 0 takes the recipe's.")] = 0,
    batch_size: Annotated[int, typer.Option(help="Most images in the network at once; bounds the memory.", min=1)] = 32,
    cases: Annotated[int, typer.Option(help="Cases on each side of the gallery.", min=0)] = 4,
    device: DeviceOption = Device.auto,
    seed: Annotated[int, typer.Option(help="Seed of images, orders, random weights and cases.", min=0)] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder to write; explain/ in the run folder if not given.")] = None,
    as_json: Json = False,
) -> None:
    """Draw heat maps of one split, and measure how faithful they are: masks, deletion, insertion, controls."""
    from lesionlens.core.run import Run
    from lesionlens.explanation.settings import ExplainSettings
    from lesionlens.pipeline.model_stages import explain as explain_checkpoint

    settings = ExplainSettings(
        split=split,
        method=method,
        limit=limit,
        masks=masks,
        random_networks=random_networks,
        curve_images=curve_images,
        curve_steps=curve_steps,
        resamples=resamples,
        images_per_pass=batch_size,
        cases=cases,
        device=device,
        seed=seed,
    )
    run = Run.of_checkpoint(checkpoint, index=index, split=split_file, store=store, explanation=out)
    result = explain_checkpoint(run, settings, checkpoint, REPORTER)
    REPORTER.note(f"wrote maps.npz, faithfulness.json and gallery.png into {run.explanation}")
    emit(result, as_json)
