"""Grids: read strictly, rows from arms and axes, and the paper's tables as they are printed."""

import csv
import doctest
from pathlib import Path

import pytest
from tests.slow_values import slow_but

from lesionlens.core.errors import RecipeError
from lesionlens.core.recipe_file import load_recipe
from lesionlens.experiments import grid as grids
from lesionlens.experiments.grid import flat, grid_names, grid_text, load_grid, merged, seeds_of, single
from lesionlens.experiments.points import points_of
from lesionlens.models.build import check_takes
from lesionlens.reporting import paper_tables
from lesionlens.reporting.paper_tables import paper_row, paper_rows

BASE = 'base = "demo"\n'


def read(tmp_path: Path, text: str, *overrides: str):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return load_grid(path, overrides)


def test_arms_with_every_value_of_every_axis(tmp_path):
    grid = read(
        tmp_path,
        BASE
        + """
seeds = [3, 5]
[axes]
training.batch_size = [8, 16]
model.drop_rate = [0.1]
[arms.plain]
title = "no mixing"
augmentation.mixup_p = 0.0
[arms.mixed]
augmentation.mixup_p = 0.5
paper = "both"
""",
    )
    assert grid.name == "mine"
    assert [row.name for row in grid.rows] == ["plain, 8, 0.1", "plain, 16, 0.1", "mixed, 8, 0.1", "mixed, 16, 0.1"]
    assert grid.rows[1].settings == {"augmentation.mixup_p": 0.0, "training.batch_size": 16, "model.drop_rate": 0.1}
    assert [row.title for row in grid.rows] == ["no mixing", "no mixing", "", ""]
    assert [row.paper for row in grid.rows] == ["plain, 8, 0.1", "plain, 16, 0.1", "both", "both"]
    assert grid.heading == "arm, training.batch_size, model.drop_rate"
    assert grid.seeds == (3, 5)
    recipe = grid.recipe(grid.rows[3])
    assert (recipe.training.batch_size, recipe.augmentation.mixup_p, recipe.name) == (16, 0.5, "mine mixed, 16, 0.1")


def test_set_and_overrides_change_the_base_of_all_rows(tmp_path):
    text = BASE + "[set]\ntraining.epochs = 9\n[axes]\ntraining.batch_size = [8, 16]\n"
    grid = read(tmp_path, text, "training.epochs=7", "input.size=48")
    assert {grid.recipe(row).training.epochs for row in grid.rows} == {7}
    assert {grid.recipe(row).input.size for row in grid.rows} == {48}


def test_another_base(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(BASE + "[axes]\ntraining.batch_size = [8, 16]\n")
    assert load_grid(path, base="light").base == load_recipe("light")


def test_tables_as_values(tmp_path):
    grid = read(
        tmp_path, BASE + "[arms.less]\naugmentation.probabilities = { gaussian_blur = 0.1 }\n[arms.more]\ntraining.epochs = 9"
    )
    assert grid.recipe(grid.rows[0]).augmentation.probabilities == {"gaussian_blur": 0.1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[axes]\ntraining.epochs = [9]", "has no base"),
        (BASE, r"neither \[axes\] nor \[arms\]"),
        (BASE + "seed = 3\n[axes]\ntraining.epochs = [9]", "unknown key seed; did you mean seeds"),
        (BASE + "seeds = 0\n[axes]\ntraining.epochs = [9]", "seeds = 0; it must be a number from 1"),
        (BASE + "seeds = [1, 1]\n[axes]\ntraining.epochs = [9]", "list of different whole numbers"),
        (BASE + "folds = 1\n[axes]\ntraining.epochs = [9]", "folds must be 0 or from 2"),
        (BASE + "folds = 2\nsources = true\n[axes]\ntraining.epochs = [9]", "has folds and sources"),
        (BASE + "folds = 2\n[axes]\nsplit.fold = [0, 1]", "which its folds or sources decide"),
        (BASE + "[axes]\nseed = [1, 2]", "give the seeds of the grid as `seeds`"),
        (BASE + "[axes]\ntraining.epochs = 9", "it must be a list of values"),
        (BASE + "[axes]\ntraining.epochs = [9, 9]", "two rows '9'"),
        (BASE + "[arms]\nfirst = 3", "arm first = 3; it must be a table"),
        (BASE + 'primary = "f1"\n[axes]\ntraining.epochs = [9]', "metric 'f1' cannot be tested"),
        (BASE + 'hours = "3"\n[axes]\ntraining.epochs = [9]', "hours = '3'; it must be a number"),
        (BASE + "base = 3", "is not TOML"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, text, message):
    with pytest.raises(RecipeError, match=message) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        ('training.optimiser = ["sgd"]', "unknown key training.optimiser; did you mean optimizer"),
        ('trainig.optimizer = ["sgd"]', "unknown key trainig; did you mean training"),
        ('training.optimizer = ["sdg"]', "did you mean sgd"),
    ],
)
def test_unknown_settings_name_the_nearest(tmp_path, axis, message):
    grid = read(tmp_path, f"{BASE}[axes]\n{axis}\n")
    with pytest.raises(RecipeError, match=f"grid 'mine', row '.*': .*{message}"):
        points_of(grid)


