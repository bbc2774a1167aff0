"""The commands `index` and `pack`: a folder becomes a table of images, the table a file of pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import emit, note, progress_bar

COLUMNS_PANEL = "Columns of your own table"


def _column(what: str) -> typer.models.OptionInfo:
    return typer.Option(help=f"Column with {what}.", rich_help_panel=COLUMNS_PANEL)  # type: ignore[no-any-return]


def index(
    root: Annotated[Path, typer.Argument(help="Folder with the images, or a CSV whose folder holds them.")],
    out: Annotated[Path, typer.Option(help="Index to write.")] = Path("index.csv"),
    source: Annotated[str, typer.Option(help="auto, ham10000, isic, folder or table.")] = "auto",
    image_column: Annotated[str, _column("the image's id, file name or path")] = "",
    dx_column: Annotated[str, _column("the diagnosis")] = "",
    lesion_column: Annotated[str, _column("the lesion's id")] = "",
    age_column: Annotated[str, _column("the age in years")] = "",
    sex_column: Annotated[str, _column("the sex")] = "",
    site_column: Annotated[str, _column("the place on the body")] = "",
    mask_column: Annotated[str, _column("the lesion mask")] = "",
    part_column: Annotated[str, _column("training, validation or test")] = "",
    malignant: Annotated[list[str] | None, typer.Option(help="A diagnosis of your own that is malignant; repeatable.")] = None,
    allow_missing: Annotated[bool, typer.Option("--allow-missing", help="Leave out listed images that are not there.")] = False,
    skip_broken: Annotated[bool, typer.Option("--skip-broken", help="Decode all images; leave out unusable ones.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List the images of a folder: diagnosis, lesion, age, sex, site, mask."""
    from lesionlens.data.audit.broken import find_broken, without_broken
    from lesionlens.data.index import write_index
    from lesionlens.data.sources.source import read_source

    columns = {
        "image": image_column,
        "dx": dx_column,
        "lesion": lesion_column,
        "age": age_column,
        "sex": sex_column,
        "site": site_column,
        "mask": mask_column,
        "split": part_column,
    }
    made = read_source(root, source, "drop" if allow_missing else "error", malignant or (), **columns)
    if skip_broken:
        with progress_bar("Checking images", len(made)) as advance:
            made = without_broken(made, find_broken(made, progress=advance))
    write_index(made, out)
    for text in made.notes:
        note(text)
    facts = made.summary()
    counts = ", ".join(f"{code} {count}" for code, count in facts["by_dx"].items())
    emit(
        {"index": str(out), **facts},
        as_json,
        f"{out}: {facts['images']} images of {facts['lesions']} lesions ({made.source}); {counts}; {facts['masks']} masks",
    )


def pack(
    index: Annotated[Path, typer.Argument(help="index.csv, as `lesionlens index` wrote it.")] = Path("index.csv"),
    out: Annotated[Path, typer.Option(help="Store to write, a folder.")] = Path("store"),
    recipe: Annotated[
        str | None, typer.Option(help="Recipe (name or file) whose section [input] says how; its defaults if not given.")
    ] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="Such as input.size=128; repeatable.")] = None,
    workers: Annotated[int, typer.Option(help="Threads; 0 means one for each core.", min=0, max=256)] = 0,
    skip_broken: Annotated[bool, typer.Option("--skip-broken", help="Leave unusable images out of the store.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Decode and scale all images of an index into one memory-mapped file."""
    from lesionlens.core.recipe_file import load_recipe, recipe_from
    from lesionlens.data.image import frame_spec
    from lesionlens.data.index import read_index
    from lesionlens.data.store import pack as pack_images

    known = read_index(index)
    chosen = load_recipe(recipe, overrides or ()) if recipe else recipe_from({}, overrides or ())
    with progress_bar("Packing", len(known)) as advance:
        store = pack_images(known, frame_spec(chosen.input), out, None, workers, advance, skip_broken)
    for reason in store.dropped.values():
        note(f"left out: {reason}")
    facts = {
        "store": str(out),
        "images": len(store),
        "dropped": len(store.dropped),
        "frame": store.images.shape[1],
        "size_bytes": store.images.nbytes,
        "hash": store.hash,
    }
    side, size_mb = store.images.shape[1], store.images.nbytes / 1e6
    emit(facts, as_json, f"{out}: {len(store)} images of {side}x{side} pixels, {size_mb:.0f} MB")
