"""The command `explain`: where a network looked, and whether that is true."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import emit, note, progress_bar


def explain(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of a run, for example run/train/best.safetensors.")],
    index: Annotated[Path | None, typer.Option(help="index.csv; the one in the checkpoint's run folder if not given.")] = None,
    split: Annotated[Path | None, typer.Option(help="split.json that the checkpoint was trained with; likewise.")] = None,
    store: Annotated[Path | None, typer.Option(help="Packed images; likewise.")] = None,
    split_name: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    method: Annotated[str, typer.Option(help="auto, grad-cam, integrated-gradients or occlusion.")] = "auto",
    limit: Annotated[int, typer.Option(help="Explain so many images, drawn by seed; 0 explains all.", min=0)] = 0,
    masks: Annotated[bool, typer.Option("--masks/--no-masks", help="Compare the maps with lesion masks.")] = True,
    random_networks: Annotated[int, typer.Option(help="Networks with random weights to compare with.", min=0)] = 3,
    curve_images: Annotated[int, typer.Option(help="Images with deletion and insertion curves.", min=0)] = 200,
    curve_steps: Annotated[int, typer.Option(help="Steps of each curve.", min=1)] = 10,
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples; 0 asks the recipe.", min=0, max=100_000)] = 0,
    batch_size: Annotated[int, typer.Option(help="Most images in the network at once; bounds the memory.", min=1)] = 32,
    cases: Annotated[int, typer.Option(help="Cases on each side of the gallery.", min=0)] = 4,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    seed: Annotated[int, typer.Option(help="Of the draws of images, orders, random weights and cases.", min=0)] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder to write; explain/ in the run folder if not given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Draw heat maps of one split, and measure whether they are true: masks, deletion, insertion, controls."""
    from lesionlens.data.index import read_index
    from lesionlens.data.split import read_split
    from lesionlens.data.store import Store
    from lesionlens.explanation.explain import ExplainSettings, faithfulness_table
    from lesionlens.explanation.explain import explain as explain_checkpoint

    settings = ExplainSettings(
        split_name, method, limit, masks, random_networks, curve_images, curve_steps, resamples, batch_size, cases, device, seed
    )
    run = checkpoint.resolve().parent.parent
    known = read_index(index or run / "index.csv")
    splits = read_split(split or run / "split.json", known)
    images = Store.open(store or run / "store")
    folder = out or run / "explain"
    total = min(limit or len(splits.ids[split_name]), len(splits.ids[split_name]))
    with progress_bar(f"Explaining {split_name}", total) as advance:
        report = explain_checkpoint(checkpoint, known, splits, images, folder, settings, advance)
    note(f"wrote maps.npz, faithfulness.json and gallery.png into {folder}")
    emit(report, as_json, faithfulness_table(report))
