"""torch.compile: used where it works, refused in one line where it does not."""

import shutil

import pytest
import torch
from torch import nn

from lesionlens.core.errors import TrainingError
from lesionlens.training.compiled import compiled

CPU = torch.device("cpu")


def test_without_a_compiler_it_is_refused(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(TrainingError, match="training.compile = false"):
        compiled(nn.Linear(1, 1), CPU)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # torch's own, on importing its compiler
def test_with_a_compiler_the_parameters_are_shared(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    network = nn.Linear(1, 1)
    parameters = {id(parameter) for parameter in compiled(network, CPU).parameters()}
    assert parameters == {id(parameter) for parameter in network.parameters()}
