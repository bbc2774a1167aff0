"""torch.compile, with a clear error where it cannot work."""

from __future__ import annotations

import os
import shutil
from typing import cast

import torch
from torch import nn

from lesionlens.core.errors import TrainingError


def compiled(network: nn.Module, device: torch.device) -> nn.Module:
    """The network run through torch.compile; it shares the parameters of `network`.

    Raises:
        TrainingError: if there is no C++ compiler, which torch.compile needs on a CPU.
    """
    compilers = [os.environ.get("CXX", ""), "g++", "clang++"]
    if device.type == "cpu" and not any(shutil.which(name) for name in compilers if name):
        raise TrainingError(
            "training.compile needs a C++ compiler, but there is none; install g++ or set training.compile = false"
        )
    return cast(nn.Module, torch.compile(network, dynamic=False))
