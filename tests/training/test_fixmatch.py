"""FixMatch: thresholds and loss by hand, views by seed, whole runs with unlabelled images."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from tests.training.conftest import first_epochs
from torch import nn
from torch.nn import functional

from lesionlens.core.errors import CheckpointError, RecipeError, TrainingError
from lesionlens.core.recipe import Recipe, SemiSupervisedRecipe
from lesionlens.data.image import frame_spec, input_spec
from lesionlens.data.sources.unlabelled import read_unlabelled
from lesionlens.training.batches import Batches, plan_rows
from lesionlens.training.fixmatch import FixMatch, class_thresholds
from lesionlens.training.history import read_history
from lesionlens.training.run import train_run
from lesionlens.training.unlabelled import prepare_unlabelled

CODES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
TIMINGS = {"images_per_second": 0.0, "seconds": 0.0, "waiting_share": 0.0}


@pytest.fixture(scope="module")
def recipe(artifacts, tmp_path_factory):
    """The recipe of the tests with a folder of twenty unlabelled images; a network without training is confident of 0.1."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(20):
        pixels = np.kron(rng.integers(0, 256, (6, 8, 3)), np.ones((12, 12, 1))).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"photo_{number}.png")
    semi = SemiSupervisedRecipe(images=str(folder), ratio=0.5, threshold=0.1)
    return replace(artifacts.changed(training={"epochs": 2}), semi_supervised=semi)


@pytest.fixture(scope="module")
def unlabelled(artifacts, recipe, tmp_path_factory):
    listed, folder = read_unlabelled_of(recipe), tmp_path_factory.mktemp("unlabelled")
    return prepare_unlabelled(listed, frame_spec(recipe.input), folder / "store", artifacts.inputs)


def read_unlabelled_of(recipe):
    from pathlib import Path

    return read_unlabelled(Path(recipe.semi_supervised.images))


@pytest.fixture
def fixmatch(artifacts, recipe, unlabelled):
    data = artifacts.inputs
    rows = plan_rows(data.plan, data.store, data.index)
    batches = Batches(rows, data.store.images, input_spec(recipe.input), recipe, artifacts.world)
    return FixMatch(unlabelled, recipe, input_spec(recipe.input), artifacts.world, batches, CODES)


def run(artifacts, recipe, unlabelled, out, stop_after=None):
    epochs = train_run(artifacts.inputs, recipe, out, artifacts.validate, world=artifacts.world, unlabelled=unlabelled)
    return first_epochs(epochs, stop_after)


def test_thresholds_follow_the_progress_relative_to_the_prior():
    prior = torch.tensor([0.5, 0.25, 0.25])
    found = class_thresholds(torch.tensor([100, 50, 25]), prior, 0.9)
    torch.testing.assert_close(found, torch.tensor([0.9, 0.9, 0.45]))  # half of the progress: 0.9 / 3, but at least 0.45
    found = class_thresholds(torch.tensor([100, 40, 0]), prior, 0.9)
    torch.testing.assert_close(found, torch.tensor([0.9, 0.9 * 0.8 / 1.2, 0.45]))
    torch.testing.assert_close(class_thresholds(torch.zeros(3), prior, 0.9), torch.full((3,), 0.9))


