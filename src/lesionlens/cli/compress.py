"""The command `compress`: smaller and faster variants of a trained network, in one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import REPORTER, emit
from lesionlens.cli.options import Checkpoint, IndexOfRun, Json, PlanOfRun, SplitOfRun, StoreOfRun


def compress(
    checkpoint: Checkpoint,
    bundle: Annotated[Path | None, typer.Option(help="Its bundle; bundle/ in the run folder if not given.")] = None,
    index: IndexOfRun = None,
    split_file: SplitOfRun = None,
    store: StoreOfRun = None,
    plan: PlanOfRun = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a key: compression.variants=int8,channel-pruned. Repeatable."),
    ] = None,
    rounds: Annotated[int, typer.Option(help="Timed calls of each variant; 0 measures no time.", min=0)] = 20,
    threads: Annotated[int, typer.Option(help="Threads while time is measured; 0 leaves it to the runtime.", min=0)] = 0,
    batch_size: Annotated[int, typer.Option(help="Images in one pass while predicting.", min=1)] = 32,
    compared_images: Annotated[int, typer.Option(help="Real images on which graphs are compared with torch.", min=1)] = 32,
    out: Annotated[Path | None, typer.Option(help="Folder to write; compress/ in the run folder if not given.")] = None,
    as_json: Json = False,
) -> None:
    """Make smaller and faster variants of a network, compare them side by side, and add them to its bundle."""
    from lesionlens.compression.source import CompressionSettings, compression_recipe
    from lesionlens.core.errors import ModelError
    from lesionlens.core.run import Run
    from lesionlens.pipeline.delivery_stages import compress as compress_checkpoint

    settings = CompressionSettings(rounds=rounds, threads=threads, batch_size=batch_size, compared_images=compared_images)
    recipe = compression_recipe(checkpoint, overrides or ())
    paths = {"index": index, "split": split_file, "store": store, "plan": plan, "bundle": bundle, "compression": out}
    run = Run.of_checkpoint(checkpoint, **paths)
    result = compress_checkpoint(run, recipe, settings, checkpoint, REPORTER)
    REPORTER.note(f"wrote compression.json and compression.txt into {run.compression}")
    emit(result, as_json)
    failed = [row["variant"] for row in result.content["rows"] if row.get("failed")]
    if failed:
        raise ModelError(
            f"{', '.join(failed)} left out, the table says why; try other settings of [compression]. The rest is done"
        )
