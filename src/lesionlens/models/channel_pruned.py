"""Channel-pruned networks: layers take the sizes of a checkpoint's tensors.

A channel-pruned network is saved like any other, its tensors under timm's names. Their shapes are
enough to rebuild it, so it needs no code, pickle or configuration.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lesionlens.core.errors import ModelError

PROBE_SIZE = 64


def reshape_to(network: nn.Module, tensors: Mapping[str, Tensor], size: int = PROBE_SIZE) -> None:
    """Resize the layers of a freshly built network to `tensors`; the values are loaded afterwards.

    Convolutions (including depthwise and grouped ones), linear layers, batch and layer norms, and
    parameters of blocks (layer scale) are resized. The classifier keeps its number of classes.

    Args:
        network: from `build_network`, changed in place.
        tensors: a state dict of the same network with other channel counts.
        size: side of the input of a trial pass, pixels; only networks of a fixed input size use it.

    Raises:
        ModelError: if names are missing or unknown, the number of dimensions or of classes differs,
            or layers do not fit each other. The network is then unusable.
    """
    expected = network.state_dict()
    if differing := sorted(expected.keys() ^ tensors.keys()):
        raise ModelError(f"{len(differing)} names are only in the network or only in the tensors, for example {differing[0]}")
    n_classes = len(network.get_classifier().weight)  # type: ignore[operator]
    for path, module in network.named_modules():
        prefix = f"{path}." if path else ""
        own = [name for name, _ in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))]
        new_tensors = {name: tensors[prefix + name] for name in own if prefix + name in expected}
        if any(tensor.shape != expected[prefix + name].shape for name, tensor in new_tensors.items()):
            _resize(module, new_tensors, path)
    if len(network.get_classifier().weight) != n_classes:  # type: ignore[operator]
        raise ModelError(f"the tensors change the number of classes from {n_classes}")
    _check_shapes(network, size)


def _resize(module: nn.Module, tensors: Mapping[str, Tensor], path: str) -> None:
    for name, tensor in tensors.items():
        old = getattr(module, name)
        if tensor.ndim != old.ndim:
            raise ModelError(f"{path}.{name} has {tensor.ndim} dimensions; the network has {old.ndim}")
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


def _check_shapes(network: nn.Module, size: int) -> None:
    """Propagate shapes through the network without computing values."""
    shape_network = copy.deepcopy(network).eval().to("meta")
    try:
        with torch.no_grad():
            shape_network(torch.empty(1, 3, size, size, device="meta"))
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"its layers do not fit each other ({' '.join(str(error).split())[:160]})") from error
