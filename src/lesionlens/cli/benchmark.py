"""The command `benchmark`: how fast and how large bundles are on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import emit_text, note, progress_bar


def benchmark(
    bundles: Annotated[list[Path], typer.Argument(help="Bundles that `lesionlens export` and `compress` wrote.")],
    runtime: Annotated[str, typer.Option(help="all, openvino or onnxruntime.")] = "all",
    variant: Annotated[str, typer.Option(help="Name of one variant, or all.")] = "all",
    batch: Annotated[str, typer.Option(help="Numbers of images in one call, with commas between.")] = "1,64",
    threads: Annotated[int, typer.Option(help="Threads of computation; 0 leaves it to the runtime.")] = 0,
    rounds: Annotated[int, typer.Option(help="Timed calls of each at batch 1; larger batches get fewer, at least 5.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare variants and runtimes on this machine: time, images a second, memory, bytes, loading."""
    from lesionlens.bundle.bundle_benchmark import Settings, find_contenders, text_of
    from lesionlens.bundle.bundle_benchmark import benchmark as measure_bundles
    from lesionlens.core.errors import RecipeError

    try:
        sizes = tuple(int(word) for word in batch.split(","))
    except ValueError as error:
        raise RecipeError(f"--batch {batch!r}; it must be whole numbers with commas between, for example 1,64") from error
    settings = Settings(sizes, threads, rounds)
    contenders, left_out = find_contenders(bundles, runtime, variant)
    for text in left_out:
        note(f"left out: {text}")
    with progress_bar("Measuring", settings.rounds_in_all) as advance:
        result = measure_bundles(contenders, settings, advance)
    emit_text({**result, "left_out": left_out}, as_json, text_of(result))
