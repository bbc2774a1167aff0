"""The command `split`: split the images of an index into train, validation and test."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import REPORTER, emit
from lesionlens.cli.options import IndexArgument, Json, Pairs

PROTOCOLS = ("lesion", "lesion-kfold", "source", "paper", "official")


def split(
    index: IndexArgument = Path("index.csv"),
    protocol: Annotated[
        str,
        typer.Option(
            help=f"How to split: {', '.join(PROTOCOLS)}; `paper` leaks lesions.", autocompletion=lambda: list(PROTOCOLS)
        ),
    ] = "lesion",
    seed: Annotated[int, typer.Option(help="Seed of the split.", min=0)] = 0,
    validation: Annotated[float, typer.Option(help="Share of the validation split.")] = 0.1,
    test: Annotated[float, typer.Option(help="Share of the test split (lesion).")] = 0.2,
    folds: Annotated[int, typer.Option(help="Number of folds (lesion-kfold).")] = 5,
    fold: Annotated[int, typer.Option(help="Which fold is the test split, from 0 (lesion-kfold).")] = 0,
    test_source: Annotated[str, typer.Option(help="The source that is the test split, a value of the column `dataset`.")] = "",
    pairs: Pairs = None,
    unite_all: Annotated[
        bool, typer.Option("--unite-all", help="Unite every certain pair, even where a data set's groups are fixed (HAM10000).")
    ] = False,
    out: Annotated[Path, typer.Option(help="Split to write.")] = Path("split.json"),
    as_json: Json = False,
) -> None:
    """Split an index into train, validation and test, keeping images of one lesion or patient together."""
    from lesionlens.core.recipe_file import recipe_from
    from lesionlens.core.run import Run
    from lesionlens.pipeline.data_stages import split as split_images

    settings = {"protocol": protocol, "seed": seed, "validation": validation, "test": test, "folds": folds, "fold": fold}
    settings["test_source"] = test_source
    recipe = recipe_from({"split": settings}, where="options").split
    emit(split_images(Run.at(out.parent, index=index, split=out), recipe, tuple(pairs or ()), REPORTER, unite_all), as_json)
