"""Channel-pruned networks are read back from the shapes of their tensors."""

from dataclasses import replace

import pytest
import torch
from tests.slow_values import slow_but
from torch import nn

from lesionlens.compression.prune import prune_structured
from lesionlens.core.errors import CheckpointError, ModelError
from lesionlens.core.labels import HAM10000
from lesionlens.core.recipe import InputRecipe, ModelRecipe, Recipe
from lesionlens.data.image import input_spec
from lesionlens.models.build import build_network
from lesionlens.models.channel_pruned import reshape_to
from lesionlens.training.checkpoint import CheckpointInfo, load_network, save_network

SIZE = 64
FAMILIES = [  # LayerNorm and layer scale, response norm, squeeze and excite, depthwise, plain, grouped
    "test_convnext",
    "convnextv2_atto",
    "test_efficientnet",
    "efficientnet_lite0",
    "mobilenetv2_035",
    "test_resnet",
    "resnext50_32x4d",
]


def build(name):
    torch.manual_seed(0)
    return build_network(ModelRecipe(name, weights="none"), 7, SIZE)


def shake(network):
    """Move every value from its start, so that nothing is equal by chance; variances stay above 0."""
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(torch.rand_like(tensor) * 0.1)
    return network


def info_of(name, channel_pruned=True):
    recipe = Recipe(input=InputRecipe(size=SIZE), model=ModelRecipe(name, weights="none"))
    return CheckpointInfo(
        HAM10000, input_spec(recipe.input), recipe, "split", "plan", "index", "lesion", False, channel_pruned=channel_pruned
    )


@pytest.mark.parametrize("name", slow_but(FAMILIES, "test_convnext", "test_efficientnet", "test_resnet"))
def test_a_slim_network_comes_back(tmp_path, name):
    cut = shake(prune_structured(build(name), SIZE, 0.4)).eval()
    save_network(cut, info_of(name), tmp_path / "best.safetensors")
    read, info = load_network(tmp_path / "best.safetensors")
    assert info == info_of(name)
    images = torch.rand(2, 3, SIZE, SIZE)
    assert torch.equal(read(images), cut(images))
    assert [type(module) for module in read.modules()] == [type(module) for module in cut.modules()]


def test_a_network_read_back_says_its_sizes():
    cut = prune_structured(build("test_efficientnet"), SIZE, 0.4)
    read = build("test_efficientnet")
    reshape_to(read, cut.state_dict())
    for theirs, ours in zip(cut.modules(), read.modules(), strict=True):
        for name in ("in_channels", "out_channels", "groups", "in_features", "out_features", "num_features"):
            if isinstance(theirs, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
                assert getattr(ours, name, None) == getattr(theirs, name, None)


@pytest.mark.slow
def test_a_slim_network_trains(tmp_path):
    read = build("test_convnext")
    reshape_to(read, prune_structured(read, SIZE, 0.4).state_dict())
    read.load_state_dict(prune_structured(build("test_convnext"), SIZE, 0.4).state_dict())
    read(torch.rand(2, 3, SIZE, SIZE)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in read.parameters())


def test_the_whole_network_stays_as_it_is():
    network = build("test_convnext")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    reshape_to(network, before)
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in before.items())


def tensors(name="test_resnet"):
    return dict(prune_structured(build(name), SIZE, 0.4).state_dict())


def without_a_name(values):
    del values["conv1.0.weight"]


def with_a_foreign_name(values):
    values["other.weight"] = torch.zeros(1)


def with_more_dimensions(values):
    values["conv1.0.weight"] = values["conv1.0.weight"][None]


def with_other_classes(values):
    values["fc.weight"], values["fc.bias"] = values["fc.weight"][:5], values["fc.bias"][:5]


def with_a_layer_that_does_not_fit(values):
    values["layer2.0.conv1.weight"] = values["layer2.0.conv1.weight"][:, :-8]


def with_a_bias_of_another_length(values):
    values["fc.bias"] = torch.zeros(6)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_a_name, "conv1.0.weight"),
        (with_a_foreign_name, "other.weight"),
        (with_more_dimensions, "5 dimensions; the network has 4"),
        (with_other_classes, "change the number of classes from 7"),
        (with_a_layer_that_does_not_fit, "do not fit each other"),
        (with_a_bias_of_another_length, "do not fit each other"),
    ],
)
def test_shapes_that_cannot_fit_are_one_line(tmp_path, spoil, message):
    values = tensors()
    spoil(values)
    with pytest.raises(ModelError, match=message):
        reshape_to(build("test_resnet"), values)
    carrier = nn.Module()
    carrier.state_dict = lambda: values  # written as they are
    save_network(carrier, info_of("test_resnet"), tmp_path / "best.safetensors")
    with pytest.raises(CheckpointError, match=f"does not fit a channel-pruned test_resnet: .*{message}") as caught:
        load_network(tmp_path / "best.safetensors")
    assert "\n" not in str(caught.value)


def test_only_a_checkpoint_that_says_so_may_be_channel_pruned(tmp_path):
    save_network(
        prune_structured(build("test_resnet"), SIZE, 0.4),
        info_of("test_resnet", channel_pruned=False),
        tmp_path / "best.safetensors",
    )
    with pytest.raises(CheckpointError, match="does not fit its network"):
        load_network(tmp_path / "best.safetensors")


def test_a_checkpoint_from_before_channel_pruned_networks_is_read():
    value = info_of("test_resnet", channel_pruned=False).to_json()
    del value["channel_pruned"], value["derived"]
    assert CheckpointInfo.from_json(value) == replace(info_of("test_resnet"), channel_pruned=False)
