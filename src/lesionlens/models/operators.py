"""Import timm with a torchvision that was built for another torch.

torchvision registers fake versions of two operators when it is imported. If its compiled extension
cannot be loaded (a CUDA build with a CPU torch, or another torch version), the operators do not
exist and the import fails with `operator torchvision::nms does not exist`, see
https://github.com/pytorch/pytorch/issues/157648. Declaring them first is enough, because timm needs
only torchvision's transforms. No other module depends on this. The virtual environment of `make`
declares them in every Python process, see `tools/torchvision_hook.py`.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType

import torch

DECLARATIONS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


@cache
def timm() -> ModuleType:
    """Import timm, whatever torchvision is installed."""
    declare_operators()
    import timm as module

    return module


@cache
def optim() -> ModuleType:
    """timm's optimizers and parameter groups, which `import timm` leaves out."""
    timm()
    import timm.optim as module

    return module


@cache
def auto_augment() -> ModuleType:
    """timm's operations of RandAugment."""
    timm()
    import timm.data.auto_augment as module

    return module


@cache
def vision_transformer() -> ModuleType:
    """timm's blocks of vision transformers."""
    timm()
    import timm.models.vision_transformer as module

    return module


@cache
def declare_operators() -> None:
    """Declare the operators that `import torchvision` needs, unless its extension provides them."""
    if not _extension_loads():
        library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for declaration in DECLARATIONS:
            library.define(declaration)  # type: ignore[no-untyped-call]
        _libraries.append(library)


_libraries: list[torch.library.Library] = []  # a library withdraws its operators when it is collected


def _extension_loads() -> bool:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return False
    for path in Path(spec.origin).parent.glob("_C*.so"):
        try:
            torch.ops.load_library(str(path))  # type: ignore[no-untyped-call]
        except OSError:
            return False
    return hasattr(torch.ops.torchvision, "nms")
