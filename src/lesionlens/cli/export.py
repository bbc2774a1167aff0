"""The command `export`: a checkpoint becomes a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import REPORTER, emit
from lesionlens.cli.options import (
    Checkpoint,
    DeltaOption,
    GuaranteeName,
    GuaranteeOption,
    IndexOfRun,
    Json,
    SplitOfRun,
    StoreOfRun,
)


def export(
    checkpoint: Checkpoint,
    index: IndexOfRun = None,
    split_file: SplitOfRun = None,
    store: StoreOfRun = None,
    predictions: Annotated[
        Path | None, typer.Option(help="predictions.npz of the test split; the run folder's if not given.")
    ] = None,
    no_scores: Annotated[bool, typer.Option("--no-scores", help="Leave the metrics of the test split out.")] = False,
    compared_images: Annotated[int, typer.Option(help="Real images on which the export is compared with torch.", min=1)] = 32,
    data_licence: Annotated[str, typer.Option(help="Licence of the training images, if they are your own.")] = "",
    batch_size: Annotated[int, typer.Option(help="Images in one pass.")] = 32,
    gate_images: Annotated[int, typer.Option(help="Training images that the gate is fitted on; 0 leaves it out.")] = 2000,
    rejection_rate: Annotated[float, typer.Option(help="Share of good images that the gate may reject.")] = 0.02,
    sensitivity: Annotated[float, typer.Option(help='For melanoma, where "not sure" counts as detected.')] = 0.95,
    guarantee: GuaranteeOption = GuaranteeName.expectation,
    delta: DeltaOption = 0.05,
    out: Annotated[Path | None, typer.Option(help="Bundle to write; bundle/ in the run folder if not given.")] = None,
    as_json: Json = False,
) -> None:
    """Write a bundle that runs without torch: graph with heat maps, temperature, gate, scores, card, self-test."""
    from lesionlens.core.run import Run
    from lesionlens.export.decision_fit import Guarantee
    from lesionlens.export.export import ExportSettings
    from lesionlens.pipeline.delivery_stages import export as export_checkpoint

    settings = ExportSettings(
        compared_images=compared_images,
        selftest_images=min(4, compared_images),
        data_licence=data_licence,
        batch_size=batch_size,
        gate_images=gate_images,
        rejection_rate=rejection_rate,
        sensitivity=sensitivity,
        guarantee=Guarantee(guarantee, delta),
    )
    run = Run.of_checkpoint(checkpoint, index=index, split=split_file, store=store, predictions=predictions, bundle=out)
    with_scores = not no_scores and (predictions is not None or run.predictions.is_file())
    emit(export_checkpoint(run, settings, checkpoint, with_scores, REPORTER), as_json)
