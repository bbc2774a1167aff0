import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command

from lesionlens.cli.main import app
from lesionlens.core.artifact import hash_file, read_json, write_json, write_text
from lesionlens.core.errors import ArtifactError, CheckpointError, RecipeError
from lesionlens.core.recipe import SplitRecipe
from lesionlens.core.recipe_file import load_recipe, recipe_to_toml
from lesionlens.core.run import Run
from lesionlens.data.index import Index, read_index, write_index
from lesionlens.data.split import make_split, read_split, write_split
from lesionlens.evaluation.predictions import read_predictions, write_predictions
from lesionlens.evaluation.scores import score
from lesionlens.reporting import provenance
from lesionlens.reporting.run_folder import NEEDED, OPTIONAL, file_name, read_run

PROGRAM = get_command(app)  # once: describing all commands takes a tenth of a second


def test_a_whole_run_is_read(run_folder):
    run = read_run(run_folder)
    assert run.recipe.name == run.scores["name"] == "made up"
    assert len(run.index) == 236
    assert run.plan is not None
    assert len(run.history) == 5
    assert set(run.left_out) == {
        "audit.json",
        "audit.jpg",
        "train/best.safetensors",
        "assessment/decisions.json",
        "explain/faithfulness.json",
        "compress/compression.json",
        "external",
        "assessment/subgroups.json",
        "assessment/robustness.json",
    }
    np.testing.assert_allclose(run.probabilities.sum(1), 1)


def test_no_folder(tmp_path):
    with pytest.raises(ArtifactError, match="does not exist; make one with: lesionlens run RECIPE --data DATA --run "):
        read_run(tmp_path / "none")


@pytest.mark.parametrize("artifact", NEEDED)
def test_a_missing_needed_artifact_is_named_with_its_remedy(run_folder, artifact):
    name = file_name(artifact)
    (run_folder / name).unlink()
    with pytest.raises(ArtifactError, match=f"{name} is missing; .*{NEEDED[artifact]}"):
        read_run(run_folder)


@pytest.mark.parametrize("artifact", OPTIONAL)
def test_a_missing_optional_artifact_is_left_out(run_folder, artifact):
    name = file_name(artifact)
    (run_folder / name).unlink(missing_ok=True)
    assert OPTIONAL[artifact] in read_run(run_folder).left_out[name]


@pytest.mark.parametrize("remedy", [*NEEDED.values(), *OPTIONAL.values()])
def test_a_remedy_names_a_command_and_options_that_exist(remedy):
    words = remedy.split(",")[0].split()
    command = PROGRAM.get_command(None, words[1])
    known = {option for parameter in command.params for option in parameter.opts}
    assert words[0] == "lesionlens"
    assert {word for word in words if word.startswith("--")} <= known


def test_a_run_may_keep_artifacts_elsewhere(run_folder, tmp_path):
    index = shutil.move(run_folder / "index.csv", tmp_path / "all.csv")
    for name in ("index.csv.stamp.json",):
        if (run_folder / name).exists():
            shutil.move(run_folder / name, tmp_path / "all.csv.stamp.json")
    assert read_run(Run.at(run_folder, index=index)).index.hash == read_index(index).hash


@pytest.mark.parametrize("name", ["index.csv", "split.json", "predictions.npz", "scores.json", "plan.csv", "train/history.jsonl"])
def test_an_artifact_cut_short_is_refused(run_folder, name):
    content = (run_folder / name).read_bytes()
    (run_folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ArtifactError, match=name.split("/")[-1].split(".")[0]):
        read_run(run_folder)


def test_a_recipe_cut_short_is_refused(run_folder):
    (run_folder / "recipe.toml").write_text("[training]\nepochs = ")
    with pytest.raises(RecipeError):
        read_run(run_folder)


def test_predictions_of_another_split_are_stale(run_folder):
    other = make_split(read_index(run_folder / "index.csv"), SplitRecipe(seed=1))
    write_split(other, run_folder / "split.json")
    (run_folder / "plan.csv").unlink()
    with pytest.raises(ArtifactError, match=r"made from another split .* predict again"):
        read_run(run_folder)


def test_a_split_of_another_index_is_stale(run_folder):
    index = read_index(run_folder / "index.csv")
    records = (dataclasses.replace(index.records[0], site="face"), *index.records[1:])
    write_index(Index(records, index.labels, index.root, index.source), run_folder / "index.csv")
    with pytest.raises(ArtifactError, match="another index"):
        read_run(run_folder)


def test_scores_of_other_predictions_are_stale(run_folder):
    predictions = read_predictions(run_folder / "predictions.npz")
    other = dataclasses.replace(predictions, logits=np.roll(predictions.logits, 1, axis=1))
    write_json(run_folder / "scores.json", score(other, 100))
    with pytest.raises(ArtifactError, match="other predictions than predictions.npz; score again"):
        read_run(run_folder)


