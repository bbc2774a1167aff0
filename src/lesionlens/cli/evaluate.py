"""The commands `evaluate`, `compare` and `submission`: metrics of one model, differences of two, tables for challenges."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lesionlens.cli.console import REPORTER, Result, emit, emit_text
from lesionlens.cli.options import (
    Device,
    DeviceOption,
    IndexOfRun,
    Json,
    SplitName,
    SplitOfRun,
    SplitOption,
    StoreOfRun,
)

if TYPE_CHECKING:
    from lesionlens.evaluation.evaluate import PredictionSettings

EXTERNAL_PANEL = "Another data set (--index of images that the model was not trained with)"


class Refused(StrEnum):
    """How images without a diagnosis count."""

    both = "both"
    wrong = "wrong"
    excluded = "excluded"


class Precision(StrEnum):
    """Number format of the forward pass."""

    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"
    auto = "auto"


def evaluate(
    model: Annotated[Path, typer.Argument(help="Checkpoint of a run, such as run/train/best.safetensors, or a bundle.")],
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
    without_metadata: Annotated[
        bool, typer.Option("--without-metadata", help="Predict from the images alone, for a network with model.metadata.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the results; the run folder, or external/NAME in it for another data set, if not given."),
    ] = None,
    name: Annotated[
        str, typer.Option(help="Name of the data set; that of its index if not given.", rich_help_panel=EXTERNAL_PANEL)
    ] = "",
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="TRUE=MODEL",
            help="Class of the model that a label of the data is; TRUE=none for one that the model lacks. Repeatable.",
            rich_help_panel=EXTERNAL_PANEL,
        ),
    ] = None,
    refused: Annotated[
        Refused, typer.Option(help="How images without a diagnosis count.", rich_help_panel=EXTERNAL_PANEL)
    ] = Refused.both,
    keep_leaks: Annotated[
        bool,
        typer.Option("--keep-leaks", help="Score images that the model was trained on too.", rich_help_panel=EXTERNAL_PANEL),
    ] = False,
    training_index: Annotated[
        Path | None,
        typer.Option(help="index.csv of the training images, to find them among these.", rich_help_panel=EXTERNAL_PANEL),
    ] = None,
    as_json: Json = False,
) -> None:
    """Predict one split, or another data set, and score it, with intervals by lesion.

    Beside the test split, the validation split is predicted too (validation.npz), which `assess` chooses on. With --index
    of images that the model was not trained with, no split is needed: temperature, threshold and gate stay as they are,
    and training images among them are found and left out.
    """
    from lesionlens.bundle.bundle import is_bundle

    bundle = is_bundle(model)
    options = _External(name, tuple(mapping or ()), refused.value, keep_leaks, training_index, resamples, confidence)
    if bundle:
        _check_bundle_options(views, precision, device)
        emit(_evaluate_external(model, index, options, out, None), as_json)
        return
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
        metadata=not without_metadata,
    )
    run = Run.of_checkpoint(model, index=index, split=split_file, store=store)
    if options.is_given or (split_file is None and store is None and _is_external(model, index)):
        emit(_evaluate_external(model, index, options, out, settings), as_json)
        return
    run = run.with_scores_in(out) if out else run
    result = evaluate_checkpoint(run, settings, model, REPORTER)
    predicted = [run.predictions, *([run.validation_predictions] if split == SplitName.test else [])]
    REPORTER.note("wrote " + ", ".join(str(path) for path in (*predicted, run.scores) if path.is_file()))
    emit(result, as_json)


@dataclass(frozen=True)
class _External:
    """The options for another data set."""

    name: str
    mappings: tuple[str, ...]
    refused: str
    keep_leaks: bool
    training_index: Path | None
    resamples: int
    confidence: float

    @property
    def is_given(self) -> bool:
        """Whether one of them is given that only another data set has."""
        return bool(self.name or self.mappings or self.keep_leaks or self.training_index or self.refused != Refused.both)


def _check_bundle_options(views: int, precision: Precision, device: Device) -> None:
    from lesionlens.core.errors import RecipeError

    if views > 1 or precision != Precision.fp32 or device != Device.auto:
        raise RecipeError(
            f"views {views}, precision {precision}, device {device}: a bundle predicts as it is, one view on the processor; "
            "give the checkpoint for anything else"
        )


def _is_external(checkpoint: Path, index: Path | None) -> bool:
    """Whether an index is stated that the checkpoint was not trained with."""
    if index is None:
        return False
    from lesionlens.data.index import read_index
    from lesionlens.pipeline.external_stage import belongs_to

    return not belongs_to(read_index(index), checkpoint)


def _evaluate_external(
    model: Path, index: Path | None, options: _External, out: Path | None, prediction: PredictionSettings | None
) -> Result:
    """Evaluate a model on another data set."""
    from lesionlens.assessment.external.evaluation import ExternalSettings
    from lesionlens.core.errors import RecipeError
    from lesionlens.pipeline.external_stage import ExternalSources, default_name, evaluate_external_set

    if index is None:
        raise RecipeError(f"{model} is to be evaluated on another data set, but there is none; give its index with --index")
    settings = ExternalSettings(
        name=options.name or default_name(index),
        mappings=options.mappings,
        keep_leaks=options.keep_leaks,
        refused=options.refused,
        resamples=options.resamples,
        confidence=options.confidence,
    )
    sources = ExternalSources(model, index, options.training_index, out)
    return evaluate_external_set(sources, settings, prediction, REPORTER)


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


class Challenge(StrEnum):
    """ISIC challenges whose tables can be written."""

    isic2018 = "2018"
    isic2019 = "2019"


def submission(
    predictions: Annotated[Path, typer.Argument(help="predictions.npz of `evaluate`, or the CSV of `predict`.")],
    out: Annotated[Path, typer.Option(help="CSV to write.")] = Path("submission.csv"),
    challenge: Annotated[Challenge, typer.Option(help="Year of the ISIC challenge.")] = Challenge.isic2018,
    as_json: Json = False,
) -> None:
    """Write predictions as a table for an ISIC challenge, in its columns."""
    from lesionlens.assessment.external.submission import write_submission

    notes = write_submission(predictions, out, challenge.value)
    for text in notes:
        REPORTER.note(text)
    emit_text({"submission": str(out), "challenge": challenge.value, "notes": notes}, as_json, f"wrote {out}")
