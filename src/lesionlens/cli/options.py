"""Options that several commands share, so that one thing has one name and one help text."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class SplitName(StrEnum):
    """Which images of a data set."""

    train = "train"
    validation = "validation"
    test = "test"


class Layout(StrEnum):
    """How a collection of images is laid out."""

    auto = "auto"
    ham10000 = "ham10000"
    isic = "isic"
    folder = "folder"
    table = "table"


class Device(StrEnum):
    """Where a network runs."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Runtime(StrEnum):
    """What runs a bundle."""

    auto = "auto"
    openvino = "openvino"
    onnxruntime = "onnxruntime"


RUN_DEFAULT = "the run folder's if not given"
ArtifactPath = Path | None
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one key of the recipe. Repeatable.")]
Checkpoint = Annotated[Path, typer.Argument(help="Checkpoint of a run, such as run/train/best.safetensors.")]
IndexOfRun = Annotated[ArtifactPath, typer.Option("--index", help=f"index.csv; {RUN_DEFAULT}.")]
SplitOfRun = Annotated[
    ArtifactPath, typer.Option("--split-file", help=f"split.json that the checkpoint was trained with; {RUN_DEFAULT}.")
]
StoreOfRun = Annotated[ArtifactPath, typer.Option("--store", help=f"Packed images; {RUN_DEFAULT}.")]
PlanOfRun = Annotated[ArtifactPath, typer.Option("--plan", help=f"plan.csv; {RUN_DEFAULT}.")]
SplitOption = Annotated[SplitName, typer.Option("--split", help="Images to process.")]
DeviceOption = Annotated[Device, typer.Option(help="Where the network runs.")]
IndexArgument = Annotated[Path, typer.Argument(help="index.csv written by `lesionlens index`.")]
Pairs = Annotated[list[Path] | None, typer.Option(help="audit.json or CSV with images of one lesion under two ids. Repeatable.")]


def column(what: str) -> typer.models.OptionInfo:
    """An option that names a column of a user's own table."""
    return typer.Option(help=f"Column with {what}.", rich_help_panel="Columns of your own table")  # type: ignore[no-any-return]
