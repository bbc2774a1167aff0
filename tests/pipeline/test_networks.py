"""The list of networks: what it says is what the networks do when they are built."""

import pytest
import torch

from lesionlens.core.errors import ModelError
from lesionlens.core.recipe import ModelRecipe
from lesionlens.core.recipe_file import load_recipe, recipe_names
from lesionlens.explanation.attribution import build_explainer
from lesionlens.models.build import build_network
from lesionlens.pipeline import networks
from lesionlens.pipeline.networks import Network, describe_networks, network_names


@pytest.mark.slow
def test_the_papers_network_by_hand():
    (described,), left_out = describe_networks(["convnext_tiny"])
    assert described == Network("convnext_tiny", 27_825_511, 224, True, "imagenet", 9, "grad-cam (closed form)")
    assert left_out == {}


@pytest.mark.parametrize(
    ("name", "size", "any_size", "normalise", "weights", "heat_map"),
    [
        ("test_resnet", 160, True, "half", True, "grad-cam (closed form)"),
        ("mobilenetv3_small_050", 224, True, "imagenet", True, "grad-cam (captum)"),
        ("vit_tiny_patch16_224", 224, False, "half", True, "grad-cam (tokens of norm1 of the last block)"),
        ("mobilenetv2_035", 224, True, "imagenet", False, "grad-cam (closed form)"),
    ],
)
def test_each_kind(name, size, any_size, normalise, weights, heat_map):
    (described,), _ = describe_networks([name])
    assert (described.input_size, described.any_size, described.normalise) == (size, any_size, normalise)
    assert (described.weights > 0, described.heat_map) == (weights, heat_map)


@pytest.mark.slow
def test_every_small_network_has_the_heat_map_that_it_is_said_to_have():
    """The kind is found on the smallest network of a class and head; here every one is built."""
    described, left_out = describe_networks(network_names("test_*"))
    assert len(described) > 10
    for network in described:
        built = build_network(ModelRecipe(network.name, weights="none"), 7, network.input_size)
        assert build_explainer(built, network.input_size, "auto").name == network.heat_map, network.name
        assert sum(parameter.numel() for parameter in built.parameters()) == network.parameters
        assert built(torch.zeros(2, 3, network.input_size, network.input_size)).shape == (2, 7)
    assert not {network.name for network in described} & left_out.keys()


def test_one_class_with_two_heads_is_tried_twice(monkeypatch):
    tried = []
    monkeypatch.setattr(networks, "_heat_map", lambda network: tried.append(network.name) or network.name)
    described, _ = describe_networks(["convnext_tiny_hnf", "convnext_tiny", "convnext_atto"])
    assert tried == ["convnext_atto", "convnext_tiny_hnf"]  # the norm of the second comes before pooling
    assert [network.heat_map for network in described] == ["convnext_tiny_hnf", "convnext_atto", "convnext_atto"]


@pytest.mark.slow
def test_a_very_large_network_is_not_tried():
    (described,), _ = describe_networks(["vit_huge_patch14_224"])
    assert described.parameters > 600_000_000
    assert described.heat_map == "not tried"


def test_what_cannot_be_built_is_named_with_the_reason():
    names = ["test_resnet", "vit_5b_patch16_sapiens2"]
    steps = []
    described, left_out = describe_networks(names, steps.append)
    assert [network.name for network in described] == ["test_resnet"]
    assert left_out == {"vit_5b_patch16_sapiens2": "its input is 3 x 1024 x 768, not a square of three channels"}
    assert steps == [1, 1]


def test_without_a_pattern_the_recipes_networks_come_first():
    names = network_names()
    of_recipes = {load_recipe(name).model.name for name in recipe_names()}
    assert set(names[: len(of_recipes)]) == of_recipes
    assert len(names) == len(set(names)) <= 16
    for family in ("efficientnet_", "tf_efficientnet_lite", "mobilenetv3", "resnet", "densenet", "swin_", "convnext"):
        assert any(name.startswith(family) for name in names), family


def test_patterns():
    assert "resnet50d" in network_names("resnet50")
    assert all("lite" in name for name in network_names("*lite*"))
    assert network_names("convnext_tin?") == network_names("ConvNeXt_Tin?") == ["convnext_tiny"]
    with pytest.raises(ModelError, match="near are convnext_tiny.fb_in1k"):
        network_names("convnext_tiny.fb_im1k")
    with pytest.raises(ModelError, match="no network of timm fits 'convnxt_tiny'; near are convnext_tiny"):
        network_names("convnxt_tiny")
    with pytest.raises(ModelError, match="near are none"):
        network_names("####")


@pytest.mark.slow
def test_a_dot_asks_for_the_sets_of_weights_of_a_network():
    names = network_names("convnext_tiny.")
    assert "convnext_tiny.fb_in22k_ft_in1k_384" in names
    (plain,), _ = describe_networks(["convnext_tiny"])
    (tagged,), _ = describe_networks(["convnext_tiny.fb_in22k_ft_in1k_384"])
    assert plain.weights == len(names)
    assert (tagged.input_size, tagged.weights, tagged.parameters) == (384, 1, plain.parameters)
