"""Number formats by device."""

import pytest
import torch

from lesionlens.core.errors import RecipeError
from lesionlens.training import precision
from lesionlens.training.precision import autocast, build_scaler, resolve_precision

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
