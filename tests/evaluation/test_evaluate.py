import dataclasses
import json

import numpy as np
import pytest
import torch
import typer
from torch import nn
from typer.testing import CliRunner

from lesionlens.cli.evaluate import compare, evaluate
from lesionlens.core.errors import ArtifactError, CheckpointError, RecipeError
from lesionlens.core.recipe import Recipe
from lesionlens.core.recipe_file import recipe_from
from lesionlens.data.dataset import Dataset
from lesionlens.data.image import InputSpec
from lesionlens.data.index import write_index
from lesionlens.data.sources.source import read_source
from lesionlens.data.split import make_split, write_split
from lesionlens.data.store import Store, pack
from lesionlens.evaluation.evaluate import PredictionSettings, predict_split
from lesionlens.evaluation.evaluate import evaluate as evaluate_checkpoint
from lesionlens.evaluation.predictions import read_predictions
from lesionlens.models.build import build_network
from lesionlens.training.checkpoint import CheckpointInfo, save_network

SPEC = InputSpec(size=32, frame=40, resize="squash", mean=(0.7, 0.5, 0.5), std=(0.2, 0.2, 0.2))
RECIPE: Recipe = recipe_from(
    {
        "name": "small",
        "seed": 7,
        "input": {"size": 32, "frame": 40},
        "split": {"validation": 0.2, "test": 0.3},
        "model": {"name": "test_resnet", "weights": "none"},
        "evaluation": {"resamples": 100},
    }
)


@pytest.fixture(scope="module")
def run(synthetic_root, tmp_path_factory):
    """A run folder with an untrained network."""
    folder = tmp_path_factory.mktemp("run")
    index = read_source(synthetic_root)
    split = make_split(index, RECIPE.split)
    write_index(index, folder / "index.csv")
    write_split(split, folder / "split.json")
    pack(index, SPEC, folder / "store")
    torch.manual_seed(0)
    network = build_network(RECIPE.model, len(index.labels), SPEC.size)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    info = CheckpointInfo(index.labels, SPEC, RECIPE, split.hash, "plan", index.hash, split.protocol, split.leaks)
    save_network(network, info, folder / "train" / "best.safetensors")
    return folder, index, split, info, network


def inputs(run):
    folder, index, split, _, _ = run
    return folder / "train" / "best.safetensors", Dataset(index, split, Store.open(folder / "store"))


@pytest.fixture(scope="module")
def command():
    app = typer.Typer()
    app.command()(evaluate)
    app.command()(compare)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def test_predictions_hold_the_truth_of_the_index(run):
    checkpoint, dataset = inputs(run)
    index, split = dataset.index, dataset.split
    predictions = predict_split(checkpoint, dataset)
    assert tuple(predictions.image_ids) == split.ids["test"]
    records = [index.by_id()[image_id] for image_id in predictions.image_ids]
    assert [predictions.codes[label] for label in predictions.labels] == [record.dx for record in records]
    assert predictions.lesion_ids.tolist() == [record.lesion_id for record in records]
    assert predictions.site.tolist() == [record.site for record in records]
    assert [None if np.isnan(age) else float(age) for age in predictions.age] == [record.age for record in records]
    origin = predictions.origin
    assert (origin.name, origin.seed, origin.protocol, origin.split, origin.views) == ("small", 7, "lesion", "test", 1)
    assert (origin.leaks, origin.leak_rate) == (False, 0.0)
    assert origin.hashes["split"] == split.hash


def test_pixels_are_those_of_the_store(run):
    checkpoint, dataset = inputs(run)
    split, store = dataset.split, dataset.store
    predictions = predict_split(checkpoint, dataset, PredictionSettings(split="validation", batch_size=5))
    images = store.images[store.rows(split.ids["validation"])][:, 4:36, 4:36]
    mean, std = (torch.tensor(value).view(1, 3, 1, 1) for value in (SPEC.mean, SPEC.std))
    with torch.no_grad():
        logits = run[4].eval()((torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - mean) / std)
    np.testing.assert_allclose(predictions.logits, logits, atol=1e-3 * float(logits.abs().max()))
    assert predictions.logits.std(0).min() > 0


def test_known_pairs_unite_lesions(run):
    checkpoint, dataset = inputs(run)
    index, split, store = dataset.index, dataset.split, dataset.store
    first, second = (image_id for image_id in split.ids["test"][:2])
    by_id = index.by_id()
    paired = dataclasses.replace(split, pairs=((first, second),))
    info = dataclasses.replace(run[3], split_hash=paired.hash)
    path = checkpoint.with_name("paired.safetensors")
    save_network(run[4], info, path)
    predictions = predict_split(path, Dataset(index, paired, store))
    assert set(predictions.lesion_ids[:2]) == {min(by_id[first].lesion_id, by_id[second].lesion_id)}


