"""Averaged weights."""

from __future__ import annotations

import copy

import torch
from torch import nn


class AveragedNetwork:
    """An exponential moving average of a network's weights and buffers (Polyak averaging).

    Update t keeps min(decay, (1 + t) / (10 + t)) of the old average: with a constant decay, a short
    run would keep too much of its initial weights. Integer buffers (counters of batch
    norms) are copied.

    Attributes:
        network: the averaged copy, in evaluation mode.
        updates: number of updates so far.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0

    def decay_now(self) -> float:
        """Share of the old average that the next update keeps."""
        return min(self.decay, (1 + self.updates) / (10 + self.updates))

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the average towards the weights of `network`."""
        keep = self.decay_now()
        self.updates += 1
        averaged, current = self.network.state_dict(), network.state_dict()
        floats = [name for name, tensor in current.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([averaged[name] for name in floats], [current[name] for name in floats], 1 - keep)
        for name in current.keys() - set(floats):
            averaged[name].copy_(current[name])
