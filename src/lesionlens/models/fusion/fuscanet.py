"""FUSCANet: feature fusion and spatial-channel attention on MobileViT (Liu 2025).

Liu Q., Wang X., Liu H. et al., "FUSCANet: Enhancing Skin Disease Classification Through Feature Fusion and Spatial-Channel
Attention Mechanisms", IEEE Access 13, 2025. A light network on MobileViT with three new parts: a Leaky MobileNetV2 block
(LMV2), a Multi-Scale Feature Aggregation layer (MSFA), and an Enhanced Convolutional Block Attention Module (ECBAM).

Where it leaves something open, and where this departs:
- MobileViT-S keeps its own blocks, so its ImageNet weights stay of use;
- LMV2: an inverted residual with leaky ReLU (slope 0.1) after each of the stages at a quarter, an 8th and a 16th of the side;
  its last batch norm starts at 0, so the pretrained network starts unchanged;
- MSFA: these three stages and the last one, each by average pooling at the cells of the last one, joined and mixed by one
  convolution;
- ECBAM: channel attention from mean and maximum with the efficient convolution of ECA in place of the hidden layer, then
  spatial attention, added to its input;
- one linear layer follows the pooling, so heat maps have a closed form.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lesionlens.core.recipe import ModelRecipe
from lesionlens.models.fusion.attention import EfficientChannelAttention, SpatialAttention, convolution
from lesionlens.models.fusion.composed import ComposedNetwork, InitialParts

PARTS = ("mobilevit_s",)
WIDTHS = (64, 96, 128, 640)  # of the stages at a quarter, an 8th, a 16th and a 32nd of the side
STRIDES = (8, 4, 2, 1)
EXPANSION, SLOPE = 4, 0.1


class LeakyInvertedResidual(nn.Module):
    """LMV2: MobileNetV2's inverted residual with leaky ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = EXPANSION * channels
        self.layers = nn.Sequential(
            *(nn.Conv2d(channels, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.LeakyReLU(SLOPE)),
            *(nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden, bias=False), nn.BatchNorm2d(hidden), nn.LeakyReLU(SLOPE)),
            *(nn.Conv2d(hidden, channels, 1, bias=False), nn.BatchNorm2d(channels)),
        )
        last = self.layers[-1]
        assert isinstance(last, nn.BatchNorm2d)
        nn.init.zeros_(last.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, C, h, w) of the same shape."""
        added: Tensor = features + self.layers(features)
        return added


class EnhancedAttention(nn.Module):
    """ECBAM: efficient channel attention from mean and maximum, then spatial attention, with a residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channel = EfficientChannelAttention(channels)
        self.spatial = SpatialAttention()

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, C, h, w) of the same shape."""
        summaries = (features.mean((2, 3)), features.amax((2, 3)))
        logits = torch.stack([self.channel.mixer(each.unsqueeze(1)).squeeze(1) for each in summaries]).sum(0)
        attended: Tensor = self.spatial(features * torch.sigmoid(logits)[:, :, None, None])
        return features + attended


class FuscaNet(ComposedNetwork):
    """See the module.

    Args:
        parts: makes MobileViT.
        n_classes: number of diagnoses.
        drop_rate: dropout before the linear layer.
    """

    def __init__(self, parts: InitialParts, n_classes: int, drop_rate: float) -> None:
        super().__init__(WIDTHS[-1], n_classes, drop_rate)
        self.mobilevit = parts.backbone(PARTS[0])
        self.blocks = nn.ModuleList(LeakyInvertedResidual(width) for width in WIDTHS[:-1])
        self.scales = nn.ModuleList(nn.AvgPool2d(stride, ceil_mode=True) for stride in STRIDES)
        self.mixer = convolution(sum(WIDTHS), WIDTHS[-1])
        self.attention = EnhancedAttention(WIDTHS[-1])

    def forward_features(self, images: Tensor) -> Tensor:
        """Features (N, 640, h, w), a 32nd of the side, of normalised images (N, 3, H, W)."""
        first, *middle, last = self.mobilevit.stages
        cells: Any = first(self.mobilevit.stem(images))
        scales: list[Tensor] = []
        for stage, block in zip(middle, self.blocks, strict=True):
            cells = block(stage(cells))
            scales.append(cells)
        scales.append(self.mobilevit.final_conv(last(cells)))
        joined = torch.cat([scale(each) for scale, each in zip(self.scales, scales, strict=True)], dim=1)
        features: Tensor = self.attention(self.mixer(joined))
        return features


def build(recipe: ModelRecipe, n_classes: int, size: int, weights: str) -> FuscaNet:
    """The network of a recipe."""
    parts = InitialParts(weights, n_classes, size, recipe.drop_path_rate)
    return FuscaNet(parts, n_classes, recipe.drop_rate)
