"""The command `report`: a run folder becomes one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import emit


def report(
    run: Annotated[Path, typer.Argument(help="Run folder with recipe, index, split, predictions and scores.")],
    out: Annotated[Path | None, typer.Option(help="File to write; report.html in the run folder if not given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write a run's report: one HTML file that needs nothing else."""
    from lesionlens.reporting.formats import size_text
    from lesionlens.reporting.report import write_report

    written = write_report(run, out or run / "report.html")
    lines = [f"{written.path} ({size_text(written.size_bytes)})"]
    lines += [f"left out: {name}: {reason}" for name, reason in written.left_out.items()]
    result = {"report": str(written.path), "size_bytes": written.size_bytes, "left_out": written.left_out}
    emit(result, as_json, "\n".join(lines))
