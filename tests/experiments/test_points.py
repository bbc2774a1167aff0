"""Points: order, names of folders, folds, and rows that are the same."""

from dataclasses import replace

import pytest

from lesionlens.core.errors import RecipeError
from lesionlens.experiments.grid import Row
from lesionlens.experiments.points import points_of


def test_the_rows_of_the_first_seed_come_first(small_grid):
    points = points_of(small_grid)
    assert [point.label for point in points] == ["adamw, seed 0", "sgd, seed 0", "adamw, seed 1", "sgd, seed 1"]
    assert [(point.recipe.training.optimizer, point.recipe.seed) for point in points] == [
        *(("adamw", 0), ("sgd", 0)),
        *(("adamw", 1), ("sgd", 1)),
    ]


def test_folders_are_readable_and_follow_the_settings(small_grid):
    folders = [point.folder for point in points_of(small_grid)]
    assert len(set(folders)) == 4
    assert folders[0].startswith("adamw-seed0-")
    other = replace(small_grid, base=replace(small_grid.base, training=replace(small_grid.base.training, epochs=3)))
    assert not set(folders) & {point.folder for point in points_of(other)}
    odd = replace(small_grid, rows=(Row("../a b/ü, 0.1", {"training.epochs": 5}),))
    assert "/" not in points_of(odd)[0].folder
    assert not points_of(odd)[0].folder.startswith(".")


def test_what_a_grid_does_not_run_does_not_count(small_grid):
    compression = replace(small_grid.base.compression, sparsity=0.9)
    other = replace(small_grid, name="other", base=replace(small_grid.base, compression=compression))
    assert [point.hash for point in points_of(other)] == [point.hash for point in points_of(small_grid)]


def test_equal_rows_are_refused(small_grid):
    rows = (Row("a", {"training.epochs": 5}), Row("b", {"training.batch_size": 16}), Row("c", {"training.epochs": 5}))
    with pytest.raises(RecipeError, match="rows 'a' and 'c' of grid 'small' are the same") as caught:
        points_of(replace(small_grid, rows=rows))
    assert "\n" not in str(caught.value)
    rows = (Row("sparse", {"compression.sparsity": 0.9}), Row("dense", {"compression.sparsity": 0.1}))
    with pytest.raises(RecipeError, match="no setting of input, split"):
        points_of(replace(small_grid, rows=rows))


def test_folds(small_grid):
    points = points_of(replace(small_grid, folds=3, seeds=(7,)))
    assert [point.label for point in points][:2] == ["adamw, fold 0, seed 7", "sgd, fold 0, seed 7"]
    splits = [(point.recipe.split.protocol, point.recipe.split.folds, point.recipe.split.fold) for point in points]
    assert splits == [("lesion-kfold", 3, fold) for fold in (0, 0, 1, 1, 2, 2)]


def test_sources(small_grid):
    points = points_of(replace(small_grid, sources=True, seeds=(0,)), ("rosendahl", "vidir modern"))
    assert [point.label for point in points][1:3] == ["sgd, rosendahl, seed 0", "adamw, vidir modern, seed 0"]
    assert {(point.recipe.split.protocol, point.recipe.split.test_source) for point in points} == {
        ("source", "rosendahl"),
        ("source", "vidir modern"),
    }
    assert points[2].folder.startswith("adamw-vidir-modern-seed0-")
