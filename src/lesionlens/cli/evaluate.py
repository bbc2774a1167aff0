"""The commands `evaluate` and `compare`: metrics of one checkpoint, and differences between two sets of predictions."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import REPORTER, emit, emit_text
from lesionlens.cli.options import (
    Checkpoint,
    Device,
    DeviceOption,
    IndexOfRun,
    Json,
    SplitName,
    SplitOfRun,
    SplitOption,
    StoreOfRun,
)


class Precision(StrEnum):
    """Number format of the forward pass."""

    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"
    auto = "auto"


def evaluate(
    checkpoint: Checkpoint,
    index: IndexOfRun = None,
    split_file: SplitOfRun = None,
    store: StoreOfRun = None,
    split: SplitOption = SplitName.test,
    views: Annotated[int, typer.Option(help="1, or 8 flips and rotations averaged; 0 takes the recipe's.")] = 0,
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples; 0 takes the recipe's.")] = 0,
    confidence: Annotated[float, typer.Option(help="Level of the intervals; 0 takes the recipe's.")] = 0.0,
    precision: Annotated[Precision, typer.Option(help="Number format of the forward pass.")] = Precision.fp32,
    batch_size: Annotated[int, typer.Option(help="Images in one pass.")] = 64,
    device: DeviceOption = Device.auto,
    out: Annotated[
        Path | None, typer.Option(help="Folder for predictions.npz, validation.npz and scores.json; the run folder if not given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Predict one split and score it, with intervals by lesion.

    Beside the test split, the validation split is predicted too (validation.npz), which `assess` chooses on.
    """
    from lesionlens.core.run import Run
    from lesionlens.evaluation.evaluate import PredictionSettings
    from lesionlens.pipeline.model_stages import evaluate as evaluate_checkpoint

    settings = PredictionSettings(
        split=split,
        views=views,
        resamples=resamples,
        confidence=confidence,
        batch_size=batch_size,
        precision=precision,
        device=device,
    )
    run = Run.of_checkpoint(checkpoint, index=index, split=split_file, store=store)
    run = run.with_scores_in(out) if out else run
    result = evaluate_checkpoint(run, settings, checkpoint, REPORTER)
    predicted = [run.predictions, *([run.validation_predictions] if split == SplitName.test else [])]
    REPORTER.note("wrote " + ", ".join(str(path) for path in (*predicted, run.scores) if path.is_file()))
    emit(result, as_json)


def compare(
    first: Annotated[Path, typer.Argument(help="predictions.npz of one model.")],
    second: Annotated[Path, typer.Argument(help="predictions.npz of another, on the same images.")],
    primary: Annotated[str, typer.Option(help="The primary metric, declared before the comparison.")] = "balanced_accuracy",
    family: Annotated[
        str, typer.Option(help="Secondary metrics, separated by commas; Holm's correction is over them.")
    ] = "accuracy,macro_f1,macro_auc,brier,nll",
    more: Annotated[
        list[Path] | None,
        typer.Option("--pool", help="A further run of the same recipe (seed or fold): pool all files instead of comparing two."),
    ] = None,
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples over lesions.")] = 2000,
    confidence: Annotated[float, typer.Option(help="Level of the intervals.")] = 0.95,
    out: Annotated[Path | None, typer.Option(help="JSON file to write as well.")] = None,
    as_json: Json = False,
) -> None:
    """Compare two models case by case: paired differences with intervals by lesion and p.

    With --pool, the files are runs of one recipe, and become one estimate with the variance that training adds.
    """
    from lesionlens.core.artifact import write_json
    from lesionlens.core.recipe import EvaluationRecipe
    from lesionlens.evaluation.compare import compare as compare_predictions
    from lesionlens.evaluation.multiplicity import Hypotheses
    from lesionlens.evaluation.pooling import pool
    from lesionlens.evaluation.predictions import read_predictions
    from lesionlens.evaluation.tables import comparison_table, pooled_table

    EvaluationRecipe.check(resamples=resamples, confidence=confidence)
    hypotheses = Hypotheses(primary, tuple(name.strip() for name in family.split(",") if name.strip()))
    runs = [read_predictions(path) for path in (first, second, *(more or ()))]
    if more:
        content = pool(runs, confidence, resamples)
        text = pooled_table(content)
    else:
        content = compare_predictions(runs[0], runs[1], resamples, confidence, hypotheses=hypotheses)
        text = comparison_table(content)
    if out is not None:
        write_json(out, content)
        REPORTER.note(f"wrote {out}")
    emit_text(content, as_json, text)
