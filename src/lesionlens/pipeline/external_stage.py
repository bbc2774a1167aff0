"""The stage that evaluates a model on another data set; a bundle needs no torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lesionlens.assessment.external.artifacts import FLOW_FILE, RESULT_FILE, read_evaluations, write_evaluation
from lesionlens.assessment.external.centres import internal_row, row_of_bundle
from lesionlens.assessment.external.evaluation import ExternalSettings, OwnResults, evaluate_external
from lesionlens.assessment.external.frozen_model import FrozenModel, bundle_model
from lesionlens.assessment.external.text import external_text
from lesionlens.assessment.external.training_images import (
    TrainingImages,
    training_images_of_index,
    training_images_of_reference,
    training_images_of_run,
)
from lesionlens.bundle.bundle import is_bundle, read_bundle
from lesionlens.core.artifact import read_json, write_text
from lesionlens.core.errors import ArtifactError, SplitError
from lesionlens.core.progress import SILENT, Reporter
from lesionlens.core.run import Run
from lesionlens.data.dataset import Dataset
from lesionlens.data.index import Index, read_index
from lesionlens.evaluation.predictions import read_predictions
from lesionlens.export.reference import seen_ids
from lesionlens.pipeline.job import StageResult
from lesionlens.reporting.flow_plot import flow_file

if TYPE_CHECKING:
    from lesionlens.evaluation.evaluate import PredictionSettings


@dataclass(frozen=True)
class ExternalSources:
    """What an external evaluation reads and where it writes.

    Attributes:
        model: checkpoint, or folder of a bundle.
        index: of the external images.
        training_index: of the training images; None takes those of the model's run, or the hashes in the bundle.
        out: folder to write; `external/NAME` of the model's run if None.
    """

    model: Path
    index: Path
    training_index: Path | None = None
    out: Path | None = None

    @property
    def is_bundle(self) -> bool:
        """Whether the model is a bundle and no checkpoint."""
        return is_bundle(self.model)

    @property
    def run(self) -> Run:
        """The run that the model belongs to, if it lies in one."""
        return Run.at(self.model.resolve().parent) if self.is_bundle else Run.of_checkpoint(self.model)

    def folder(self, name: str) -> Path:
        """Folder of the results of the set `name`."""
        return self.out or self.run.external / name


def default_name(index: Path) -> str:
    """Name of a data set by its index: that of the file, or of the folder if the file is just `index.csv`.

    >>> default_name(Path("isic2017.csv")), default_name(Path("ph2/index.csv"))
    ('isic2017', 'ph2')
    """
    return index.resolve().parent.name if index.stem == "index" else index.stem


def evaluate_external_set(
    sources: ExternalSources,
    settings: ExternalSettings,
    prediction: PredictionSettings | None = None,
    reporter: Reporter = SILENT,
) -> StageResult:
    """Evaluate a checkpoint or a bundle on images that it was not trained with, and write the results.

    Args:
        sources: model and index.
        settings: name, mapping, leaks, refused images.
        prediction: views, batch size, precision and device of a checkpoint; a bundle predicts as it is.
        reporter: told of progress.

    Raises:
        DataError: if the index is the model's own, a label cannot be mapped, or nothing is left to score.
        CheckpointError, BundleError: if the model cannot be read.
    """
    index = read_index(sources.index)
    model = _model(sources, prediction, reporter)
    training = _training_images(sources, model, reporter)
    own = OwnResults(_internal(sources, model), _decisions(sources.run, model))
    evaluation = evaluate_external(model, index, training, settings, own, reporter)
    folder = sources.folder(settings.name)
    write_text(folder / FLOW_FILE, flow_file(evaluation.content["flow"]))
    write_evaluation(evaluation, folder)
    reporter.note(f"wrote {folder / RESULT_FILE}")
    content = evaluation.content
    others = [each for each in _others(sources, model) if each["name"] != settings.name]
    line = f"{content['name']}: {content['image']['full']['n_images']} images"
    return StageResult(line, external_text(content, others), content)


def _model(sources: ExternalSources, prediction: PredictionSettings | None, reporter: Reporter) -> FrozenModel:
    if sources.is_bundle:
        return bundle_model(sources.model)
    from lesionlens.assessment.external.checkpoint_model import checkpoint_model  # loads torch

    return checkpoint_model(sources.model, sources.run, prediction, reporter=reporter)


def _training_images(sources: ExternalSources, model: FrozenModel, reporter: Reporter) -> TrainingImages | None:
    """The training images by the best way that there is: a stated index, the run's store, hashes, or none."""
    if sources.training_index is not None:
        index = read_index(sources.training_index)
        with reporter.bar("Reading training images", len(index)) as advance:
            return training_images_of_index(index, model.spec, sources.training_index, advance)
    dataset = _dataset(sources.run, model, reporter)
    if dataset is not None:
        ids = seen_ids(dataset)
        source = f"run {sources.run.folder.name}, splits train and validation"
        with reporter.bar("Reading training images", len(ids)) as advance:
            return training_images_of_run(dataset, ids, source, advance)
    return None if model.reference is None else training_images_of_reference(model.reference, "hashes in the bundle")


def _dataset(run: Run, model: FrozenModel, reporter: Reporter) -> Dataset | None:
    """The data set that the model was trained with, if it is in the run folder whole."""
    if not (run.index.is_file() and run.split.is_file() and run.store.is_dir()):
        return None
    try:
        dataset = Dataset.of_run(run)
    except (ArtifactError, SplitError) as error:
        reporter.note(f"the training images of {run.folder} are not compared: {error}")
        return None
    same = dataset.split.hash == model.hashes.get("split") and dataset.store.frame_hash == model.spec.frame_hash
    return dataset if same else None


def _internal(sources: ExternalSources, model: FrozenModel) -> dict[str, Any] | None:
    """The row of the model's own test split, if it was predicted."""
    run = sources.run
    if run.predictions.is_file():
        predictions = read_predictions(run.predictions)
        is_same = predictions.origin.hashes.get("checkpoint") == model.hashes["checkpoint"]
        if is_same and predictions.origin.views == model.views:
            temperature = float(model.settings["temperature"])
            return internal_row(predictions, temperature, model.decision, model.resamples, model.confidence)
    scores = read_bundle(sources.model).facts.get("scores") if sources.is_bundle else None
    return None if scores is None else row_of_bundle(scores, model.labels)


def _decisions(run: Run, model: FrozenModel) -> dict[str, Any] | None:
    """Content of the run's decisions.json, if it is of this checkpoint."""
    content = read_json(run.decisions) if run.decisions.is_file() else {}
    return content if content.get("made_from", {}).get("checkpoint") == model.hashes["checkpoint"] else None


def _others(sources: ExternalSources, model: FrozenModel) -> list[dict[str, Any]]:
    return read_evaluations(sources.run.external, model.hashes["checkpoint"])[0]


def belongs_to(index: Index, checkpoint: Path) -> bool:
    """Whether a checkpoint was trained with this index."""
    from lesionlens.training.checkpoint import load_info  # loads torch

    return load_info(checkpoint).index_hash == index.hash
