"""The command `benchmark`: how fast and how large bundles are on this machine."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.bundles import INSTALLED, bundle_or_installed
from lesionlens.cli.console import emit_text, note, progress_bar
from lesionlens.cli.options import Json


class Runtimes(StrEnum):
    """What runs a bundle, or all of it."""

    all = "all"
    openvino = "openvino"
    onnxruntime = "onnxruntime"


def benchmark(
    bundles: Annotated[
        list[Path] | None,
        typer.Argument(help=f"Bundles written by `lesionlens export` and `compress`; {INSTALLED}.", show_default=False),
    ] = None,
    runtime: Annotated[Runtimes, typer.Option(help="What runs the bundles.")] = Runtimes.all,
    variant: Annotated[str, typer.Option(help="Name of one variant, or `all`.")] = "all",
    batch: Annotated[str, typer.Option(help="Batch sizes, separated by commas.")] = "1,64",
    threads: Annotated[int, typer.Option(help="Threads of computation; 0 leaves it to the runtime.", min=0)] = 0,
    rounds: Annotated[int, typer.Option(help="Timed calls at batch 1; larger batches get fewer, at least 5.", min=1)] = 20,
    as_json: Json = False,
) -> None:
    """Compare variants and runtimes on this machine: latency, throughput, memory, size, loading time."""
    from lesionlens.bundle.bundle_benchmark import Settings, find_contenders, text_of
    from lesionlens.bundle.bundle_benchmark import benchmark as measure_bundles
    from lesionlens.core.errors import RecipeError

    try:
        sizes = tuple(int(word) for word in batch.split(","))
    except ValueError as error:
        raise RecipeError(f"--batch {batch!r}; it must be whole numbers separated by commas, for example 1,64") from error
    settings = Settings(sizes, threads, rounds)
    contenders, left_out = find_contenders(bundles or [bundle_or_installed(None)], runtime, variant)
    for text in left_out:
        note(f"left out: {text}")
    with progress_bar("Measuring", settings.rounds_in_all) as advance:
        result = measure_bundles(contenders, settings, advance)
    emit_text({**result, "left_out": left_out}, as_json, text_of(result))
