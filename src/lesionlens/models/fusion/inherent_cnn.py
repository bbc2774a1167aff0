"""A convolutional network of its own with residual learning, to be explained by its maps (Hosny 2024).

Hosny K. M., Said W., Elmezain M., Kassem M. A., "Explainable deep inherent learning for multi-classes skin lesion
classification", Applied Soft Computing 159, 111624, 2024. A deep network whose "inherent" blocks join features that are
learnt side by side, trained without pretrained weights and explained by heat maps.

Where it leaves something open, and where this departs:
- an inherent block learns with 1 x 1, 3 x 3 and 5 x 5 cells side by side, joins the three, and adds its input (by a 1 x 1
  convolution where the shape changes);
- a stem of two 3 x 3 convolutions, then four stages of two blocks with 64, 128, 256 and 512 channels, each at half the side;
- it has no ImageNet weights: `model.weights` is `none` or a file;
- one linear layer follows the pooling, so heat maps have a closed form.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lesionlens.core.recipe import ModelRecipe
from lesionlens.models.fusion.attention import convolution
from lesionlens.models.fusion.composed import ComposedNetwork

WIDTHS = (64, 128, 256, 512)
STEM = 32
SIZES = (1, 3, 5)
BLOCKS = 2


class InherentBlock(nn.Module):
    """Features of three sizes side by side, joined, with a residual."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        hidden = channels_out // 4
        self.narrow = convolution(channels_in, hidden, 3, stride)
        self.sizes = nn.ModuleList(convolution(hidden, hidden, size) for size in SIZES)
        self.wide = nn.Sequential(nn.Conv2d(hidden * len(SIZES), channels_out, 1, bias=False), nn.BatchNorm2d(channels_out))
        changes = stride > 1 or channels_in != channels_out
        shortcut = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
        self.shortcut = nn.Sequential(shortcut, nn.BatchNorm2d(channels_out)) if changes else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, C', h', w') of features (N, C, h, w)."""
        narrow = self.narrow(features)
        joined = torch.cat([layer(narrow) for layer in self.sizes], dim=1)
        return nn.functional.gelu(self.wide(joined) + self.shortcut(features))


class InherentCnn(ComposedNetwork):
    """See the module.

    Args:
        n_classes: number of diagnoses.
        drop_rate: dropout before the linear layer.
    """

    def __init__(self, n_classes: int, drop_rate: float) -> None:
        super().__init__(WIDTHS[-1], n_classes, drop_rate)
        layers: list[nn.Module] = [convolution(3, STEM, 3, 2), convolution(STEM, STEM, 3)]
        before = STEM
        for width in WIDTHS:
            for number in range(BLOCKS):
                layers.append(InherentBlock(before, width, 2 if number == 0 else 1))
                before = width
        self.layers = nn.Sequential(*layers)

    def forward_features(self, images: Tensor) -> Tensor:
        """Features (N, 512, h, w), a 32nd of the side, of normalised images (N, 3, H, W)."""
        features: Tensor = self.layers(images)
        return features


def build(recipe: ModelRecipe, n_classes: int, size: int, weights: str) -> InherentCnn:
    """The network of a recipe."""
    return InherentCnn(n_classes, recipe.drop_rate)