class Fixed(nn.Module):
    """Gives the logits that it was made with."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, images):
        return self.logits[: len(images)]


def test_only_confident_predictions_count(fixmatch):
    logits = torch.full((3, 7), -10.0)
    logits[0, 5], logits[1, 4], logits[2, 3] = 10.0, -9.9, 10.0  # sure of nv, unsure, sure of df
    fixmatch.thresholds.fill_(0.95)
    network = Fixed(logits).train()
    pseudo = fixmatch.pseudo_labels(network, torch.zeros(3, 3, 8, 8))
    assert pseudo.mask.tolist() == [True, False, True]
    assert network.training
    assert fixmatch.counted() == {**dict.fromkeys(CODES, 0), "nv": 1, "df": 1}
    strong = torch.randn(3, 7, requires_grad=True)
    loss = fixmatch.loss(strong, pseudo, total=3)
    by_hand = (
        functional.cross_entropy(strong[:1], torch.tensor([5])) + functional.cross_entropy(strong[2:], torch.tensor([3]))
    ) / 3
    torch.testing.assert_close(loss, by_hand)
    loss.backward()
    assert strong.grad[1].abs().max() == 0


def test_views_depend_on_image_epoch_and_draw(fixmatch):
    numbers = np.array([3, 4])
    views = fixmatch.views(numbers, 1, range(2), 2)
    assert views.weak.shape == views.strong.shape == (2, 3, 32, 32)
    assert torch.equal(views.strong, fixmatch.views(numbers, 1, range(2), 2).strong)
    assert torch.equal(views.weak[1:], fixmatch.views(numbers[1:], 1, [1], 2).weak)
    for other in (fixmatch.views(numbers, 2, range(2), 2), fixmatch.views(numbers, 1, range(5, 7), 2)):
        assert not torch.equal(views.weak, other.weak)
    assert not torch.equal(views.weak, views.strong)


def test_every_image_is_drawn_before_one_is_drawn_again(fixmatch):
    order = fixmatch._order(1)
    assert len(order) == fixmatch.total > 20
    assert sorted(order[:20]) == list(range(20))
    assert not np.array_equal(order[:20], fixmatch._order(2)[:20])


@pytest.mark.slow
def test_pseudo_labels_of_every_epoch_are_counted(artifacts, recipe, unlabelled, tmp_path):
    epochs = run(artifacts, recipe, unlabelled, tmp_path)
    for epoch in epochs:
        assert list(epoch.pseudo_labels) == list(CODES)
        assert 0 < sum(epoch.pseudo_labels.values()) <= epoch.unlabelled
    assert "  pseudo-labels of " in epochs[0].line(2)
    assert read_history(tmp_path / "history.jsonl") == tuple(epochs)


@pytest.mark.slow
@pytest.mark.parametrize("threshold_by", ["all", "class"])
def test_one_epoch_and_one_equal_two(artifacts, recipe, unlabelled, tmp_path, threshold_by):
    recipe = replace(recipe, semi_supervised=replace(recipe.semi_supervised, threshold_by=threshold_by))
    whole = run(artifacts, recipe, unlabelled, tmp_path / "whole")
    run(artifacts, recipe, unlabelled, tmp_path / "parts", stop_after=1)
    run(artifacts, recipe, unlabelled, tmp_path / "parts")
    parts = read_history(tmp_path / "parts" / "history.jsonl")
    assert [replace(epoch, **TIMINGS) for epoch in parts] == [replace(epoch, **TIMINGS) for epoch in whole]


@pytest.mark.slow
def test_unlabelled_images_change_the_training(artifacts, recipe, unlabelled, tmp_path):
    with_images = run(artifacts, recipe, unlabelled, tmp_path / "with", stop_after=1)[0]
    without = run(artifacts, replace(recipe, semi_supervised=SemiSupervisedRecipe()), None, tmp_path / "without", stop_after=1)[0]
    assert with_images.validation != without.validation
    assert "pseudo_labels" not in without.to_json()
    assert "pseudo" not in without.line(2)


@pytest.mark.slow
def test_another_set_does_not_resume(artifacts, recipe, unlabelled, tmp_path):
    run(artifacts, recipe, unlabelled, tmp_path, stop_after=1)
    fewer = replace(unlabelled, ids=unlabelled.ids[1:])
    with pytest.raises(CheckpointError, match="was trained with another set of unlabelled images; choose another --out"):
        run(artifacts, recipe, fewer, tmp_path)
    with pytest.raises(TrainingError, match="but no unlabelled images are given"):
        run(artifacts, recipe, None, tmp_path / "none")


def test_what_does_not_go_together():
    semi = {"images": "photos"}
    with pytest.raises(RecipeError, match=r"semi_supervised\.images = 'photos'; it must be empty with model\.metadata"):
        Recipe(semi_supervised=semi, model={"metadata": ["age"]})
    with pytest.raises(RecipeError, match=r"it must be empty with training\.contrastive_weight above 0"):
        Recipe(semi_supervised=semi, training={"contrastive_weight": 1.0})
    with pytest.raises(RecipeError, match=r"semi_supervised\.threshold = 1\.0; it must be from 0 to below 1"):
        Recipe(semi_supervised={"threshold": 1.0})


@pytest.mark.slow
def test_unlabelled_images_are_as_small_as_the_labelled_ones(artifacts, recipe, unlabelled, tmp_path):
    """With progressive resizing the first epoch has images of 32 pixels, where the frames have 40."""
    larger = artifacts.changed(recipe, input={"size": 40, "frame": 40}, training={"progressive": 0.5})
    epoch = run(artifacts, larger, unlabelled, tmp_path, stop_after=1)[0]
    assert epoch.unlabelled == unlabelled_total(artifacts)


def unlabelled_total(artifacts):
    """Half as many as there are labelled rows, rounded in each mini-batch."""
    from lesionlens.training.order import cut_batches

    return sum(round(0.5 * (cut.stop - cut.start)) for cut in cut_batches(len(artifacts.inputs.plan), 16))
