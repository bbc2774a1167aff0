"""The command `report`: a run folder becomes one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import emit
from lesionlens.cli.options import Json


def report(
    run: Annotated[Path, typer.Argument(help="Run folder with recipe, index, split, predictions and scores.")],
    out: Annotated[Path | None, typer.Option(help="File to write; report.html in the run folder if not given.")] = None,
    as_json: Json = False,
) -> None:
    """Write a run's report: one HTML file that needs nothing else."""
    from lesionlens.core.run import Run
    from lesionlens.pipeline.delivery_stages import report as write_report

    emit(write_report(Run.at(run, report=out)), as_json)
