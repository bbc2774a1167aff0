"""Subgroups of a run folder: what is read where it is there, and what does not belong together."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lesionlens.assessment.resampling import Resampling
from lesionlens.assessment.subgroups.run_subgroups import subgroups_of_run
from lesionlens.core.artifact import write_text
from lesionlens.core.errors import ArtifactError
from lesionlens.core.recipe_file import recipe_to_toml
from lesionlens.core.run import Run
from lesionlens.data.index import read_index, write_index
from lesionlens.evaluation.predictions import read_predictions
from lesionlens.training.checkpoint import load_info


@pytest.fixture
def run(small_run: Path, tmp_path: Path) -> Run:
    run = Run.at(shutil.copytree(small_run, tmp_path / "run"))
    run.write_recipe(load_info(run.best).recipe)
    return run


def reasons(run: Run) -> dict[str, str]:
    result: dict[str, Any] = subgroups_of_run(run, read_predictions(run.predictions), Resampling(100))
    return {each["name"]: each["reason"] for each in result["attributes"] if each["reason"]}


def test_a_whole_run_knows_every_attribute(run: Run) -> None:
    assert reasons(run) == {}


def test_without_a_store_there_is_neither_size_nor_tone(run: Run) -> None:
    shutil.rmtree(run.store)
    assert set(reasons(run)) == {"lesion_size", "skin_tone"}


def test_without_an_index_only_what_the_predictions_hold(run: Run) -> None:
    run.index.unlink()
    found = reasons(run)
    assert set(found) == {"dx_type", "dataset", "lesion_size", "skin_tone"}
    assert found["dx_type"].startswith("the run has no index; index the images again with: lesionlens index ROOT")


def test_an_index_of_an_earlier_version_belongs_to_the_run_but_lacks_columns(run: Run) -> None:
    index = read_index(run.index)
    records = tuple(replace(record, dx_type="", dataset="") for record in index.records)
    write_index(replace(index, records=records), run.index)
    assert set(reasons(run)) == {"dx_type", "dataset"}


def test_another_index(run: Run) -> None:
    index = read_index(run.index)
    write_index(replace(index, records=index.records[:-1]), run.index)
    with pytest.raises(ArtifactError, match=r"index.csv is not the index of predictions.npz; predict again"):
        reasons(run)


def test_a_store_of_another_recipe(run: Run) -> None:
    recipe = load_info(run.best).recipe
    write_text(run.recipe, recipe_to_toml(replace(recipe, input=replace(recipe.input, frame=96))))
    with pytest.raises(ArtifactError, match=r"store was not packed for recipe.toml .* lesionlens pack INDEX"):
        reasons(run)
