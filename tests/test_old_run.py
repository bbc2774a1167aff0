"""A run folder that LesionLens 0.1.0 wrote is read under today's names."""

import tarfile
from pathlib import Path

import numpy as np
import pytest

from lesionlens.bundle.runtime import Predictor
from lesionlens.bundle.variants import Variant
from lesionlens.core.progress import Reporter
from lesionlens.core.recipe_file import load_recipe
from lesionlens.core.run import Run
from lesionlens.data.dataset import Dataset
from lesionlens.evaluation.evaluate import PredictionSettings, predict_split
from lesionlens.evaluation.predictions import read_predictions
from lesionlens.pipeline.execution import is_current, plan
from lesionlens.pipeline.job import ImageSource, Job
from lesionlens.pipeline.stages import STAGES
from lesionlens.reporting.report import build_report
from lesionlens.training.checkpoint import load_info

ARCHIVE = Path(__file__).parent / "artifacts" / "run-0.1.0.tar.xz"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return Run.at(tmp_path / "run")


def test_its_splits_metrics_and_variants_have_todays_names(run):
    dataset = Dataset.of_run(run)
    assert dataset.split.ids.keys() == {"train", "validation", "test"}
    assert dataset.split.leak_rate["groups_by_split"].keys() == {"train", "validation", "test"}
    assert read_predictions(run.predictions).split == "test"
    assert load_recipe(run.recipe).compression.variants == ("int8", "channel-pruned")
    assert load_info(run.best).metrics.keys() >= {"loss", "accuracy"}


def test_its_checkpoint_still_knows_its_split(run):
    predictions = predict_split(run.best, Dataset.of_run(run), PredictionSettings())
    np.testing.assert_allclose(predictions.logits, read_predictions(run.predictions).logits, atol=1e-4)


def test_its_bundle_runs(run):
    predictor = Predictor(run.bundle)
    dataset = Dataset.of_run(run)
    assert isinstance(predictor.bundle.variants["fp32"], Variant)
    assert predictor.bundle.facts["scores"]["split"] == "test"
    assert predictor.bundle.facts["scores"]["metrics"].keys() >= {"accuracy", "ece"}
    outputs = predictor.run(np.ascontiguousarray(dataset.store.images[:1]))
    assert outputs.probabilities.shape == (1, 7)


def test_its_report_is_written_with_heat_maps_and_variants(run):
    report = build_report(run.folder)
    assert "channel-pruned" in report
    assert "networks with random weights" in report


def test_its_stages_stay_up_to_date_and_this_is_said_once(run):
    notes: list[str] = []
    job = Job(run, load_recipe(run.recipe), ImageSource(Path("gone")), Reporter(notes.append))
    plan(STAGES, job)
    current = {stage.name for stage in STAGES if is_current(stage, STAGES, job)}
    assert current >= {"audit", "split", "augment", "pack", "train", "evaluate", "explain", "export"}
    assert len(notes) == 1
    assert not (run.folder / "road.json").exists()
