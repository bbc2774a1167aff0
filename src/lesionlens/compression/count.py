"""Count the parameters, zeros and products of a network, and repeat the paper's own count."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

FLOAT_BYTES = 4
MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Counts:
    """Size of a network, regardless of its number format.

    Attributes:
        parameters: all parameters.
        nonzero: those that are not zero.
        macs: multiply-accumulate operations for one image; zeros are multiplied like any number.
    """

    parameters: int
    nonzero: int
    macs: int

    def to_json(self) -> dict[str, int]:
        """The counts by their names in JSON."""
        return {"parameters": self.parameters, "nonzero_parameters": self.nonzero, "macs": self.macs}


def count(network: nn.Module, size: int) -> Counts:
    """Count a network in float.

    Args:
        network: not changed.
        size: side of its images, pixels.
    """
    tensors = list(network.parameters())
    nonzero = sum(int(torch.count_nonzero(tensor)) for tensor in tensors)
    return Counts(sum(tensor.numel() for tensor in tensors), nonzero, macs(network, size))


def macs(network: nn.Module, size: int) -> int:
    """Multiply-accumulate operations for one image (1, 3, size, size), in convolutions and matrix products only."""
    probe = copy.deepcopy(network).eval()
    device = next(probe.parameters()).device
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        probe(torch.zeros(1, 3, size, size, device=device))
    return int(counter.get_total_flops()) // 2


def paper_count(network: nn.Module, dynamic: nn.Module) -> dict[str, Any]:
    """The paper's count of "parameters" and "size" (its table 11), and the parameters it omits.

    Args:
        network: in float.
        dynamic: the same network after `quantize.dynamic_int8`.

    Returns:
        `fp32` and `dynamic_int8` with `parameters` and `size_mib` (four bytes each); `linear`: the
        parameters inside linear layers, which still exist, packed, but are not listed by `parameters()`.
    """
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    linear = sum(tensor.numel() for layer in layers for tensor in layer.parameters(recurse=False))
    return {"fp32": _paper_size(network), "dynamic_int8": _paper_size(dynamic), "linear": linear}


def _paper_size(network: nn.Module) -> dict[str, Any]:
    parameters = sum(tensor.numel() for tensor in network.parameters())
    return {"parameters": parameters, "size_mib": FLOAT_BYTES * parameters / MEBIBYTE}
