"""EFAM-Net: enhanced feature fusion and attention on ConvNeXt (Ji 2024).

Ji Z., Wang X., Liu C. et al., "EFAM-Net: A Multi-Class Skin Lesion Classification Model Utilizing Enhanced Feature Fusion and
Attention Mechanisms", IEEE Access 12, 2024, doi:10.1109/ACCESS.2024.3468612. Three new blocks: Attention Residual Learning
ConvNeXt (ARLC) for low-level features, Parallel ConvNeXt (PCNXt) in the deep stages, and Multi-scale Efficient Attention
Feature Fusion (MEAFF).

Where it leaves something open, and where this departs:
- ConvNeXt-Tiny keeps its own blocks, so its ImageNet weights stay of use; the new blocks are added to them instead of
  replacing;
- ARLC after each of the first two stages: X + a A(X) X, attention residual learning as in Zhang 2019 (ARL-CNN, equation 3),
  where A is a softmax over the cells and a starts at 0.01;
- PCNXt after each of the last two stages: depthwise convolutions of 3, 5 and 7 cells side by side, their sum through the two
  linear layers of a ConvNeXt block, with a layer scale of 1e-6, so the pretrained network starts almost unchanged;
- MEAFF: efficient channel attention on each of the four stages, average pooling to the cells of the last one, joined and
  mixed by one convolution;
- one linear layer follows pooling and LayerNorm, so heat maps have a closed form.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lesionlens.core.recipe import ModelRecipe
from lesionlens.models.fusion.attention import EfficientChannelAttention, SoftAttention, convolution
from lesionlens.models.fusion.composed import ComposedNetwork, ConvNeXtBlock, InitialParts

PARTS = ("convnext_tiny",)
WIDTHS = (96, 192, 384, 768)
STRIDES = (8, 4, 2, 1)
SIZES = (3, 5, 7)  # of PCNXt


class EfamNet(ComposedNetwork):
    """See the module.

    Args:
        parts: makes ConvNeXt.
        n_classes: number of diagnoses.
        drop_rate: dropout before the linear layer.
    """

    def __init__(self, parts: InitialParts, n_classes: int, drop_rate: float) -> None:
        super().__init__(WIDTHS[-1], n_classes, drop_rate, norm=True)
        self.convnext = parts.backbone(PARTS[0])
        early = [SoftAttention(width, heads=1) for width in WIDTHS[:2]]
        self.blocks = nn.ModuleList([*early, *(ConvNeXtBlock(width, SIZES) for width in WIDTHS[2:])])
        self.scales = nn.ModuleList(
            nn.Sequential(EfficientChannelAttention(width), nn.AvgPool2d(stride, ceil_mode=True))
            for width, stride in zip(WIDTHS, STRIDES, strict=True)
        )
        self.mixer = convolution(sum(WIDTHS), WIDTHS[-1])

    def forward_features(self, images: Tensor) -> Tensor:
        """Features (N, 768, h, w), a 32nd of the side, of normalised images (N, 3, H, W)."""
        cells: Any = self.convnext.stem(images)
        joined: list[Tensor] = []
        for stage, block, scale in zip(self.convnext.stages, self.blocks, self.scales, strict=True):
            cells = block(stage(cells))
            joined.append(scale(cells))
        features: Tensor = cells + self.mixer(torch.cat(joined, dim=1))
        return features


def build(recipe: ModelRecipe, n_classes: int, size: int, weights: str) -> EfamNet:
    """The network of a recipe."""
    parts = InitialParts(weights, n_classes, size, recipe.drop_path_rate)
    return EfamNet(parts, n_classes, recipe.drop_rate)
