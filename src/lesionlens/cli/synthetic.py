"""The command `synthetic`: the embedded data set as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import emit_text, progress_bar
from lesionlens.cli.options import Json


def synthetic(
    root: Annotated[Path, typer.Argument(help="Folder to create; it must not exist, or be empty.")],
    n_images: Annotated[int, typer.Option("--images", help="Number of images, 42 or more.")] = 1200,
    seed: Annotated[int, typer.Option(help="Seed of the drawing.")] = 0,
    width: Annotated[int, typer.Option(help="Pixels, from 32 to 2000.")] = 200,
    height: Annotated[int, typer.Option(help="Pixels, from 32 to 2000.")] = 150,
    as_json: Json = False,
) -> None:
    """Draw the embedded synthetic data set in HAM10000's layout; it shows no patient."""
    from lesionlens.synthetic.dataset import METADATA, write_synthetic

    with progress_bar("Drawing", n_images) as advance:
        write_synthetic(root, n_images, seed, width, height, progress=advance)
    result = {"root": str(root), "metadata": str(root / METADATA), "n_images": n_images, "seed": seed, "source": "synthetic"}
    emit_text(result, as_json, f"{root}: {n_images} synthetic images of {width}x{height} in HAM10000's layout, seed {seed}")
