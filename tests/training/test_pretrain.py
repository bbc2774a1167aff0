"""Pretraining: resumed, collapsed, its weights as a start, and the images that it may not see."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from tests.training.conftest import first_epochs

from lesionlens.core.errors import CheckpointError, DataError, SplitError, TrainingError, WeightsError
from lesionlens.core.recipe import PretrainingRecipe, SplitRecipe
from lesionlens.data.image import frame_spec, input_spec
from lesionlens.data.sources.unlabelled import read_unlabelled
from lesionlens.data.split import make_split
from lesionlens.models.build import build_network
from lesionlens.models.weights import load_weights
from lesionlens.training import pretrain as module
from lesionlens.training.checkpoint import load_info
from lesionlens.training.pretrain import PretrainingImages, pretrain, read_pretraining_history
from lesionlens.training.pretraining_leaks import check_pretraining, seen_images
from lesionlens.training.run import train_run
from lesionlens.training.state_file import read_tensors
from lesionlens.training.unlabelled import ALIKE, LABELLED, NOT_SCREENED, SAME_ID, SAME_LESION, SAME_PIXELS, prepare_unlabelled

pytestmark = pytest.mark.slow

SETTINGS = PretrainingRecipe(epochs=3, batch_size=32, width=32, warmup_epochs=0.0)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def recipe(artifacts):
    return replace(artifacts.recipe, pretraining=SETTINGS)


@pytest.fixture(scope="module")
def images(artifacts):
    data = artifacts.inputs
    ids = data.ids("train")
    rows = data.store.rows(ids)
    return PretrainingImages((data.store,), np.stack([0 * rows, rows], axis=1), ids, seen_images(data, ids, None))


def run(images, recipe, out, stop_after=None, **options):
    epochs = pretrain(images, recipe, input_spec(recipe.input), out, CPU, **options)
    return first_epochs(epochs, stop_after)


@pytest.fixture(scope="module")
def unbroken(images, recipe, tmp_path_factory):
    out = tmp_path_factory.mktemp("pretrain")
    return out, run(images, recipe, out)


def test_a_pretraining_leaves_its_files(unbroken):
    out, epochs = unbroken
    assert sorted(file.name for file in out.iterdir()) == ["backbone.safetensors", "history.jsonl", "last.safetensors"]
    assert read_pretraining_history(out / "history.jsonl") == tuple(epochs)
    assert epochs[-1].loss < epochs[0].loss
    assert all(0.1 < epoch.feature_std < 1.1 and epoch.effective_rank > 1 for epoch in epochs)
    assert "standard deviation 0." in epochs[0].line(3) or "standard deviation 1." in epochs[0].line(3)


def test_one_epoch_and_the_rest_equal_the_unbroken_run(images, recipe, tmp_path, unbroken):
    assert len(run(images, recipe, tmp_path, stop_after=1)) == 1
    assert [epoch.epoch for epoch in run(images, recipe, tmp_path)] == [2, 3]
    for name, kind in (("backbone.safetensors", "pretrained"), ("last.safetensors", "pretraining")):
        mine, theirs = (read_tensors(folder / name, kind)[0] for folder in (tmp_path, unbroken[0]))
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[key], theirs[key]) for key in mine)
    assert run(images, recipe, tmp_path) == []


def test_other_settings_or_images_do_not_resume(images, recipe, tmp_path, unbroken):
    other = replace(recipe, pretraining=replace(SETTINGS, learning_rate=1e-4))
    with pytest.raises(CheckpointError, match=r"another recipe or other images; .*--restart") as error:
        run(images, other, unbroken[0])
    assert "\n" not in str(error.value)
    fewer = replace(images, rows=images.rows[1:], ids=images.ids[1:])
    with pytest.raises(CheckpointError, match="other images"):
        run(fewer, recipe, unbroken[0])


def test_a_collapse_is_one_clear_line(images, recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "relative_std", lambda projections: 0.02)
    with pytest.raises(TrainingError, match=r"collapsed in epoch 1: their standard deviation is 0.020 of 1, .* 0.1 or more") as e:
        run(images, recipe, tmp_path)
    assert "\n" not in str(e.value)
    assert not (tmp_path / "backbone.safetensors").exists()


def test_a_network_whose_projections_are_equal_has_collapsed(images, recipe, tmp_path, monkeypatch):
    """Nothing is faked but the weights: a projector of zeros gives every image the same projection."""
    built = module.build_state

    def constant(network, *rest):
        torch.nn.init.zeros_(network.projector[6].weight)
        network.projector[6].weight.requires_grad_(False)
        return built(network, *rest)

    monkeypatch.setattr(module, "build_state", constant)
    with pytest.raises(TrainingError, match=r"collapsed in epoch 1: their standard deviation is 0\.000"):
        run(images, recipe, tmp_path)


def test_too_few_images(images, recipe, tmp_path):
    few = replace(images, rows=images.rows[:5], ids=images.ids[:5])
    with pytest.raises(TrainingError, match="5 images for batches of 32; it must be at least half a batch"):
        run(few, recipe, tmp_path)


def test_the_weights_start_a_training(artifacts, recipe, unbroken, tmp_path):
    backbone = unbroken[0] / "backbone.safetensors"
    notes = []
    changed = artifacts.changed(recipe, model={"weights": str(backbone)}, training={"epochs": 1, "warmup_epochs": 0.0})
    list(train_run(artifacts.inputs, changed, tmp_path, artifacts.validate, world=artifacts.world, note=notes.append))
    assert notes[0] == (
        "initial weights from backbone.safetensors: it has no classifier, so training starts with a new one "
        "(pretrained without diagnoses, by simsiam)"
    )
    network = build_network(replace(recipe.model, weights="none"), 7, 32)
    load_weights(network, backbone, "test_convnext")
    tensors = read_tensors(backbone, "pretrained")[0]
    assert all(torch.equal(network.state_dict()[name], value) for name, value in tensors.items())
    assert load_info(tmp_path / "best.safetensors").initial_weights["classifier"] == "absent"


def test_the_state_and_another_network_are_refused(recipe, unbroken):
    network = build_network(replace(recipe.model, weights="none"), 7, 32)
    with pytest.raises(WeightsError, match=r"state of a training run; give the best\.safetensors \(or backbone"):
        load_weights(network, unbroken[0] / "last.safetensors", "test_convnext")
    with pytest.raises(WeightsError, match="is a checkpoint of test_convnext, not of convnext_atto"):
        load_weights(network, unbroken[0] / "backbone.safetensors", "convnext_atto")


def other_split(data):
    split = make_split(data.index, SplitRecipe(validation=0.2, test=0.2, seed=5))
    return replace(data, split=split)


def test_weights_of_another_split_are_refused(artifacts, unbroken, tmp_path):
    backbone = str(unbroken[0] / "backbone.safetensors")
    shutil.copyfile(backbone, tmp_path / "test_convnext.safetensors")
    check_pretraining(backbone, artifacts.inputs)
    with pytest.raises(SplitError, match=r"pretrained on another split: it has seen \d+ images of lesions that are in") as error:
        check_pretraining(backbone, other_split(artifacts.inputs))
    assert "\n" not in str(error.value)
    with pytest.raises(SplitError, match="pretrained on another split"):  # as a part of a composed network
        check_pretraining(str(tmp_path), other_split(artifacts.inputs))


@pytest.fixture
def photos(artifacts, tmp_path):
    """Unlabelled images: copies of a test image, of a training image, of another image of a test lesion, and two new ones."""
    data, folder = artifacts.inputs, tmp_path / "photos"
    folder.mkdir()
    records = data.index.by_id()
    test, train = records[data.split.ids["test"][0]], records[data.split.ids["train"][0]]

    def copy(record, name, quality=None):
        image = Image.open(data.index.image_path(record)).convert("RGB")
        image.save(folder / name, **({"quality": quality} if quality else {}))

    copy(test, "exact.png")
    copy(test, "compressed.jpg", 60)
    copy(test, f"{test.image_id}.png")
    copy(train, f"{train.image_id}.png")
    rng = np.random.default_rng(0)
    for name in ("new_1", "new_2", "lesion"):
        pixels = np.kron(rng.integers(0, 256, (6, 8, 3)), np.ones((12, 12, 1))).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    rows = [path.stem for path in sorted(folder.iterdir())]
    lesions = {"lesion": test.lesion_id}
    text = "image_id,lesion_id\n" + "".join(f"{name},{lesions.get(name, '')}\n" for name in rows)
    (folder / "list.csv").write_text(text)
    return folder, test.image_id, train.image_id


def test_images_of_validation_and_test_are_left_out(artifacts, photos, tmp_path):
    folder, test, train = photos
    listed = read_unlabelled(folder / "list.csv")
    made = prepare_unlabelled(listed, frame_spec(artifacts.recipe.input), tmp_path / "store", artifacts.inputs)
    assert made.ids == ("new_1", "new_2")
    assert made.left_out[SAME_ID] == (test,)
    assert made.left_out[SAME_LESION] == ("lesion",)
    assert made.left_out[SAME_PIXELS] == ("exact",)
    assert made.left_out[ALIKE] == ("compressed",)
    assert made.left_out[LABELLED] == (train,)
    assert made.lines()[0] == "2 of 7 unlabelled images are used"
    assert json.loads((tmp_path / "store.screening.json").read_text())["used"] == 2
    again = prepare_unlabelled(listed, frame_spec(artifacts.recipe.input), tmp_path / "store", artifacts.inputs)
    assert again.ids == made.ids


def test_without_a_split_nothing_is_screened_and_that_is_said(artifacts, photos, tmp_path):
    made = prepare_unlabelled(read_unlabelled(photos[0]), frame_spec(artifacts.recipe.input), tmp_path / "store", None)
    assert len(made.ids) == 7
    assert made.lines()[-1] == NOT_SCREENED


def test_unreadable_images_are_named(artifacts, photos, tmp_path):
    (photos[0] / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    made = prepare_unlabelled(read_unlabelled(photos[0]), frame_spec(artifacts.recipe.input), tmp_path / "store", None)
    assert list(made.unreadable) == ["broken"]
    assert any(line.startswith("left out 1 unlabelled images, not readable") for line in made.lines())


def test_nothing_left(artifacts, photos, tmp_path):
    folder, test, _ = photos
    (folder / "list.csv").write_text(f"image_id\n{test}\n")
    with pytest.raises(DataError, match="none of the 1 unlabelled images of .* is left: left out 1"):
        prepare_unlabelled(
            read_unlabelled(folder / "list.csv"), frame_spec(artifacts.recipe.input), tmp_path / "store", artifacts.inputs
        )


def test_a_training_finds_the_test_images_in_an_unscreened_pretraining(artifacts, recipe, photos, tmp_path):
    """Under other names, so that only their look tells."""
    data = artifacts.inputs
    (photos[0] / f"{photos[1]}.png").unlink()
    made = prepare_unlabelled(read_unlabelled(photos[0]), frame_spec(recipe.input), tmp_path / "store", None)
    rows = made.store.rows(made.ids)
    images = PretrainingImages((made.store,), np.stack([0 * rows, rows], axis=1), made.ids, seen_images(None, (), made))
    small = replace(recipe, pretraining=replace(SETTINGS, epochs=1, batch_size=4))
    run(images, small, tmp_path / "out")
    with pytest.raises(SplitError, match="it has seen 1 images of lesions"):
        check_pretraining(str(tmp_path / "out" / "backbone.safetensors"), data)