def test_an_axis_may_be_one_parameter_of_a_transform(tmp_path):
    axis = "[axes]\naugmentation.probabilities.gaussian_blur = [0.1, 0.5]\n"
    grid = read(tmp_path, BASE.replace("demo", "light") + axis)
    found = [grid.recipe(row).augmentation.probabilities for row in grid.rows]
    assert [each["gaussian_blur"] for each in found] == [0.1, 0.5]
    assert {each["motion_blur"] for each in found} == {0.1}, "the base's other probabilities stay"


def test_an_override_of_an_axis_is_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"rows of grid 'mine' set training\.epochs themselves"):
        read(tmp_path, BASE + "[axes]\ntraining.epochs = [9, 10]", "training.epochs=3")
    with pytest.raises(RecipeError, match="give the seeds of the grid as `seeds`"):
        read(tmp_path, BASE + "[axes]\ntraining.epochs = [9, 10]", "seed=3")


def test_an_unknown_grid_names_the_known_ones():
    with pytest.raises(RecipeError, match=r"grid table8 does not exist.*known names are table9, table12.*did you mean"):
        grid_text("table8")


@pytest.mark.parametrize("name", grid_names())
def test_the_grids_of_the_package(name):
    grid = load_grid(name)
    points = points_of(grid)
    assert len(points) == len(grid.rows) * len(grid.seeds)
    assert grid.name == name == (grid.paper or "networks")
    assert not any(point.recipe.split.protocol == "paper" for point in points), "the leaking protocol must be asked for"
    assert all(paper_row(name, row.paper) for row in grid.rows if grid.paper and row.paper != "none"), (
        "every row stands in the paper"
    )


MANY = ("networks", "table12", "table13", "table16", "table17")


@pytest.mark.parametrize("name", slow_but(grid_names(), *(name for name in grid_names() if name not in MANY)))
def test_every_network_of_a_grid_takes_its_size(name):
    grid = load_grid(name)
    for recipe in {(point.recipe.model, point.recipe.input.size): point.recipe for point in points_of(grid)}.values():
        check_takes(recipe.model, recipe.input.size)


@pytest.mark.parametrize("name", ["table9", "table12", "table13", "table14", "table15"])
def test_the_paper_s_own_experiments_are_complete(name):
    assert {row.paper for row in load_grid(name).rows} == set(paper_rows(name))


@pytest.mark.parametrize("base", ["paper", "light"])
def test_the_arms_of_table_9_are_what_they_are_called(base):
    grid = load_grid("table9", base=base)
    found = {row.name: grid.recipe(row).augmentation for row in grid.rows}
    assert not any(each.originals for each in found.values()), "the arm `base` would be augmented"
    assert {name: (each.offline_fill > 0, each.mixup_p > 0, each.cutmix_p > 0) for name, each in found.items()} == {
        "base": (False, False, False),
        "offline": (True, False, False),
        "online": (False, True, True),
        "both": (True, True, True),
    }
    assert next(iter(found)) == "base"


def test_one_row_of_a_recipe_as_it_is():
    recipe = load_recipe("demo")
    (row,) = single(recipe, "folds").rows
    assert single(recipe, "folds").recipe(row).hash("training") == recipe.hash("training")


def test_examples_hold():
    for module in (grids, paper_tables):
        results = doctest.testmod(module)
        assert results.attempted
        assert not results.failed


def test_settings_by_key():
    assert flat({"a": {"b": {"c": 1}}, "d": 2}) == {"a.b": {"c": 1}, "d": 2}
    value = {"a": {"b": 1, "c": 2}}
    assert merged(value, {"a.b": 3, "e": 4}) == {"a": {"b": 3, "c": 2}, "e": 4}
    assert value == {"a": {"b": 1, "c": 2}}
    with pytest.raises(RecipeError, match="seeds = True"):
        seeds_of(True, "mine")


def test_the_data_file_holds_the_paper_s_tables(shared_root):
    """Tables 13 to 17 beside the paper's own, value by value."""
    files = {"table13": "table13_input_size", "table14": "table14_optimizers", "table15": "table15_batch_size"}
    files |= {"table16": "table16_other_networks", "table17": "table17_convnext_hybrids"}
    for table, file in files.items():
        printed = list(csv.DictReader((shared_root / "paper" / f"{file}.csv").read_text().splitlines()))
        ours = [paper_row(table, row) for row in paper_rows(table)]
        assert len(ours) == len(printed)
        for row, theirs in zip(ours, printed, strict=True):
            metrics = {
                key: value
                for key, value in theirs.items()
                if key in ("accuracy", "precision", "recall", "specificity", "f1", "auc")
            }
            assert {key: round(100 * each["value"], 4) for key, each in row.items()} == {
                key: float(value) for key, value in metrics.items() if value
            }
