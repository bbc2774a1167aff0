"""Networks with fewer channels than their name says: layers take the sizes of a checkpoint's tensors.

A network that lost channels is written like any other: its tensors by timm's names. Their shapes
say all that is needed to build it again, so no code, pickle or configuration travels with it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lesionlens.core.errors import ModelError

PROBE_SIZE = 64


def reshape_to(network: nn.Module, tensors: Mapping[str, Tensor], size: int = PROBE_SIZE) -> None:
    """Give the layers of a freshly built network the sizes of `tensors`; their values are left to be loaded.

    Convolutions (depthwise and grouped ones too), linear layers, batch and layer norms, and the
    parameters that blocks hold themselves (layer scale) are resized. The classifier keeps its
    number of classes.

    Args:
        network: as `build_network` makes it, changed in place.
        tensors: a state dict of the same network with other channel counts.
        size: side of the input that the sizes are tried on, pixels; only networks of a fixed size care.

    Raises:
        ModelError: if names are missing or foreign, the number of dimensions or of classes differs,
            or layers do not fit one another. The network is then not to be used.
    """
    wanted = network.state_dict()
    if differing := sorted(wanted.keys() ^ tensors.keys()):
        raise ModelError(f"{len(differing)} names are in the network or in the tensors alone, for example {differing[0]}")
    n_classes = len(network.get_classifier().weight)  # type: ignore[operator]
    for path, module in network.named_modules():
        prefix = f"{path}." if path else ""
        own = [name for name, _ in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))]
        found = {name: tensors[prefix + name] for name in own if prefix + name in wanted}
        if any(tensor.shape != wanted[prefix + name].shape for name, tensor in found.items()):
            _resize(module, found, path)
    if len(network.get_classifier().weight) != n_classes:  # type: ignore[operator]
        raise ModelError(f"the classifier would have another number of classes than {n_classes}")
    _try(network, size)


def _resize(module: nn.Module, tensors: Mapping[str, Tensor], path: str) -> None:
    for name, tensor in tensors.items():
        old = getattr(module, name)
        if tensor.ndim != old.ndim:
            raise ModelError(f"{path}.{name} has {tensor.ndim} dimensions, the network wants {old.ndim}")
        new = torch.empty(tensor.shape, dtype=old.dtype, device=old.device)
        setattr(module, name, nn.Parameter(new, old.requires_grad) if isinstance(old, nn.Parameter) else new)
    if isinstance(module, nn.Conv2d):
        _resize_convolution(module)
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, nn.BatchNorm2d):
        module.num_features = len(module.running_mean if module.running_mean is not None else module.weight)
    elif isinstance(module, nn.LayerNorm):
        module.normalized_shape = tuple(module.weight.shape)


def _resize_convolution(convolution: nn.Conv2d) -> None:
    """Channels and groups from the weight (out, in / groups, h, w); a depthwise convolution stays one."""
    out_channels, per_group = convolution.weight.shape[:2]
    if 1 < convolution.groups == convolution.in_channels:
        multiplier = convolution.out_channels // convolution.in_channels
        convolution.groups = out_channels // multiplier
    convolution.in_channels, convolution.out_channels = per_group * convolution.groups, out_channels


def _try(network: nn.Module, size: int) -> None:
    """Walk the sizes through the network without computing anything."""
    sizes_alone = copy.deepcopy(network).eval().to("meta")
    try:
        with torch.no_grad():
            sizes_alone(torch.empty(1, 3, size, size, device="meta"))
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"its layers do not fit one another ({' '.join(str(error).split())[:160]})") from error