def test_scores_of_another_checkpoint_are_stale(run_folder):
    scores = read_json(run_folder / "scores.json")
    scores["made_from"]["checkpoint"] = "d" * 64
    write_json(run_folder / "scores.json", scores)
    with pytest.raises(ArtifactError, match="other predictions"):
        read_run(run_folder)


def test_predictions_of_another_checkpoint_are_stale(run_folder):
    checkpoint_with(run_folder, {"lesionlens": json.dumps({"info": {"versions": {}, "recipe": {}}})}, predict=False)
    with pytest.raises(ArtifactError, match="made from another checkpoint"):
        read_run(run_folder)


def test_predictions_of_another_split_are_refused(run_folder):
    predictions = read_predictions(run_folder / "predictions.npz")
    origin = dataclasses.replace(predictions.origin, split="validation")
    write_predictions(dataclasses.replace(predictions, origin=origin), run_folder / "predictions.npz")
    with pytest.raises(ArtifactError, match="not in the validation split"):
        read_run(run_folder)


def test_another_recipe_is_refused(run_folder):
    recipe = dataclasses.replace(load_recipe(run_folder / "recipe.toml"), name="another")
    write_text(run_folder / "recipe.toml", recipe_to_toml(recipe))
    with pytest.raises(ArtifactError, match="says name = 'another', but these scores were made with 'made up'"):
        read_run(run_folder)


def test_a_plan_of_another_recipe_is_stale(run_folder):
    recipe = load_recipe(run_folder / "recipe.toml")
    changed = dataclasses.replace(recipe, augmentation=dataclasses.replace(recipe.augmentation, offline_fill=0.5))
    write_text(run_folder / "recipe.toml", recipe_to_toml(changed))
    with pytest.raises(ArtifactError, match="made by another recipe"):
        read_run(run_folder)


def test_scores_without_a_metric_are_refused(run_folder):
    scores = read_json(run_folder / "scores.json")
    del scores["metrics"]["ece"]
    write_json(run_folder / "scores.json", scores)
    with pytest.raises(ArtifactError, match="lacks ece"):
        read_run(run_folder)


def test_the_split_hash_is_what_the_hash_list_shows(run_folder):
    run = read_run(run_folder)
    shown = dict(provenance.hashes(run))
    assert shown["split"] == read_split(run_folder / "split.json").hash == run.scores["made_from"]["split"]
    assert {"index", "recipe", "predictions", "augmentation plan"} <= shown.keys()


def checkpoint_with(folder: Path, metadata: dict[str, str], predict: bool = True) -> None:
    head = json.dumps({"__metadata__": metadata}).encode()
    path = folder / "train" / "best.safetensors"
    path.write_bytes(len(head).to_bytes(8, "little") + head)
    if not predict:
        return
    predictions = read_predictions(folder / "predictions.npz")
    hashes = {**predictions.origin.hashes, "checkpoint": hash_file(path)}
    predictions = dataclasses.replace(predictions, origin=dataclasses.replace(predictions.origin, hashes=hashes))
    write_predictions(predictions, folder / "predictions.npz")
    write_json(folder / "scores.json", score(predictions, 100))


def info_of(folder: Path, **changes: object) -> dict[str, str]:
    recipe = {**load_recipe(folder / "recipe.toml").to_json(), **changes}
    return {"lesionlens": json.dumps({"info": {"versions": {"torch": "2.13.0"}, "recipe": recipe}})}


def test_versions_come_from_the_checkpoint(run_folder):
    checkpoint_with(run_folder, info_of(run_folder))
    assert provenance.trained_with(read_run(run_folder)) == {"torch": "2.13.0"}


def test_a_run_may_be_renamed_after_its_training(run_folder):
    checkpoint_with(run_folder, info_of(run_folder, name="old name"))
    assert read_run(run_folder).recipe.name == "made up"


def test_a_checkpoint_of_another_recipe_is_refused(run_folder):
    checkpoint_with(run_folder, info_of(run_folder, seed=7))
    with pytest.raises(ArtifactError, match="says seed = 0, but these scores were made with 7"):
        read_run(run_folder)


def test_a_foreign_checkpoint_is_refused(run_folder):
    checkpoint_with(run_folder, {})
    with pytest.raises(CheckpointError, match="no checkpoint of lesionlens"):
        read_run(run_folder)


def test_a_checkpoint_cut_short_is_refused(run_folder):
    (run_folder / "train" / "best.safetensors").write_bytes(b"cut")
    with pytest.raises(CheckpointError, match="damaged"):
        read_run(run_folder)


def test_a_run_may_move(run_folder, tmp_path):
    moved = shutil.move(run_folder, tmp_path / "moved")
    assert read_run(tmp_path / "moved").paths.folder == moved
