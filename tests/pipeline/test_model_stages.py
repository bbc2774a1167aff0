"""Training with what a recipe adds to the data set: unlabelled images and concepts."""

import numpy as np
import pytest
import torch
from PIL import Image

from lesionlens.core.errors import DataError
from lesionlens.core.progress import Reporter
from lesionlens.core.recipe_file import load_recipe
from lesionlens.core.run import Run
from lesionlens.data.index import read_index
from lesionlens.pipeline import data_stages, model_stages
from lesionlens.pipeline.job import ImageSource
from lesionlens.pipeline.preflight import check_stages
from lesionlens.training.checkpoint import load_info
from lesionlens.training.distributed import World

SMALL = [
    *("model.name=test_convnext", "model.weights=none", "input.size=32", "input.frame=32", "training.epochs=1"),
    *("training.warmup_epochs=0", "training.monitor=loss"),
]


@pytest.fixture
def run(synthetic_root, tmp_path):
    run, recipe = Run.at(tmp_path / "run"), load_recipe("demo", SMALL)
    data_stages.index(run, ImageSource(synthetic_root))
    data_stages.split(run, recipe.split)
    data_stages.pack(run, recipe)
    model_stages.augment(run, recipe, gallery=False)
    return run


def train(run, *changes):
    notes = []
    recipe = load_recipe("demo", [*SMALL, *changes])
    model_stages.train(run, recipe, World(torch.device("cpu")), reporter=Reporter(notes.append))
    return notes


@pytest.mark.slow
def test_a_recipe_names_unlabelled_images_and_concepts(run, tmp_path):
    index, photos = read_index(run.index), tmp_path / "photos"
    photos.mkdir()
    pixels = np.kron(np.random.default_rng(0).integers(0, 256, (6, 8, 3)), np.ones((12, 12, 1))).astype(np.uint8)
    Image.fromarray(pixels).save(photos / "new.png")
    known = index.records[0]
    Image.open(index.image_path(known)).save(photos / f"{known.image_id}.png")
    table = tmp_path / "concepts.csv"
    rows = [f"{record.image_id},{number % 4}" for number, record in enumerate(index.records)]
    table.write_text("\n".join(["image_id,colours", *rows]) + "\n")
    semi = (f"semi_supervised.images={photos}", "semi_supervised.threshold=0.1")
    notes = train(run, *semi, f"concepts.table={table}", "concepts.columns=colours")
    assert notes[0] == "1 of 2 unlabelled images are used"
    assert notes[1].startswith("left out 1 unlabelled images, ")
    assert any(note.startswith("concepts of ") for note in notes)
    assert "pseudo-labels of" in notes[-1]
    info = load_info(run.best)
    assert info.unlabelled_hash
    assert [unit["name"] for unit in info.concepts["units"]] == ["colours"]
    assert (run.folder / "unlabelled.screening.json").is_file()


def test_what_is_missing_is_found_before_the_first_stage(tmp_path):
    recipe = load_recipe("demo", [*SMALL, f"semi_supervised.images={tmp_path / 'photos'}"])
    with pytest.raises(DataError, match="do not exist; give a folder of images"):
        check_stages(recipe, {"train": True})
    recipe = load_recipe("demo", [*SMALL, f"concepts.table={tmp_path / 'c.csv'}", "concepts.columns=colours"])
    with pytest.raises(DataError, match=r"c\.csv cannot be read .* give the path of a CSV file"):
        check_stages(recipe, {"train": True})
