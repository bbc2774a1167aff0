"""The whole road on a few synthetic images, with a tiny network."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from lesionlens.core.errors import CheckpointError
from lesionlens.core.recipe import Recipe
from lesionlens.core.recipe_file import load_recipe, recipe_from
from lesionlens.data.split import read_split
from lesionlens.pipeline.execution import Journey, plan, travel
from lesionlens.pipeline.stages import STAGES

TINY = {
    "name": "road",
    "input": {"size": 48},
    "model": {"name": "test_convnext", "weights": "none"},
    "augmentation": {"offline_fill": 0.3},
    "training": {"epochs": 2, "warmup_epochs": 1, "batch_size": 16, "learning_rate": 1e-3, "precision": "fp32"},
    "evaluation": {"resamples": 200},
    "compression": {"variants": ["int8"], "calibration_images": 8},
}


def recipe(*overrides: str) -> Recipe:
    return recipe_from(json.loads(json.dumps(TINY)), overrides)


def walk(folder: Path, data: Path | None, *overrides: str, **options) -> list[str]:
    journey = Journey(folder, recipe(*overrides), data)
    return [step.name for step in travel(STAGES, journey, plan(STAGES, journey, **options)) if step.made]


@pytest.fixture(scope="module")
def walked(synthetic_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("road") / "run"
    assert walk(folder, synthetic_root) == [stage.name for stage in STAGES]
    return folder


@pytest.fixture
def copied(walked: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(walked, tmp_path / "run"))


def test_every_artifact_is_there(walked):
    names = "index.csv audit.json audit.jpg split.json plan.csv gallery.png recipe.toml predictions.npz scores.json report.html"
    names += " store/images.npy train/best.safetensors train/last.safetensors train/history.jsonl explain/faithfulness.json"
    names += " explain/gallery.png bundle/bundle.json bundle/model.onnx compress/compression.json"
    names += " example/prediction.json example/overlay.png"
    for name in names.split():
        assert (walked / name).stat().st_size > 0, name
    assert load_recipe(walked / "recipe.toml") == recipe()
    assert not list(walked.rglob("*.part"))


def test_scores_are_of_the_test_part_and_nothing_else(walked):
    scores = json.loads((walked / "scores.json").read_text())
    split = read_split(walked / "split.json")
    with np.load(walked / "predictions.npz") as predictions:
        ids = set(predictions["image_ids"].tolist())
    assert ids == set(split.ids["test"])
    assert scores["n_images"] == len(ids)
    assert (scores["protocol"], scores["leaks"], scores["leak_rate"]) == ("lesion", False, 0.0)


def test_a_second_walk_does_nothing(walked, synthetic_root):
    assert walk(walked, synthetic_root) == []


def test_the_same_run_elsewhere_gives_the_same_scores(walked, synthetic_root, tmp_path):
    walk(tmp_path / "again", synthetic_root)
    first, second = (json.loads((folder / "scores.json").read_text()) for folder in (walked, tmp_path / "again"))
    assert first["metrics"] == second["metrics"]


@pytest.mark.parametrize(
    ("override", "made"),
    [
        ("evaluation.views=8", ["evaluate", "explain", "export", "compress", "predict", "report"]),
        ("split.seed=1", ["split", "augment", "train"]),
        ("training.epochs=3", ["train"]),
        ("name=other", ["report"]),
    ],
)
def test_what_a_changed_setting_makes_anew(copied, synthetic_root, override, made):
    journey = Journey(copied, recipe(override), synthetic_root)
    todo = [name for name, wanted in plan(STAGES, journey).items() if wanted]
    assert todo[: len(made)] == made


def test_another_recipe_never_overwrites_a_finished_training(copied, synthetic_root):
    before = (copied / "train" / "last.safetensors").read_bytes()
    with pytest.raises(CheckpointError, match=r"another recipe: training.learning_rate.*--restart"):
        walk(copied, synthetic_root, "training.learning_rate=2e-3")
    assert (copied / "train" / "last.safetensors").read_bytes() == before


def test_new_images_are_noticed(copied, synthetic_root, tmp_path):
    data = Path(shutil.copytree(synthetic_root, tmp_path / "images"))
    assert "index" in walk(copied, data, until="index")
    assert walk(copied, data, until="index") == []
    image = next(data.rglob("*.jpg"))
    os.utime(image, (1, 1))
    assert walk(copied, data, until="index") == ["index"]
