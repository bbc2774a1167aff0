"""Options that several commands share, so that one thing has one name and one help text."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lesionlens.data.sources.rules import Rules


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
    isic2020 = "isic2020"
    isic_archive = "isic-archive"
    ph2 = "ph2"
    derm7pt = "derm7pt"
    folder = "folder"
    table = "table"
    medmnist = "medmnist"
    made_index = "index"


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


class On(StrEnum):
    """Where the work is done."""

    here = "here"
    ray = "ray"


class GuaranteeName(StrEnum):
    """What a threshold promises about the sensitivity."""

    expectation = "expectation"
    pac = "pac"


SYNTHETIC = "synthetic"
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
CLUSTER_PANEL = "On a Ray cluster"
Where = Annotated[
    On, typer.Option("--on", help="Do the work here, or spread it over a Ray cluster.", rich_help_panel=CLUSTER_PANEL)
]
Address = Annotated[
    str,
    typer.Option(
        help="HOST:PORT of the cluster's head node, or auto; else RAY_ADDRESS, or this machine alone.",
        rich_help_panel=CLUSTER_PANEL,
        show_default=False,
    ),
]
DeviceOption = Annotated[Device, typer.Option(help="Where the network runs.")]
RuntimeOption = Annotated[Runtime, typer.Option(help="What runs the bundle; auto: the fastest as measured here, or OpenVINO.")]
VariantOption = Annotated[str, typer.Option(help="Variant of the bundle; auto: the fastest as measured here, or its default.")]
TuneOption = Annotated[bool, typer.Option("--tune/--no-tune", help="Measure first what is fastest here, unless it is known.")]
GuaranteeOption = Annotated[
    GuaranteeName,
    typer.Option(help="Reach the sensitivity on average over validation splits, or (pac) in all but a share --delta of them."),
]
DeltaOption = Annotated[float, typer.Option(help="Share of validation splits in which the guarantee pac may fail.")]
IndexArgument = Annotated[Path, typer.Argument(help="index.csv written by `lesionlens index`.")]
Pairs = Annotated[list[Path] | None, typer.Option(help="audit.json or CSV with images of one lesion under two ids. Repeatable.")]


LABELS_PANEL = "Labels"
Malignant = Annotated[
    list[str] | None,
    typer.Option(help="Malignant labels of your own (A,B); the others are benign. Repeatable.", rich_help_panel=LABELS_PANEL),
]
BenignOnly = Annotated[
    bool, typer.Option("--benign-only", help="State that no label of your own is malignant.", rich_help_panel=LABELS_PANEL)
]
SkipUnlabelled = Annotated[
    bool, typer.Option("--skip-unlabelled", help="Leave out images without a diagnosis.", rich_help_panel=LABELS_PANEL)
]
LabelMap = Annotated[
    Path | None,
    typer.Option("--map", help="CSV (from, to) or TOML that renames labels.", rich_help_panel=LABELS_PANEL),
]
Encoding = Annotated[str, typer.Option(help="Encoding of the tables, such as latin-1; UTF-8 if not given.")]


def rules(
    malignant: list[str] | None = None,
    benign_only: bool = False,
    skip_unlabelled: bool = False,
    label_map: Path | None = None,
    encoding: str = "",
    allow_missing: bool = False,
) -> Rules:
    """What the options say about missing images and labels."""
    from lesionlens.data.sources.rules import Rules, read_label_map

    return Rules(
        missing="drop" if allow_missing else "error",
        malignant=tuple(name.strip() for names in malignant or () for name in names.split(",") if name.strip()),
        benign_only=benign_only,
        skip_unlabelled=skip_unlabelled,
        label_map=read_label_map(label_map) if label_map else {},
        encoding=encoding,
    )


def data_root(data: str) -> Path | None:
    """Where the images of `--data` are; None for the embedded synthetic ones.

    Raises:
        DataError: if it is empty.
    """
    from lesionlens.core.errors import DataError

    if not data.strip():
        raise DataError("--data is empty; give a folder of images, a CSV that lists them, or: --data synthetic")
    return None if data == SYNTHETIC else Path(data).expanduser()


def column(what: str) -> typer.models.OptionInfo:
    """An option that names a column of a user's own table."""
    return typer.Option(help=f"Column with {what}.", rich_help_panel="Columns of your own table")  # type: ignore[no-any-return]
