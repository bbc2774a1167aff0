"""The command `export`: a checkpoint becomes a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import emit, note, progress_bar


def export(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of a run, for example run/train/best.safetensors.")],
    index: Annotated[Path | None, typer.Option(help="index.csv; the one in the checkpoint's run folder if not given.")] = None,
    split: Annotated[Path | None, typer.Option(help="split.json that the checkpoint was trained with; likewise.")] = None,
    store: Annotated[Path | None, typer.Option(help="Packed images; likewise.")] = None,
    predictions: Annotated[Path | None, typer.Option(help="predictions.npz of the test split; likewise.")] = None,
    no_scores: Annotated[bool, typer.Option("--no-scores", help="Leave the metrics of the test split out.")] = False,
    compared_images: Annotated[int, typer.Option(help="Real images on which the export is compared with torch.", min=1)] = 32,
    data_licence: Annotated[str, typer.Option(help="Licence of the training images, if they are your own.")] = "",
    batch_size: Annotated[int, typer.Option(help="Images in one pass.")] = 32,
    gate_images: Annotated[int, typer.Option(help="Training images that the gate is fitted on; 0 leaves the gate out.")] = 2000,
    rejection_rate: Annotated[float, typer.Option(help="Share of good images that the gate may reject.")] = 0.02,
    sensitivity: Annotated[float, typer.Option(help='For melanoma, with the answer "not sure" counted as found.')] = 0.95,
    out: Annotated[Path | None, typer.Option(help="Bundle to write; `bundle` in the run folder if not given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write a bundle: a graph that explains itself, temperature, scores, card, self-test; compared with torch."""
    from lesionlens.bundle.inspection import export_text
    from lesionlens.core.errors import CheckpointError
    from lesionlens.data.index import read_index
    from lesionlens.data.split import read_split
    from lesionlens.data.store import Store
    from lesionlens.evaluation.predictions import read_predictions
    from lesionlens.export.export import ExportSettings, Material, images_to_look_at
    from lesionlens.export.export import export as export_checkpoint

    if not checkpoint.is_file():
        raise CheckpointError(f"{checkpoint} is no file; give the checkpoint of a run, such as run/train/best.safetensors")
    settings = ExportSettings(
        compared_images=compared_images,
        selftest_images=min(4, compared_images),
        data_licence=data_licence,
        batch_size=batch_size,
        gate_images=gate_images,
        rejection_rate=rejection_rate,
        sensitivity=sensitivity,
    )
    run = checkpoint.resolve().parent.parent
    known = read_index(index or run / "index.csv")
    material = Material(known, read_split(split or run / "split.json", known), Store.open(store or run / "store"))
    measured = predictions or run / "predictions.npz"
    found = None if no_scores or (predictions is None and not measured.is_file()) else read_predictions(measured)
    if found is None:
        note("no metrics of the test split go into the bundle; make them with: lesionlens evaluate CHECKPOINT")
    with progress_bar("Calibrating", images_to_look_at(material.split, settings)) as advance:
        made = export_checkpoint(checkpoint, material, out or run / "bundle", found, settings, advance)
    emit(made.facts, as_json, export_text(made))
