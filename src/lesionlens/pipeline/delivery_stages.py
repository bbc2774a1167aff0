"""The stages that deliver a network: export, compress, predict an example, report, documents."""

from __future__ import annotations

from pathlib import Path

from lesionlens.augment.offline import read_plan
from lesionlens.bundle.inspection import export_text
from lesionlens.bundle.picture import heat_map
from lesionlens.bundle.runtime import Predictor
from lesionlens.compression.compress import compress as compress_checkpoint
from lesionlens.compression.source import CompressionSettings, open_source, trained_variants
from lesionlens.compression.table import text as compression_text
from lesionlens.core.artifact import atomic_file, write_json
from lesionlens.core.progress import SILENT, Reporter
from lesionlens.core.recipe import CompressionRecipe
from lesionlens.core.run import Run
from lesionlens.data.dataset import Dataset
from lesionlens.data.index import read_index
from lesionlens.data.split import read_split
from lesionlens.evaluation.predictions import read_predictions
from lesionlens.export.export import ExportSettings, images_to_process
from lesionlens.export.export import export as export_checkpoint
from lesionlens.pipeline.job import StageResult
from lesionlens.reporting.documents.documents import documents_text, write_documents
from lesionlens.reporting.documents.stated import Stated
from lesionlens.reporting.formats import size_text
from lesionlens.reporting.report import write_report


def export(
    run: Run,
    settings: ExportSettings,
    checkpoint: Path | None = None,
    with_scores: bool = True,
    reporter: Reporter = SILENT,
) -> StageResult:
    """Write the bundle of a checkpoint, compared with torch.

    Args:
        run: its data set and predictions are read, its bundle is written.
        settings: how.
        checkpoint: to export; the run's best one if None.
        with_scores: whether the metrics of the run's predictions go into the bundle.
        reporter: told of progress.
    """
    dataset = Dataset.of_run(run)
    predictions = read_predictions(run.predictions) if with_scores else None
    if predictions is None:
        reporter.note("the bundle holds no metrics of the test split; make them with: lesionlens evaluate CHECKPOINT")
    with reporter.bar("Exporting", images_to_process(dataset.split, settings, predictions)) as advance:
        bundle = export_checkpoint(checkpoint or run.best, dataset, run.bundle, predictions, settings, advance)
    return StageResult(f"{bundle.path}, id {bundle.id[:12]}", export_text(bundle), bundle.facts)


def compress(
    run: Run,
    recipe: CompressionRecipe,
    settings: CompressionSettings,
    checkpoint: Path | None = None,
    reporter: Reporter = SILENT,
) -> StageResult:
    """Make smaller and faster variants, measure them side by side, and add them to the bundle.

    Args:
        run: its data set, plan and bundle are read; the bundle and the compression folder are written.
        recipe: which variants, and how.
        settings: how they are measured.
        checkpoint: to compress; the run's best one if None.
        reporter: told of steps and progress.
    """
    dataset = Dataset.of_run(run)
    plan = read_plan(run.plan, dataset.split) if trained_variants(recipe) else None
    paths = (run.bundle, run.compression)
    source = open_source(checkpoint or run.best, dataset, *paths, recipe, settings, plan, reporter)
    content = compress_checkpoint(source)
    line = f"{', '.join(recipe.variants) or 'none'}; the bundle runs {content['default']['variant']} by default"
    return StageResult(line, compression_text(content), content)


def predict_example(run: Run) -> StageResult:
    """Predict one test image with the bundle, as a clinic would, and draw its heat map."""
    index = read_index(run.index)
    image_id = read_split(run.split, index).ids["test"][0]
    record = index.by_id()[image_id]
    path = index.image_path(record)
    prediction = next(Predictor(run.bundle).predict([path]))
    line = f"{image_id}: {prediction.outcome}. {prediction.explanation} (true: {record.dx})"
    if prediction.maps is not None:
        overlay = run.example.with_name("overlay.png")
        with atomic_file(overlay) as temporary:
            heat_map(prediction, path).save(temporary, format="PNG")
        line += f", {overlay}"
    content = {"source": image_id, **prediction.to_json(), "true": record.dx}
    write_json(run.example, content)
    return StageResult(line, line, content)


def report(run: Run) -> StageResult:
    """Write the report of a run: one HTML file that needs nothing else."""
    written = write_report(run, run.report)
    line = f"{written.path} ({size_text(written.size_bytes)})"
    lines = [line, *(f"left out: {name}: {reason}" for name, reason in written.left_out.items())]
    content = {"report": str(written.path), "size_bytes": written.size_bytes, "left_out": written.left_out}
    return StageResult(line, "\n".join(lines), content)


def documents(run: Run, stated: Stated | None = None) -> StageResult:
    """Write the documents of a run: card, checklists, machine-readable cards.

    Args:
        run: its artifacts are read, its documents are written.
        stated: what only people know; stated.toml of the run folder if None.
    """
    written = write_documents(run, stated)
    names = ", ".join(sorted(written.content["files"]))
    return StageResult(f"{written.folder}: {names}", documents_text(written), written.content)
