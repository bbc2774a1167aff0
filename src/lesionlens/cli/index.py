"""The commands `index` and `pack`: a folder becomes a table of images, the table a file of pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import REPORTER, emit
from lesionlens.cli.options import (
    BenignOnly,
    Encoding,
    IndexArgument,
    Json,
    LabelMap,
    Layout,
    Malignant,
    Set,
    SkipUnlabelled,
    column,
    rules,
)


def index(
    root: Annotated[Path, typer.Argument(help="Folder of images, a CSV whose folder holds them, or an .npz of MedMNIST.")],
    out: Annotated[Path, typer.Option(help="Index to write.")] = Path("index.csv"),
    source: Annotated[Layout, typer.Option(help="Layout of the images.")] = Layout.auto,
    image_column: Annotated[str, column("the image's id, file name or path")] = "",
    dx_column: Annotated[str, column("the diagnosis")] = "",
    lesion_column: Annotated[str, column("the lesion's id")] = "",
    patient_column: Annotated[str, column("the patient's id")] = "",
    age_column: Annotated[str, column("the age in years")] = "",
    sex_column: Annotated[str, column("the sex")] = "",
    site_column: Annotated[str, column("the place on the body")] = "",
    mask_column: Annotated[str, column("the lesion mask")] = "",
    split_column: Annotated[str, column("train, validation or test")] = "",
    dx_type_column: Annotated[str, column("how the diagnosis was made (for subgroups only)")] = "",
    dataset_column: Annotated[str, column("the clinic or collection (for subgroups only)")] = "",
    malignant: Malignant = None,
    benign_only: BenignOnly = False,
    skip_unlabelled: SkipUnlabelled = False,
    label_map: LabelMap = None,
    encoding: Encoding = "",
    allow_missing: Annotated[bool, typer.Option("--allow-missing", help="Leave out listed images that are not there.")] = False,
    skip_broken: Annotated[bool, typer.Option("--skip-broken", help="Decode every image and leave out unusable ones.")] = False,
    as_json: Json = False,
) -> None:
    """List the images of a folder with diagnosis, lesion, patient, age, sex, site and mask."""
    from lesionlens.core.run import Run
    from lesionlens.pipeline.data_stages import index as make_index
    from lesionlens.pipeline.job import ImageSource

    columns = {
        "image": image_column,
        "dx": dx_column,
        "lesion": lesion_column,
        "patient": patient_column,
        "age": age_column,
        "sex": sex_column,
        "site": site_column,
        "mask": mask_column,
        "split": split_column,
        "dx_type": dx_type_column,
        "dataset": dataset_column,
    }
    stated = rules(malignant, benign_only, skip_unlabelled, label_map, encoding, allow_missing)
    images = ImageSource(root, source, columns, stated, skip_broken)
    emit(make_index(Run.at(out.parent, index=out), images, reporter=REPORTER), as_json)


def pack(
    index: IndexArgument = Path("index.csv"),
    out: Annotated[Path, typer.Option(help="Store to write, a folder.")] = Path("store"),
    recipe: Annotated[str, typer.Option(help="Recipe whose \\[input] says how; defaults if not given.")] = "",
    overrides: Set = None,
    workers: Annotated[int, typer.Option(help="Threads that decode; 0 means one for each core.", min=0, max=256)] = 0,
    skip_broken: Annotated[bool, typer.Option("--skip-broken", help="Leave unusable images out of the store.")] = False,
    as_json: Json = False,
) -> None:
    """Decode and scale all images of an index into one memory-mapped file."""
    from lesionlens.core.recipe_file import recipe_or_defaults
    from lesionlens.core.run import Run
    from lesionlens.pipeline.data_stages import pack as pack_images

    resolved = recipe_or_defaults(recipe, overrides or ())
    run = Run.at(out.parent, index=index, store=out)
    emit(pack_images(run, resolved, workers, skip_broken, REPORTER), as_json)
