"""The commands `record export`, `record retain`, `record backup` and `record create-key`, for the prediction log of `serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import emit_text

record = typer.Typer(name="record", help="Export, copy or clean the prediction log of `serve`.", no_args_is_help=True)
LogFile = Annotated[Path | None, typer.Option("--record", help="SQLite file of the prediction log; the same as for serve.")]


def _file(path: Path | None) -> Path:
    from lesionlens.serving.settings import state_folder

    return path or state_folder() / "record.sqlite"


@record.command()
def export(
    path: LogFile = None,
    csv: Annotated[bool, typer.Option("--csv", help="Predictions with their newest review, as a table (the default).")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Predictions, reviews and refusals, one JSON object per line.")] = False,
    bom: Annotated[bool, typer.Option("--bom", help="Begin the CSV with a byte order mark, for Excel.")] = False,
    out: Annotated[Path | None, typer.Option(help="File to write; standard output if not given.")] = None,
) -> None:
    """Export the prediction log as CSV or JSON lines. Cells that a spreadsheet would take for formulas get an apostrophe."""
    from lesionlens.core.artifact import atomic_file
    from lesionlens.core.errors import RecipeError
    from lesionlens.serving.export import csv_export, json_export

    if csv and as_json:
        raise RecipeError("--csv and --json were both given; choose one")
    if bom and as_json:
        raise RecipeError("--bom is for CSV, and JSON has none (RFC 8259); leave it out")
    lines = json_export(_file(path)) if as_json else csv_export(_file(path), bom)
    if out is None:
        for line in lines:
            print(line, end="" if line.endswith("\n") else "\n")
        return
    with atomic_file(out, mode=0o600) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        stream.writelines(lines)


@record.command()
def retain(
    days: Annotated[int, typer.Option(help="Days to keep; older entries are deleted.")],
    path: LogFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Delete predictions, reviews, refusals and kept images older than some days, and overwrite their bytes."""
    from lesionlens.serving.retention import retain as delete

    deleted = delete(_file(path), days)
    counts = ", ".join(f"{count} {name}" for name, count in deleted._asdict().items())
    emit_text(deleted._asdict(), as_json, f"deleted {counts}")


@record.command()
def backup(
    out: Annotated[Path, typer.Option(help="File to write; a former copy is replaced once the new one is checked.")],
    path: LogFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Copy the prediction log, beside a running server, into one file that only its owner may read."""
    from lesionlens.serving.backup import backup as copy

    size_bytes = copy(_file(path), out)
    emit_text({"out": str(out), "size_bytes": size_bytes}, as_json, f"copied {size_bytes / 1e6:.1f} MB to {out}")


@record.command("create-key")
def create_key(path: Annotated[Path, typer.Argument(help="File to write; kept apart from the images and their backup.")]) -> None:
    """Create the key for `serve --image-key`, which encrypts kept images."""
    from lesionlens.cli.console import note
    from lesionlens.serving.image_key import create_key as create

    create(path)
    note(f"wrote a key to {path}; keep a copy elsewhere: without it, images encrypted with it cannot be read again")
