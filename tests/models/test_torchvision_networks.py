"""torchvision's networks with features and head apart compute what torchvision's own do."""

import pytest
import torch
from tests.slow_values import slow_but
from torch import nn

from lesionlens.core.errors import WeightsError
from lesionlens.core.recipe import ModelRecipe
from lesionlens.explanation.cam import find_head
from lesionlens.models.build import build_network
from lesionlens.models.operators import declare_operators
from lesionlens.models.torchvision_networks import SHUFFLENET_CHANNELS, pooling_matrix

declare_operators()
import torchvision  # noqa: E402

NAMES = ("alexnet", *SHUFFLENET_CHANNELS)


@pytest.mark.parametrize("name", slow_but(["alexnet", "shufflenet_v2_x0_5"], "shufflenet_v2_x0_5"))
@pytest.mark.parametrize("size", slow_but([224, 100], 100))
def test_the_same_weights_give_torchvision_s_logits(name, size):
    torch.manual_seed(0)
    theirs = torchvision.models.get_model(name, num_classes=7).eval()
    ours = build_network(ModelRecipe(name, weights="none"), 7, size).eval()
    ours.load_state_dict(theirs.state_dict())  # and so torchvision's files fit
    images = torch.randn(2, 3, size, size)
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-5)
        features = ours.forward_head(ours.forward_features(images), pre_logits=True)
        torch.testing.assert_close(ours.get_classifier()(features), ours(images))


@pytest.mark.parametrize("name", slow_but(NAMES, *SHUFFLENET_CHANNELS))
def test_sizes_are_torchvision_s(name):
    ours = build_network(ModelRecipe(name, weights="none"), 1000)
    theirs = torchvision.models.get_model(name)
    assert {key: value.shape for key, value in ours.state_dict().items()} == {
        key: value.shape for key, value in theirs.state_dict().items()
    }


@pytest.mark.parametrize("cells", [1, 2, 5, 6, 11, 12, 13])
def test_pooling_is_torch_s_adaptive_pooling(cells):
    values = torch.randn(1, 1, cells, cells)
    matrix = pooling_matrix(cells, 6)
    torch.testing.assert_close(matrix @ values @ matrix.T, nn.functional.adaptive_avg_pool2d(values, 6))


def test_a_closed_form_of_the_heat_maps_where_the_head_is_plain():
    shufflenet, alexnet = (build_network(ModelRecipe(name, weights="none"), 7) for name in ("shufflenet_v2_x0_5", "alexnet"))
    assert find_head(shufflenet) is not None
    assert find_head(alexnet) is None


@pytest.mark.slow
def test_dropout_reaches_them():
    rates = [
        [
            module.p
            for module in build_network(ModelRecipe(name, weights="none", drop_rate=rate), 7).modules()
            if isinstance(module, nn.Dropout)
        ]
        for name, rate in (("alexnet", 0.0), ("alexnet", 0.2), ("shufflenet_v2_x0_5", 0.2))
    ]
    assert rates == [[0.5, 0.5], [0.2, 0.2], [0.2]]


def test_their_imagenet_weights_are_a_pickle_and_the_message_says_what_to_do():
    with pytest.raises(WeightsError, match=r"alexnet has no ImageNet weights to load.*pickle.*lesionlens convert") as caught:
        build_network(ModelRecipe("alexnet", weights="imagenet"), 7)
    assert "\n" not in str(caught.value)
