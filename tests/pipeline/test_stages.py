"""The whole pipeline on a few synthetic images, with a tiny network."""

import json
import os
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from lesionlens.compression.source import CompressionSettings
from lesionlens.core.errors import CheckpointError
from lesionlens.core.recipe import Recipe
from lesionlens.core.recipe_file import load_recipe, recipe_from
from lesionlens.core.run import Run
from lesionlens.data.split import read_split
from lesionlens.pipeline.execution import execute, plan
from lesionlens.pipeline.job import ImageSource, Job
from lesionlens.pipeline.stages import STAGES

pytestmark = pytest.mark.slow

TINY = {
    "name": "pipeline",
    "input": {"size": 48},
    "model": {"name": "test_convnext", "weights": "none"},
    "augmentation": {"offline_fill": 0.3},
    "training": {"epochs": 2, "warmup_epochs": 1, "batch_size": 16, "learning_rate": 1e-3, "precision": "fp32"},
    "evaluation": {"resamples": 200},
    "compression": {"variants": [], "calibration_images": 8},  # tests/compression builds them
}


def recipe(*overrides: str) -> Recipe:
    return recipe_from(json.loads(json.dumps(TINY)), overrides)


def run_pipeline(folder: Path, data: Path | None, *overrides: str, **options) -> list[str]:
    job = Job(Run.at(folder), recipe(*overrides), ImageSource(data))
    return [step.name for step in execute(STAGES, job, plan(STAGES, job, **options)) if step.made]


@pytest.fixture(scope="module")
def finished(synthetic_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pipeline") / "run"
    with pytest.MonkeyPatch.context() as patch:  # time and memory of variants are tested in tests/compression
        patch.setattr("lesionlens.pipeline.stages.CompressionSettings", partial(CompressionSettings, rounds=0))
        assert run_pipeline(folder, synthetic_root) == [stage.name for stage in STAGES]
    return folder


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_every_artifact_is_there(finished):
    names = "index.csv audit.json audit.jpg split.json plan.csv gallery.png recipe.toml predictions.npz scores.json report.html"
    names += " validation.npz assessment/decisions.json"
    names += " store/images.npy train/best.safetensors train/last.safetensors train/history.jsonl explain/faithfulness.json"
    names += " explain/gallery.png bundle/bundle.json bundle/model.onnx compress/compression.json"
    names += " example/prediction.json example/overlay.png documents/documents.json documents/card.md documents/stard-ai.md"
    for name in names.split():
        assert (finished / name).stat().st_size > 0, name
    assert load_recipe(finished / "recipe.toml") == recipe()
    assert not list(finished.rglob("*.part"))


def test_scores_are_of_the_test_part_and_nothing_else(finished):
    scores = json.loads((finished / "scores.json").read_text())
    split = read_split(finished / "split.json")
    with np.load(finished / "predictions.npz") as predictions:
        ids = set(predictions["image_ids"].tolist())
    assert ids == set(split.ids["test"])
    assert scores["n_images"] == len(ids)
    assert (scores["protocol"], scores["leaks"], scores["leak_rate"]) == ("lesion", False, 0.0)


def test_a_second_run_does_nothing(finished, synthetic_root):
    assert run_pipeline(finished, synthetic_root) == []


@pytest.mark.slow
def test_the_same_run_elsewhere_gives_the_same_scores(finished, synthetic_root, tmp_path):
    run_pipeline(tmp_path / "again", synthetic_root, until="evaluate")
    first, second = (json.loads((folder / "scores.json").read_text()) for folder in (finished, tmp_path / "again"))
    assert first["metrics"] == second["metrics"]


BEHIND_TRAIN = ["evaluate", "assess", "explain", "export", "compress", "predict", "report", "documents"]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("name=other", ["report", "documents"]),
        ("seed=1", ["augment", "train", *BEHIND_TRAIN]),
        ("split.seed=1", ["split", "augment", "train", *BEHIND_TRAIN]),
        ("input.frame=64", ["augment", "pack", "train", *BEHIND_TRAIN]),
        ("augmentation.offline_fill=0.5", ["augment", "train", *BEHIND_TRAIN]),
        ("model.drop_rate=0.1", ["train", *BEHIND_TRAIN]),
        ("training.epochs=3", ["train", *BEHIND_TRAIN]),
        ("evaluation.views=8", BEHIND_TRAIN),
        ("compression.calibration_images=9", ["compress", "predict", "report", "documents"]),
    ],
)
def test_a_changed_setting_remakes_its_stages_and_no_other(finished, synthetic_root, override, expected):
    job = Job(Run.at(finished), recipe(override), ImageSource(synthetic_root))
    assert [name for name, stale in plan(STAGES, job).items() if stale] == expected


def test_another_recipe_never_overwrites_a_finished_training(copied, synthetic_root):
    before = (copied / "train" / "last.safetensors").read_bytes()
    with pytest.raises(CheckpointError, match=r"another recipe: training.learning_rate.*--restart"):
        run_pipeline(copied, synthetic_root, "training.learning_rate=2e-3")
    assert (copied / "train" / "last.safetensors").read_bytes() == before


def test_new_images_are_noticed(copied, synthetic_root, tmp_path):
    data = Path(shutil.copytree(synthetic_root, tmp_path / "images"))
    assert "index" in run_pipeline(copied, data, until="index")
    assert run_pipeline(copied, data, until="index") == []
    image = next(data.rglob("*.jpg"))
    os.utime(image, (1, 1))
    assert run_pipeline(copied, data, until="index") == ["index"]


def test_a_run_that_was_evaluated_before_there_were_validation_predictions(copied, synthetic_root):
    (copied / "validation.npz").unlink()
    shutil.rmtree(copied / "assessment")
    (copied / "assessment").mkdir(exist_ok=True)
    assert run_pipeline(copied, synthetic_root, until="assess") == ["assess"]
    decisions = json.loads((copied / "assessment" / "decisions.json").read_text())
    with np.load(copied / "validation.npz") as predictions:
        assert set(predictions["image_ids"].tolist()) == set(read_split(copied / "split.json").ids["validation"])
        assert decisions["n_images"]["validation"] == len(predictions["image_ids"])
