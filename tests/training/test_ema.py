"""Averaged weights by hand."""

import pytest
import torch
from torch import nn

from lesionlens.training.ema import AveragedNetwork


def test_by_hand():
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 1.0)
    averaged = AveragedNetwork(network, decay=0.9)
    nn.init.constant_(network.weight, 2.0)
    averaged.update(network)  # keeps (1+0)/(10+0) = 0.1: 0.1 * 1 + 0.9 * 2
    assert averaged.network.weight.item() == pytest.approx(1.9)
    averaged.update(network)  # keeps 2/11
    assert averaged.network.weight.item() == pytest.approx(1.9 * 2 / 11 + 2 * 9 / 11)


def test_decay_grows_to_its_value():
    averaged = AveragedNetwork(nn.Linear(1, 1), decay=0.9)
    decays = []
    for _ in range(200):
        decays.append(averaged.decay_now())
        averaged.updates += 1
    assert decays == sorted(decays)
    assert decays[-1] == 0.9


def test_a_short_run_forgets_its_start():
    network = nn.Linear(4, 4)
    averaged = AveragedNetwork(network, decay=0.9999)
    nn.init.zeros_(network.weight)
    for _ in range(50):
        averaged.update(network)
    assert averaged.network.weight.abs().max() < 1e-4


def test_buffers_follow_and_the_copy_is_apart():
    network = nn.BatchNorm2d(2)
    averaged = AveragedNetwork(network, decay=0.5)
    network(torch.randn(4, 2, 3, 3))
    averaged.update(network)
    assert int(averaged.network.num_batches_tracked) == 1
    assert not torch.equal(averaged.network.running_mean, torch.zeros(2))
    assert not averaged.network.training
    assert not any(parameter.requires_grad for parameter in averaged.network.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())
