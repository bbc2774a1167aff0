"""Number formats: which one a device supports well, and how to compute in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import MethodType

import torch
from torch import Tensor, nn

from lesionlens.core.errors import RecipeError

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def cpu_has_bf16() -> bool:
    """Whether this CPU multiplies bf16 natively (AVX512-BF16 or AMX); elsewhere it is slower than fp32."""
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    known = [bool(capabilities[name]) for name in ("avx512_bf16", "amx_bf16", "bf16") if name in capabilities]
    if known:
        return any(known)
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def resolve_precision(precision: str, device: torch.device) -> str:
    """The format that training runs in: `fp32`, `bf16` or `fp16`.

    `auto` is bf16 where the device multiplies it natively, otherwise fp16 with loss scaling on a
    GPU and fp32 on a CPU.

    Raises:
        RecipeError: for `fp16` on a CPU, which has no fast kernels for it.
    """
    if precision == "fp16" and device.type == "cpu":
        raise RecipeError('training.precision = "fp16" on a CPU; loss-scaled fp16 needs a GPU. Set it to "auto"')
    if precision != "auto":
        return precision
    if device.type == "cpu":
        return "bf16" if cpu_has_bf16() else "fp32"
    return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """The context in which the forward pass runs; does nothing for `fp32`."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=DTYPES[precision])


def has_slow_bf16_gradient(module: nn.Module) -> bool:
    """Whether a CPU computes the bf16 gradient of this convolution with a slow reference kernel.

    oneDNN 3.12 has fast kernels only for depthwise convolutions of 3 x 3 and stride 1: with stride 2
    the gradient of the input is about 100 times slower in bf16 than in fp32, with 5 x 5 and 7 x 7
    the gradient of the weights about twice as slow.
    """
    if not isinstance(module, nn.Conv2d) or not 1 < module.groups == module.in_channels:
        return False
    return (module.kernel_size, module.stride, module.dilation) != ((3, 3), (1, 1), (1, 1))


def avoid_slow_bf16(network: nn.Module, device: torch.device, precision: str) -> None:
    """On a CPU, run the convolutions of `network` that have slow bf16 gradients in fp32.

    Only their forward pass changes; parameters and names stay.
    """
    if (device.type, precision) != ("cpu", "bf16"):
        return
    for module in network.modules():
        if has_slow_bf16_gradient(module):
            module.forward = MethodType(_forward_in_fp32, module)


def _forward_in_fp32(self: nn.Module, images: Tensor) -> Tensor:
    with torch.autocast("cpu", enabled=False):
        result: Tensor = type(self).forward(self, images.float())
    return result


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Flush denormal numbers to zero in this block; on a CPU they are very slow and irrelevant here.

    The previous setting is restored, because other code of the process may need denormals.
    """
    previous = float(torch.tensor(2.0**-1074, dtype=torch.float64) * 1) == 0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(previous)


def build_scaler(device: torch.device, precision: str) -> torch.amp.GradScaler:
    """The loss scaler; it passes everything through unless the format is fp16."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")
