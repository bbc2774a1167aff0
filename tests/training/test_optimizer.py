"""Which parameters decay, and that a step is torch's step."""

import pytest
import torch
from torch import nn

from lesionlens.core.recipe import TrainingRecipe
from lesionlens.training.optimizer import OPTIMIZERS, build_optimizer, parameter_groups


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.BatchNorm2d(4), nn.Flatten(), nn.LayerNorm(16), nn.Linear(16, 2))


def test_biases_and_norms_do_not_decay():
    net = network()
    decayed, others = parameter_groups(net, 0.1)
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert {id(p) for p in decayed["params"]} == {id(net[0].weight), id(net[5].weight)}
    assert sum(len(group["params"]) for group in (decayed, others)) == len(list(net.parameters()))


def test_frozen_parameters_are_left_out():
    net = network()
    net[0].requires_grad_(False)
    assert id(net[0].weight) not in {id(p) for group in parameter_groups(net, 0.1) for p in group["params"]}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_equals_the_plain_optimizer(name):
    plain = {
        "adamw": lambda groups: torch.optim.AdamW(groups, 1e-2, betas=(0.8, 0.999), foreach=False),
        "adam": lambda groups: torch.optim.Adam(groups, 1e-2, betas=(0.8, 0.999), foreach=False),
        "nadam": lambda groups: torch.optim.NAdam(groups, 1e-2, betas=(0.8, 0.999), foreach=False),
        "sgd": lambda groups: torch.optim.SGD(groups, 1e-2, momentum=0.8, nesterov=True, foreach=False),
    }[name]
    ours, theirs = network(), network()
    recipe = TrainingRecipe(optimizer=name, learning_rate=1e-2, beta1=0.8, weight_decay=0.1)
    optimizers = [build_optimizer(ours, recipe), plain(parameter_groups(theirs, 0.1))]
    images = torch.randn(5, 3, 4, 4)
    for _ in range(3):
        for net, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            net(images).square().mean().backward()
            optimizer.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)  # other order of sums


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_beta1_of_zero_works(name):
    net = network()
    optimizer = build_optimizer(net, TrainingRecipe(optimizer=name, beta1=0.0))
    net(torch.randn(2, 3, 4, 4)).sum().backward()
    optimizer.step()
    assert all(torch.isfinite(p).all() for p in net.parameters())