def test_images_left_out_of_the_store_are_counted(run):
    checkpoint, dataset = inputs(run)
    split, store = dataset.split, dataset.store
    store.dropped = {split.ids["test"][0]: "is damaged"}
    predictions = predict_split(checkpoint, dataset)
    assert tuple(predictions.image_ids) == split.ids["test"][1:]
    assert predictions.origin.n_dropped == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split_hash": "0" * 64}, r"another split .* may have been trained on.*--split"),
        ({"spec": dataclasses.replace(SPEC, frame=48)}, "expects frames of 48 pixels.*lesionlens pack"),
        ({"spec": dataclasses.replace(SPEC, resize="short_side")}, "resize short_side"),
    ],
)
def test_what_does_not_belong_is_refused(run, change, message, tmp_path):
    _, dataset = inputs(run)
    save_network(run[4], dataclasses.replace(run[3], **change), tmp_path / "best.safetensors")
    with pytest.raises(CheckpointError, match=message):
        evaluate_checkpoint(tmp_path / "best.safetensors", dataset, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_diagnoses_are_refused(run, tmp_path):
    _, dataset = inputs(run)
    turned = dataclasses.replace(dataset.index.labels, diagnoses=dataset.index.labels.diagnoses[::-1])
    save_network(run[4], dataclasses.replace(run[3], labels=turned), tmp_path / "best.safetensors")
    with pytest.raises(CheckpointError, match="the diagnoses must be the same"):
        predict_split(tmp_path / "best.safetensors", dataset)


@pytest.mark.parametrize(
    "options",
    [{"split": "tests"}, {"views": 4}, {"batch_size": 0}, {"resamples": 10}, {"confidence": 95.0}],
    ids=lambda options: next(iter(options)),
)
def test_bad_settings_are_refused(options):
    with pytest.raises(RecipeError):
        PredictionSettings(**options)


def test_empty_part_is_refused(run, tmp_path):
    _, dataset = inputs(run)
    empty = dataclasses.replace(dataset.split, ids={**dataset.split.ids, "test": ()})
    save_network(run[4], dataclasses.replace(run[3], split_hash=empty.hash), tmp_path / "best.safetensors")
    with pytest.raises(RecipeError, match="holds no images"):
        predict_split(tmp_path / "best.safetensors", dataclasses.replace(dataset, split=empty))


def test_command_writes_and_prints(run, command):
    folder = run[0]
    done = command("evaluate", folder / "train" / "best.safetensors")
    assert done.exit_code == 0
    assert "balanced accuracy" in done.stdout
    assert "LEAKING" not in done.stdout
    scores = json.loads((folder / "scores.json").read_text())
    assert (scores["resamples"], scores["views"]) == (100, 1)
    assert len(read_predictions(folder / "predictions.npz")) == scores["n_images"]


def test_command_names_what_is_missing(run, command, tmp_path):
    with pytest.raises(CheckpointError, match="is no file; give the checkpoint of a run"):
        command("evaluate", run[0])
    lone = tmp_path / "train" / "best.safetensors"
    lone.parent.mkdir()
    lone.write_bytes(b"cut short")
    with pytest.raises(ArtifactError, match=r"index\.csv"):
        command("evaluate", lone)
    paths = [
        f"--{name}={run[0] / file}" for name, file in (("index", "index.csv"), ("split-file", "split.json"), ("store", "store"))
    ]
    with pytest.raises(CheckpointError, match=r"best\.safetensors"):
        command("evaluate", lone, *paths)
    assert [path.name for path in tmp_path.iterdir()] == ["train"]


def test_commands_with_every_path_given_and_json(run, command, tmp_path):
    folder = run[0]
    paths = ("--index", folder / "index.csv", "--split-file", folder / "split.json", "--store", folder / "store")
    checkpoint = folder / "train" / "best.safetensors"
    for views in (1, 8):
        done = command(
            "evaluate", checkpoint, *paths, "--views", views, "--confidence", 0.9, "--out", tmp_path / str(views), "--json"
        )
        assert (json.loads(done.stdout)["views"], json.loads(done.stdout)["confidence"]) == (views, 0.9)
    files = [tmp_path / views / "predictions.npz" for views in ("1", "8")]
    done = command("compare", *files, "--resamples", 100, "--json", "--out", tmp_path / "compare.json")
    assert json.loads(done.stdout) == json.loads((tmp_path / "compare.json").read_text())
    assert "exact McNemar" in command("compare", *files, "--resamples", 100).stdout


def test_the_validation_split_is_predicted_beside_the_test_split(run, tmp_path):
    checkpoint, dataset = inputs(run)
    counts: list[int] = []
    evaluate_checkpoint(checkpoint, dataset, tmp_path, PredictionSettings(), counts.append)
    validation = read_predictions(tmp_path / "validation.npz")
    alone = predict_split(checkpoint, dataset, PredictionSettings(split="validation"))
    np.testing.assert_array_equal(validation.logits, alone.logits)
    assert validation.origin == alone.origin
    assert sum(counts) == len(dataset.ids("test")) + len(dataset.ids("validation"))
    assert read_predictions(tmp_path / "predictions.npz").split == "test"


@pytest.mark.parametrize("split", ["train", "validation"])
def test_beside_another_split_it_is_not(run, tmp_path, split):
    evaluate_checkpoint(*inputs(run), tmp_path, PredictionSettings(split=split))
    assert {path.name for path in tmp_path.iterdir()} == {"predictions.npz", "scores.json"}


def test_the_command_says_what_it_wrote(run, tmp_path):
    app = typer.Typer()
    app.command()(evaluate)
    done = CliRunner().invoke(app, [str(inputs(run)[0]), "--out", str(tmp_path)])
    assert done.exit_code == 0
    for name in ("predictions.npz", "validation.npz", "scores.json"):
        assert str(tmp_path / name) in done.stderr
    other = CliRunner().invoke(app, [str(inputs(run)[0]), "--out", str(tmp_path / "train"), "--split", "train"])
    assert "validation.npz" not in other.stderr
