"""The command `documents`: model card, reporting checklists and machine-readable cards of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import emit
from lesionlens.cli.options import Json

ENERGY = "Energy of the training, an estimate"


def documents(
    run: Annotated[Path, typer.Argument(help="Run folder with recipe, index, split, predictions and scores.")],
    stated: Annotated[
        Path | None,
        typer.Option(help="TOML with what only people know: funding, ethics, ...; stated.toml in the run folder if not given."),
    ] = None,
    data_licence: Annotated[str, typer.Option(help="Licence of the images, if not that of a known source.")] = "",
    watts: Annotated[float | None, typer.Option(help="Power of the machine while it trained, W.", rich_help_panel=ENERGY)] = None,
    grams_co2: Annotated[
        float | None, typer.Option(help="Carbon intensity of its electricity, g/kWh.", rich_help_panel=ENERGY)
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write; documents/ in the run folder if not given.")] = None,
    as_json: Json = False,
) -> None:
    """Write the documents of a run: model card, CLAIM, TRIPOD+AI and STARD-AI checklists, CHAI card, Croissant metadata.

    Every statement comes from an artifact of the run, or says why it is not available. The same run gives the same bytes.
    """
    from lesionlens.core.run import Run
    from lesionlens.pipeline.delivery_stages import documents as write_documents
    from lesionlens.reporting.documents.stated import read_stated, stated_of

    paths = Run.at(run, documents=out)
    known = read_stated(stated) if stated else stated_of(paths)
    emit(write_documents(paths, known.with_options(data_licence, watts, grams_co2)), as_json)
