"""The command `stress`: how far the predictions of a network hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import REPORTER, emit
from lesionlens.cli.options import (
    Device,
    DeviceOption,
    IndexOfRun,
    Json,
    SplitName,
    SplitOfRun,
    SplitOption,
    StoreOfRun,
)

COMPARED_WITH = "Compare with"


def stress(
    network: Annotated[Path, typer.Argument(help="Checkpoint of a run, such as run/train/best.safetensors, or a bundle.")],
    index: IndexOfRun = None,
    split_file: SplitOfRun = None,
    store: StoreOfRun = None,
    split: SplitOption = SplitName.test,
    images: Annotated[int, typer.Option(help="Corrupt about so many images, whole lesions drawn at random; 0 takes all.")] = 0,
    corruptions: Annotated[
        str, typer.Option(help="Corruptions, separated by commas; all of them if not given.", metavar="A,B")
    ] = "",
    readers: Annotated[
        Path | None, typer.Option(help="CSV with answers of human readers for these images.", rich_help_panel=COMPARED_WITH)
    ] = None,
    other: Annotated[
        list[Path] | None,
        typer.Option(help="predictions.npz of another seed, for the same split. Repeatable.", rich_help_panel=COMPARED_WITH),
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(help="robustness.json of another run on the same images.", rich_help_panel=COMPARED_WITH)
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Images in memory and in one pass.")] = 32,
    device: DeviceOption = Device.auto,
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples over lesions.")] = 2000,
    confidence: Annotated[float, typer.Option(help="Level of the intervals.")] = 0.95,
    seed: Annotated[int, typer.Option(help="Seed of lesions, of what is drawn on images, and of resamples.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="JSON file to write; assessment/robustness.json in the run folder if not given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Put a network under stress: repeated photographs, flips and rotations, corruptions at five strengths.

    The result also stands beside human readers, and lists hard images and labels in doubt.
    """
    from lesionlens.assessment.robustness.settings import StressSettings
    from lesionlens.assessment.robustness.stress import Comparisons
    from lesionlens.core.run import Run
    from lesionlens.pipeline.robustness_stages import stress as stress_network

    settings = StressSettings(
        split=split,
        images=images,
        corruptions=tuple(name.strip() for name in corruptions.split(",") if name.strip()),
        batch_size=batch_size,
        device=device,
        seed=seed,
        resamples=resamples,
        confidence=confidence,
    )
    paths = {"index": index, "split": split_file, "store": store, "robustness": out}
    run = Run.at(network.resolve().parent, **paths) if network.is_dir() else Run.of_checkpoint(network, **paths)
    result = stress_network(run, settings, network, Comparisons(tuple(other or ()), readers, reference), REPORTER)
    REPORTER.note(f"wrote {run.robustness}")
    emit(result, as_json)
