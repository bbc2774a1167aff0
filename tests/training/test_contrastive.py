"""The contrastive loss: by hand, and in training."""

import doctest

import pytest
import torch

from lesionlens.models.build import build_network
from lesionlens.training import contrastive
from lesionlens.training.contrastive import ContrastiveLoss, contrastive_loss
from lesionlens.training.run import train_run


def test_example():
    assert not doctest.testmod(contrastive).failed


def test_by_hand():
    """Similarities: 0 and 1 are opposite (-1) of one diagnosis; 2 stands at right angles and differs: (2 + 2) / 9."""
    features = torch.tensor([[2.0, 0.0], [-3.0, 0.0], [0.0, 5.0]])
    assert contrastive_loss(features, torch.tensor([0, 0, 1]), margin=0.4).item() == pytest.approx(4 / 9)


def test_equal_features_of_one_diagnosis_cost_nothing():
    assert contrastive_loss(torch.ones(4, 8), torch.zeros(4, dtype=torch.long), 0.4).item() == pytest.approx(0, abs=1e-6)
    assert contrastive_loss(torch.ones(2, 8), torch.tensor([0, 1]), 0.4).item() == pytest.approx(0.6 / 2)


def test_it_sees_what_enters_the_classifier_and_has_a_gradient(artifacts):
    recipe = artifacts.changed(training={"contrastive_weight": 2.0})
    network = build_network(recipe.model, 7, 32).eval()
    loss = ContrastiveLoss(network, recipe.training)
    images = torch.randn(3, 3, 32, 32)
    network(images)
    targets = torch.eye(7)[[0, 0, 1]]
    value = loss(targets)
    features = network.forward_head(network.forward_features(images), pre_logits=True)
    torch.testing.assert_close(value, 2 * contrastive_loss(features, torch.tensor([0, 0, 1]), 0.4))
    value.backward()
    assert network.stem[0].weight.grad.abs().max() > 0


@pytest.mark.slow
def test_training_lowers_it(artifacts, tmp_path):
    losses = {}
    for weight in (0.0, 5.0):
        recipe = artifacts.changed(training={"epochs": 1, "warmup_epochs": 0.0, "contrastive_weight": weight})
        (epoch,) = train_run(artifacts.inputs, recipe, tmp_path / str(weight), artifacts.validate, world=artifacts.world)
        losses[weight] = epoch.training_loss
    assert losses[5.0] > losses[0.0] + 0.5, "the loss of a run contains it"
