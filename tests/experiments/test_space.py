"""Spaces: from a grid with ranges, around a recipe, and what is wrong in one."""

from pathlib import Path

import pytest

from lesionlens.core.errors import RecipeError
from lesionlens.experiments.space import Range, Space, default_axes, load_space


def read(tmp_path: Path, text: str) -> Space:
    path = tmp_path / "space.toml"
    path.write_text(text)
    return load_space(str(path))


def test_a_space_from_a_grid(tmp_path):
    space = read(
        tmp_path,
        """
base = "demo"
[axes]
training.learning_rate = { low = 1e-4, high = 1e-2, log = true }
training.batch_size = [16, 32]
augmentation.probabilities = [{ gaussian_blur = 0.1 }, {}]
training.epochs = { low = 6, high = 9 }
[arms.mixed]
title = "with mixing"
augmentation.mixup_p = 0.3
""",
    )
    assert space.axes == {
        "training.learning_rate": Range(1e-4, 1e-2, True, False),
        "training.batch_size": (16, 32),
        "augmentation.probabilities": ({"gaussian_blur": 0.1}, {}),
        "training.epochs": Range(6, 9, False, True),
    }
    assert space.arms == {"mixed": {"augmentation.mixup_p": 0.3}}
    assert list(space.choices("augmentation.probabilities")) == ['{ "gaussian_blur" = 0.1 }', "{}"]
    drawn = {
        "arm": "mixed",
        "training.learning_rate": 1e-3,
        "training.batch_size": "32",
        "augmentation.probabilities": "{}",
        "training.epochs": 7,
    }
    assert space.settings(drawn) == {
        "augmentation.mixup_p": 0.3,
        "training.learning_rate": 1e-3,
        "training.batch_size": 32,
        "augmentation.probabilities": {},
        "training.epochs": 7,
    }


def test_a_space_around_a_recipe():
    space = load_space("light", ["training.epochs=4"])
    assert space.axes == default_axes(space.base)
    assert space.base.training.epochs == 4
    assert load_space("table14").axes == {"training.optimizer": ("adamw", "adam", "nadam", "sgd")}


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        ("{ low = 1.0 }", "it must be a list of values or a range"),
        ("3", "it must be a list of values or a range"),
        ("{ low = 2.0, high = 1.0 }", "low must be below high"),
        ("{ low = 0.0, high = 1.0, log = true }", "low above 0 with log"),
        ("{ low = '1', high = 1.0 }", "low must be below high"),
    ],
)
def test_wrong_ranges(tmp_path, axis, message):
    with pytest.raises(RecipeError, match=message):
        read(tmp_path, f'base = "demo"\n[axes]\ntraining.learning_rate = {axis}\n')


def test_an_unknown_space():
    with pytest.raises(RecipeError, match="lihgt is neither a file nor the name of a grid or recipe; did you mean light"):
        load_space("lihgt")


def test_another_space_has_another_hash(tmp_path):
    text = 'base = "demo"\n[axes]\ntraining.learning_rate = { low = 1e-4, high = 1e-2 }\n'
    assert read(tmp_path, text).hash == read(tmp_path, "# a comment\n" + text).hash
    assert read(tmp_path, text).hash != read(tmp_path, text.replace("1e-2", "1e-3")).hash


def test_unknown_keys(tmp_path):
    with pytest.raises(RecipeError, match="unknown key sed; did you mean seeds"):
        read(tmp_path, 'base = "demo"\nsed = 1\n[axes]\ntraining.epochs = [6]\n')
