"""The commands `evaluate` and `compare`: a checkpoint becomes scores, two predictions become a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import emit, note, progress_bar


def evaluate(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of a run, for example run/train/best.safetensors.")],
    index: Annotated[Path | None, typer.Option(help="index.csv; the one in the checkpoint's run folder if not given.")] = None,
    split: Annotated[Path | None, typer.Option(help="split.json that the checkpoint was trained with; likewise.")] = None,
    store: Annotated[Path | None, typer.Option(help="Packed images; likewise.")] = None,
    split_name: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    views: Annotated[int, typer.Option(help="1, or 8 flips and rotations averaged; 0 asks the recipe.")] = 0,
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples; 0 asks the recipe.", min=0, max=100_000)] = 0,
    confidence: Annotated[float, typer.Option(help="Level of the intervals; 0 asks the recipe.")] = 0.0,
    precision: Annotated[str, typer.Option(help="fp32, bf16, fp16 or auto.")] = "fp32",
    batch_size: Annotated[int, typer.Option(help="Images in one pass.")] = 64,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    out: Annotated[Path | None, typer.Option(help="Folder for predictions.npz and scores.json; the run folder likewise.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Predict one split of the data and score it, with intervals by lesion."""
    from lesionlens.core.errors import CheckpointError
    from lesionlens.data.index import read_index
    from lesionlens.data.split import read_split
    from lesionlens.data.store import Store
    from lesionlens.evaluation.evaluate import PredictionSettings
    from lesionlens.evaluation.evaluate import evaluate as evaluate_checkpoint
    from lesionlens.evaluation.tables import scores_table

    settings = PredictionSettings(
        split=split_name,
        views=views,
        resamples=resamples,
        confidence=confidence,
        batch_size=batch_size,
        precision=precision,
        device=device,
    )
    if not checkpoint.is_file():
        raise CheckpointError(f"{checkpoint} is no file; give the checkpoint of a run, such as run/train/best.safetensors")
    run = checkpoint.resolve().parent.parent
    known = read_index(index or run / "index.csv")
    splits = read_split(split or run / "split.json", known)
    images = Store.open(store or run / "store")
    folder = out or run
    with progress_bar(f"Predicting {split_name}", len(splits.ids[split_name])) as advance:
        scores = evaluate_checkpoint(checkpoint, known, splits, images, folder, settings, advance)
    note(f"wrote {folder / 'predictions.npz'} and {folder / 'scores.json'}")
    emit(scores, as_json, scores_table(scores))


def compare(
    first: Annotated[Path, typer.Argument(help="predictions.npz of one model.")],
    second: Annotated[Path, typer.Argument(help="predictions.npz of another, on the same images.")],
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples over lesions.", min=100, max=100_000)] = 2000,
    confidence: Annotated[float, typer.Option(help="Level of the intervals.", min=0.5, max=0.999)] = 0.95,
    out: Annotated[Path | None, typer.Option(help="JSON file to write as well.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare two models case by case: differences with intervals and p, from the same lesions."""
    from lesionlens.core.artifact import write_json
    from lesionlens.evaluation.compare import compare as compare_predictions
    from lesionlens.evaluation.predictions import read_predictions
    from lesionlens.evaluation.tables import comparison_table

    comparison = compare_predictions(read_predictions(first), read_predictions(second), resamples, confidence)
    if out is not None:
        write_json(out, comparison)
        note(f"wrote {out}")
    emit(comparison, as_json, comparison_table(comparison))
