"""The commands `record export`, `retain`, `backup`, `index` and `create-key`, for the prediction log of `serve`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lesionlens.cli.console import emit_text

if TYPE_CHECKING:
    from lesionlens.serving.database_url import Place

record = typer.Typer(name="record", help="Export, copy or clean the prediction log of `serve`.", no_args_is_help=True)
LogPlace = Annotated[
    str | None, typer.Option("--record", help="Prediction log: file, or URL of a PostgreSQL database; the same as for serve.")
]
ImageFolder = Annotated[Path | None, typer.Option(help="Folder of kept images; beside the file of the log if not given.")]


def _place(text: str | None) -> Place:
    from lesionlens.serving.database_url import read_record
    from lesionlens.serving.settings import state_folder

    return read_record(text) if text else state_folder() / "record.sqlite"


@record.command()
def export(
    log: LogPlace = None,
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
    lines = json_export(_place(log)) if as_json else csv_export(_place(log), bom)
    if out is None:
        for line in lines:
            print(line, end="" if line.endswith("\n") else "\n")
        return
    with atomic_file(out, mode=0o600) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        stream.writelines(lines)


@record.command()
def retain(
    days: Annotated[int, typer.Option(help="Days to keep; older entries are deleted.")],
    log: LogPlace = None,
    image_folder: ImageFolder = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Delete predictions, reviews, refusals and kept images older than some days, and overwrite their bytes."""
    from lesionlens.serving.retention import retain as delete

    deleted = delete(_place(log), days, images=image_folder)
    counts = ", ".join(f"{count} {name}" for name, count in deleted._asdict().items())
    emit_text(deleted._asdict(), as_json, f"deleted {counts}")


@record.command()
def backup(
    out: Annotated[Path, typer.Option(help="File to write; a former copy is replaced once the new one is checked.")],
    log: LogPlace = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Copy the prediction log, beside a running server, into one file that only its owner may read."""
    from lesionlens.serving.backup import backup as copy

    size_bytes = copy(_place(log), out)
    emit_text({"out": str(out), "size_bytes": size_bytes}, as_json, f"copied {size_bytes / 1e6:.1f} MB to {out}")


@record.command()
def index(
    out: Annotated[Path, typer.Option(help="Folder for index.csv and the images that it names.")],
    log: LogPlace = None,
    image_folder: ImageFolder = None,
    image_key: Annotated[Path | None, typer.Option(help="Key file with which kept images were encrypted.")] = None,
    reviews: Annotated[
        bool, typer.Option("--reviews", help="Use the newest review of images without histology; dx_type tells them apart.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write kept images with histology as an index that `train` and `evaluate` read; images are decrypted there."""
    from lesionlens.serving.clinic_index import write_clinic_index
    from lesionlens.serving.image_key import read_key

    key = read_key(image_key) if image_key else None
    written = write_clinic_index(_place(log), out, key, reviews, image_folder)
    left_out = "".join(f"; left out {count}: {reason}" for reason, count in written.left_out.items())
    content = {"index": str(written.path), "images": written.images, "left_out": written.left_out}
    emit_text(content, as_json, f"wrote {written.images} images to {written.path}{left_out}")


@record.command("create-key")
def create_key(path: Annotated[Path, typer.Argument(help="File to write; kept apart from the images and their backup.")]) -> None:
    """Create the key for `serve --image-key`, which encrypts kept images."""
    from lesionlens.cli.console import note
    from lesionlens.serving.image_key import create_key as create

    create(path)
    note(f"wrote a key to {path}; keep a copy elsewhere: without it, images encrypted with it cannot be read again")
