"""The command `pretrain`, from images to a training that starts from its weights."""

import json

import pytest
from typer.testing import CliRunner

from lesionlens.cli.main import app
from lesionlens.core.errors import DataError, RecipeError

SETTINGS = [
    *("--set", "model.name=test_convnext", "--set", "model.weights=none", "--set", "input.size=32", "--set", "input.frame=40"),
    *("--set", "pretraining.epochs=1", "--set", "pretraining.warmup_epochs=0", "--set", "pretraining.batch_size=16"),
    *("--set", "pretraining.width=32"),
]


def call(*arguments):
    result = CliRunner().invoke(app, ["pretrain", "demo", *map(str, arguments), *SETTINGS])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.mark.slow
def test_of_labelled_images_only_the_training_split_is_seen(synthetic_root, tmp_path):
    result = call("--data", synthetic_root, "--run", tmp_path, "--json")
    content = json.loads(result.stdout)
    split = json.loads((tmp_path / "split.json").read_text())["ids"]
    assert content["images"] == len(split["train"])
    held_out = len(split["validation"]) + len(split["test"])
    assert (
        f"{len(split['train'])} images of the training split, without their diagnoses, and none of the {held_out}"
        in result.stderr
    )
    assert "features: standard deviation" in result.stderr
    assert (tmp_path / "pretrain" / "backbone.safetensors").is_file()


@pytest.mark.slow
def test_a_folder_without_labels_is_enough(synthetic_root, tmp_path):
    result = call("--unlabelled", synthetic_root, "--run", tmp_path)
    assert "unlabelled images, which were not screened" in result.stderr
    assert "--set model.weights=" in result.stdout
    assert not (tmp_path / "split.json").exists()


def test_nothing_to_pretrain_on(tmp_path):
    with pytest.raises(
        RecipeError, match="nothing to pretrain on; give labelled images with --data, or others with --unlabelled"
    ):
        call("--run", tmp_path)
    with pytest.raises(DataError, match="do not exist; give a folder of images"):
        call("--run", tmp_path, "--unlabelled", tmp_path / "photos")
