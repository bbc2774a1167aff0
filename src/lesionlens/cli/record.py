"""The commands `record export` and `record retain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import emit_text

record = typer.Typer(
    name="record", help="Export the record of `serve`, and keep it no longer than allowed.", no_args_is_help=True
)
RecordFile = Annotated[Path | None, typer.Option("--record", help="The record; the same as for serve.")]


def _file(path: Path | None) -> Path:
    from lesionlens.serving.settings import state_folder

    return path or state_folder() / "record.sqlite"


@record.command()
def export(
    path: RecordFile = None,
    csv: Annotated[bool, typer.Option("--csv", help="Answers with their newest review, as a table (the default).")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Answers, reviews and refusals, one JSON object a line.")] = False,
    out: Annotated[Path | None, typer.Option(help="File to write; standard output if not given.")] = None,
) -> None:
    """Write the record as CSV or JSON lines. Cells that a spreadsheet would take for formulas get an apostrophe."""
    from lesionlens.core.artifact import atomic_file
    from lesionlens.core.errors import RecipeError
    from lesionlens.serving.export_record import csv_export, json_export

    if csv and as_json:
        raise RecipeError("--csv and --json were both given; choose one")
    lines = json_export(_file(path)) if as_json else csv_export(_file(path))
    if out is None:
        for line in lines:
            print(line, end="" if line.endswith("\n") else "\n")
        return
    with atomic_file(out, mode=0o600) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        stream.writelines(lines)


@record.command()
def retain(
    days: Annotated[int, typer.Option(help="Days that are kept; what is older is deleted.")],
    path: RecordFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Delete answers, reviews, refusals and kept images that are older than some days; deleted bytes are overwritten."""
    from lesionlens.serving.retention import retain as delete

    found = delete(_file(path), days)
    text = f"deleted {found.answers} answers, {found.reviews} reviews, {found.refusals} refusals, {found.images} images"
    emit_text(found._asdict(), as_json, text)
