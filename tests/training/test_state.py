"""A new state: where things lie and which network is used."""

import pytest
import torch
from torch import nn

from lesionlens.core.recipe import ModelRecipe, TrainingRecipe
from lesionlens.models.build import build_network
from lesionlens.training.state import build_state

CPU = torch.device("cpu")


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 2))


def test_memory_format_is_the_recipes():
    for channels_last in (True, False):
        state = build_state(network(), TrainingRecipe(channels_last=channels_last), 10, CPU)
        assert state.network[0].weight.is_contiguous(memory_format=torch.channels_last) == channels_last


def test_the_network_to_use_is_the_averaged_one_if_there_is_one():
    plain = build_state(network(), TrainingRecipe(), 10, CPU)
    assert plain.inference_network is plain.network
    averaged = build_state(network(), TrainingRecipe(ema_decay=0.9), 10, CPU)
    assert averaged.inference_network is not averaged.network


def test_the_first_rate_is_that_of_the_warmup():
    assert build_state(network(), TrainingRecipe(), 10, CPU).learning_rate == pytest.approx(5e-6)


def test_the_rate_of_a_state_is_that_of_the_head():
    recipe = TrainingRecipe(layer_decay=0.5, learning_rate_scaling="linear", learning_rate_batch=32)
    net = build_network(ModelRecipe("resnet18", weights="none"), 7, 64, pretrained=False)
    assert build_state(net, recipe, 10, CPU).learning_rate == pytest.approx(2 * 5e-6)
