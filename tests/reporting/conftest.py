"""A small run folder, written by the packages that make its artifacts."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lesionlens.augment.offline import plan_training, write_plan
from lesionlens.core.artifact import write_json, write_text
from lesionlens.core.labels import HAM10000, LabelSet
from lesionlens.core.recipe import Recipe
from lesionlens.core.recipe_file import recipe_from, recipe_to_toml
from lesionlens.data.index import Index, Record, write_index
from lesionlens.data.split import Split, make_split, write_split
from lesionlens.evaluation.predictions import Origin, Predictions, write_predictions
from lesionlens.evaluation.scores import score
from lesionlens.training.history import Epoch, write_history

CLASS_SIZES = (20, 24, 36, 15, 36, 90, 15)


def write_images(folder: Path, labels: LabelSet = HAM10000, lesion_prefix: str = "HAM") -> Index:
    """One flat-coloured image for each record, 64x48; lesions of up to two images."""
    folder.mkdir(parents=True)
    records = []
    for place, (code, size) in enumerate(zip(labels.codes, CLASS_SIZES, strict=False)):
        for number in range(size):
            name = f"IMG_{place}{number:03d}"
            Image.new("RGB", (64, 48), (200, 120 + place * 10, number * 2)).save(folder / f"{name}.jpg")
            lesion = f"{lesion_prefix}_{code}{number // 2 if number % 3 else number:04d}"
            records.append(Record(name, f"{name}.jpg", code, lesion, age=50.0, sex="male", site="back"))
    return Index(tuple(records), labels, folder, "folder")


def made_up_predictions(index: Index, split: Split, recipe: Recipe, seed: int = 0, split_name: str = "test") -> Predictions:
    """Logits that are right about eight times in ten."""
    rng, by_id = np.random.default_rng(seed), index.by_id()
    ids = split.ids[split_name]
    labels = np.array([index.labels.index(by_id[image_id].dx) for image_id in ids])
    logits = rng.normal(0, 1.2, (len(ids), len(index.labels)))
    logits[np.arange(len(ids)), labels] += 2.5
    hashes = {"checkpoint": "c" * 64, "split": split.hash, "store": "s" * 64, "index": index.hash}
    rate = split.leak_rate[split_name]
    origin = Origin(recipe.name, recipe.seed, split.protocol, split.leaks, rate, split_name, hashes=hashes)
    return Predictions(
        image_ids=np.array(ids),
        lesion_ids=np.array([by_id[image_id].lesion_id for image_id in ids]),
        labels=labels,
        logits=logits.astype(np.float32),
        label_set=index.labels,
        age=np.full(len(ids), 50, np.float32),
        sex=np.full(len(ids), "male"),
        site=np.full(len(ids), "back"),
        origin=origin,
    )


def made_up_history(epochs: int = 5) -> list[Epoch]:
    rows = []
    for epoch in range(1, epochs + 1):
        validation = {"loss": 1.2 / epoch, "accuracy": 0.8, "balanced_accuracy": 0.6 + 0.03 * min(epoch, 4), "macro_f1": 0.6}
        rows.append(Epoch(epoch, 1e-4 / epoch, 1.5 / epoch, 0.7, validation, 120.0, 30.0, 0.02, epoch <= 4))
    return rows


def write_run(folder: Path, index: Index, recipe: Recipe, resamples: int = 100) -> Path:
    """Every artifact of a pipeline except checkpoint, store and audit."""
    split = make_split(index, recipe.split)
    write_text(folder / "recipe.toml", recipe_to_toml(recipe))
    write_index(index, folder / "index.csv")
    write_split(split, folder / "split.json")
    write_plan(plan_training(index, split, recipe), folder / "plan.csv", split, recipe)
    predictions = made_up_predictions(index, split, recipe)
    write_predictions(predictions, folder / "predictions.npz")
    write_json(folder / "scores.json", score(predictions, resamples))
    write_history(made_up_history(), folder / "train" / "history.jsonl")
    Image.new("RGB", (500, 300), (180, 140, 120)).save(folder / "gallery.png")
    return folder


@pytest.fixture(scope="session")
def image_index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    return write_images(tmp_path_factory.mktemp("images") / "photos")


@pytest.fixture(scope="session")
def finished_run(image_index: Index, tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = recipe_from({"name": "made up", "model": {"name": "mobilenetv2_100"}})
    return write_run(tmp_path_factory.mktemp("runs") / "made-up", image_index, recipe)


@pytest.fixture
def make_run() -> Callable[[Path, Index, Recipe], Path]:
    """Writes a run folder for an index and a recipe."""
    return write_run


@pytest.fixture
def run_folder(finished_run: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


@pytest.fixture
def trained_run(small_run: Path, tmp_path: Path) -> Path:
    """A copy, to change, of a run that has its checkpoint."""
    from lesionlens.training.checkpoint import load_network

    folder = Path(shutil.copytree(small_run, tmp_path / "trained"))
    recipe = load_network(folder / "train" / "best.safetensors")[1].recipe
    write_text(folder / "recipe.toml", recipe_to_toml(recipe))
    return folder
