"""Number formats by device."""

import copy

import pytest
import torch
from torch import nn

from lesionlens.core.errors import RecipeError
from lesionlens.training import precision
from lesionlens.training.precision import (
    autocast,
    avoid_slow_bf16,
    build_scaler,
    flushed_denormals,
    has_slow_bf16_gradient,
    resolve_precision,
)

CPU = torch.device("cpu")


@pytest.mark.parametrize(("has_bf16", "expected"), [(True, "bf16"), (False, "fp32")])
def test_auto_on_a_cpu(monkeypatch, has_bf16, expected):
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: has_bf16)
    assert resolve_precision("auto", CPU) == expected


@pytest.mark.parametrize(("has_bf16", "expected"), [(True, "bf16"), (False, "fp16")])
def test_auto_on_a_gpu(monkeypatch, has_bf16, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bf16)
    assert resolve_precision("auto", torch.device("cuda")) == expected


def test_fp16_on_a_cpu_is_refused():
    with pytest.raises(RecipeError, match="auto"):
        resolve_precision("fp16", CPU)


def test_only_fp16_is_scaled():
    assert not build_scaler(CPU, "bf16").is_enabled()
    assert not build_scaler(CPU, "fp32").is_enabled()


def test_autocast_computes_in_the_format():
    weight = torch.ones(2, 2)
    with autocast(CPU, "bf16"):
        assert (weight @ weight).dtype == torch.bfloat16
    with autocast(CPU, "fp32"):
        assert (weight @ weight).dtype == torch.float32


@pytest.mark.parametrize(
    ("convolution", "slow"),
    [
        (nn.Conv2d(8, 8, 3, padding=1, groups=8), False),
        (nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8), True),
        (nn.Conv2d(8, 8, 7, padding=3, groups=8), True),
        (nn.Conv2d(8, 8, 3, stride=2, padding=1), False),
        (nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=4), False),
        (nn.Linear(8, 8), False),
    ],
    ids=str,
)
def test_which_gradients_are_slow(convolution, slow):
    assert has_slow_bf16_gradient(convolution) == slow


def test_slow_convolutions_alone_compute_in_float32():
    network = nn.Sequential(nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, stride=2, groups=8), nn.Conv2d(8, 8, 1))
    names = list(network.state_dict())
    avoid_slow_bf16(network, CPU, "bf16")
    dtypes = []
    copied = copy.deepcopy(network)  # as averaging does
    for module in copied:
        module.register_forward_hook(lambda module, arguments, result: dtypes.append(result.dtype))
    with torch.no_grad():
        copied[1].weight.zero_()
        copied[1].bias.zero_()
    with autocast(CPU, "bf16"):
        assert copied(torch.randn(1, 8, 8, 8)).dtype == torch.bfloat16
    assert dtypes == [torch.bfloat16, torch.float32, torch.bfloat16]
    assert list(network.state_dict()) == names
    with autocast(CPU, "bf16"):  # the copy computes with its own weights
        assert not copied[1](torch.randn(1, 8, 8, 8)).any()
        assert network[1](torch.randn(1, 8, 8, 8)).any()


@pytest.mark.parametrize(("device", "name"), [("cuda", "bf16"), ("cpu", "fp32")])
def test_elsewhere_nothing_changes(device, name):
    network = nn.Sequential(nn.Conv2d(8, 8, 3, stride=2, groups=8))
    avoid_slow_bf16(network, torch.device(device), name)
    assert "forward" not in vars(network[0])


def test_denormals_are_as_before_after_the_block():
    tiny = torch.tensor(2.0**-1074, dtype=torch.float64)
    with flushed_denormals():
        assert float(tiny * 1) == 0
        with flushed_denormals():
            assert float(tiny * 1) == 0
        assert float(tiny * 1) == 0
    assert float(tiny * 1) > 0
