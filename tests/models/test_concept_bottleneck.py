"""The concept bottleneck: its two layers as one classifier, in networks of several kinds, with heat maps in closed form."""

import pytest
import torch
from torch import nn

from lesionlens.compression.count import paper_count
from lesionlens.compression.prune import prune_structured, prune_unstructured
from lesionlens.core.errors import ModelError
from lesionlens.core.recipe import ModelRecipe
from lesionlens.explanation.cam import ExplainedNetwork, find_head
from lesionlens.models.build import build_network
from lesionlens.models.concept_bottleneck import ConceptBottleneck, bottleneck_of, install_bottleneck

NETWORKS = ["test_convnext", "mobilenetv2_100", "convnext_transformer"]


def network_with(name="test_convnext", n_concepts=5):
    torch.manual_seed(0)
    network = build_network(ModelRecipe(name, weights="none"), 7, 64)
    install_bottleneck(network, n_concepts)
    for parameter in bottleneck_of(network).parameters():
        nn.init.normal_(parameter)
    return network.eval()


def test_two_layers_are_one_classifier():
    bottleneck = ConceptBottleneck(12, 3, 7)
    features = torch.randn(4, 12)
    as_one = nn.functional.linear(features, bottleneck.weight, bottleneck.bias)
    torch.testing.assert_close(bottleneck(features), as_one)
    assert torch.linalg.matrix_rank(bottleneck.weight) <= 3
    assert sum(parameter.numel() for parameter in bottleneck.parameters()) == 12 * 3 + 3 + 3 * 7 + 7


@pytest.mark.parametrize("name", NETWORKS)
def test_it_takes_the_place_of_the_classifier(name):
    network = network_with(name)
    assert network(torch.randn(2, 3, 64, 64)).shape == (2, 7)
    assert find_head(network, 64) is not None
    assert bottleneck_of(network).concepts.out_features == 5


def test_heat_maps_are_those_of_autograd():
    network, images = network_with(), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        logits, _, maps = ExplainedNetwork(network, 64)(images)
    features = network.forward_features(images).detach().requires_grad_()
    network.forward_head(features)[:, 4].sum().backward()
    by_autograd = (features.grad.sum((2, 3), keepdim=True) / features[0, 0].numel() * features).sum(1).relu()
    torch.testing.assert_close(maps[:, 4], by_autograd.detach(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(logits, network(images), rtol=1e-4, atol=1e-5)


def test_pruning_sees_each_weight_once():
    network = network_with()
    pruned = prune_unstructured(network, 0.5)
    layers = [each for each in pruned.modules() if isinstance(each, nn.Conv2d | nn.Linear) and bottleneck_of(pruned) is not each]
    weights = torch.cat([layer.weight.flatten() for layer in layers])
    assert (weights == 0).float().mean() == pytest.approx(0.5, abs=0.001)
    with pytest.raises(ModelError, match="a network with a concept bottleneck cannot lose channels; leave"):
        prune_structured(network, 64, 0.3)
    plain = build_network(ModelRecipe("test_convnext", weights="none"), 7, 64)
    difference = 5 * (plain.num_features + 1) + 7 * 6 - 7 * (plain.num_features + 1)
    assert paper_count(network, network)["linear"] - paper_count(plain, plain)["linear"] == difference
