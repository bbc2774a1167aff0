"""The command `compress`: smaller and faster forms of a trained network, in one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import emit, note, progress_bar


def compress(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of a run, for example run/train/best.safetensors.")],
    bundle: Annotated[Path | None, typer.Option(help="Its bundle; bundle/ in the run folder if not given.")] = None,
    index: Annotated[Path | None, typer.Option(help="index.csv; the one in the run folder if not given.")] = None,
    split: Annotated[Path | None, typer.Option(help="split.json that the checkpoint was trained with; likewise.")] = None,
    store: Annotated[Path | None, typer.Option(help="Packed images; likewise.")] = None,
    plan: Annotated[
        Path | None, typer.Option(help="plan.csv, which channel-pruned and distilled are trained on; likewise.")
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change a value: compression.variants=int8,channel-pruned; may be repeated.")
    ] = None,
    rounds: Annotated[int, typer.Option(help="Timed calls of each variant; 0 measures no time.", min=0)] = 20,
    threads: Annotated[int, typer.Option(help="Of computation while time is measured; 0: each runtime's choice.", min=0)] = 0,
    batch_size: Annotated[int, typer.Option(help="Images in one pass while predicting.", min=1)] = 32,
    compared_images: Annotated[int, typer.Option(help="Real images on which graphs are compared with torch.", min=1)] = 32,
    out: Annotated[Path | None, typer.Option(help="Folder to write; compress/ in the run folder if not given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make smaller and faster variants of a network, measure them side by side, and add them to its bundle."""
    from lesionlens.augment.offline import read_plan
    from lesionlens.compression.compress import compress as compress_network
    from lesionlens.compression.source import CompressionSettings, Listener, compression_recipe, open_source, trained_variants
    from lesionlens.compression.table import text
    from lesionlens.core.errors import ModelError
    from lesionlens.data.index import read_index
    from lesionlens.data.split import read_split
    from lesionlens.data.store import Store
    from lesionlens.export.export import Material

    settings = CompressionSettings(rounds=rounds, threads=threads, batch_size=batch_size, compared_images=compared_images)
    recipe = compression_recipe(checkpoint, changes or ())
    run = checkpoint.resolve().parent.parent
    known = read_index(index or run / "index.csv")
    parts = read_split(split or run / "split.json", known)
    material = Material(known, parts, Store.open(store or run / "store"))
    fed = read_plan(plan or run / "plan.csv", parts) if trained_variants(recipe) else None
    folder = out or run / "compress"
    listener = Listener(note, progress_bar)
    source = open_source(checkpoint, material, bundle or run / "bundle", folder, recipe, settings, fed, listener)
    content = compress_network(source)
    note(f"wrote compression.json and compression.txt into {folder}")
    emit(content, as_json, text(content))
    failed = [row["variant"] for row in content["rows"] if row.get("failed")]
    if failed:
        raise ModelError(
            f"{', '.join(failed)} left out, the table says why; try other settings of [compression]. The rest is made"
        )
