"""Multi-scale feature fusion on EfficientNetV2, trained with class weights (Hu 2024).

Hu Z., Mei W., Chen H., Hou W., "Multi-scale feature fusion and class weight loss for skin lesion classification", Computers in
Biology and Medicine 176, 108594, 2024. Features of several stages are fused, so
that small structures reach the classifier, and the loss weighs the diagnoses by their rarity.

Where it leaves something open, and where this departs:
- EfficientNetV2-S; the stages at an 8th, a 16th and a 32nd of the side, each brought to 256 channels and to the cells of the
  last one by average pooling over blocks, then joined and mixed by one convolution;
- efficient channel attention on the joined features;
- the loss is the recipe's: `training.class_weights = "inverse"` gives the weights N / (K n_c), as in the grid `networks`;
- one linear layer follows the pooling, so heat maps have a closed form.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lesionlens.core.recipe import ModelRecipe
from lesionlens.models.fusion.attention import EfficientChannelAttention, convolution
from lesionlens.models.fusion.composed import ComposedNetwork, InitialParts, stages

PARTS = ("tf_efficientnetv2_s",)
WIDTHS = (64, 160, 256)
STRIDES = (4, 2, 1)
EACH, WIDTH = 256, 1024


class MultiScaleEfficientNet(ComposedNetwork):
    """See the module.

    Args:
        parts: makes EfficientNetV2-S.
        n_classes: number of diagnoses.
        drop_rate: dropout before the linear layer.
    """

    def __init__(self, parts: InitialParts, n_classes: int, drop_rate: float) -> None:
        super().__init__(WIDTH, n_classes, drop_rate)
        self.efficientnet = parts.backbone(PARTS[0])
        self.efficientnet.conv_head, self.efficientnet.bn2 = nn.Identity(), nn.Identity()  # the fusion takes their place
        self.scales = nn.ModuleList(
            nn.Sequential(nn.AvgPool2d(stride, ceil_mode=True), convolution(width, EACH))
            for width, stride in zip(WIDTHS, STRIDES, strict=True)
        )
        self.attention = EfficientChannelAttention(EACH * len(WIDTHS))
        self.mixer = convolution(EACH * len(WIDTHS), WIDTH)

    def forward_features(self, images: Tensor) -> Tensor:
        """Features (N, 1024, h, w), a 32nd of the side, of normalised images (N, 3, H, W)."""
        scales = stages(self.efficientnet, images, (-3, -2, -1))
        joined = torch.cat([scale(cells) for scale, cells in zip(self.scales, scales, strict=True)], dim=1)
        features: Tensor = self.mixer(self.attention(joined))
        return features


def build(recipe: ModelRecipe, n_classes: int, size: int, weights: str) -> MultiScaleEfficientNet:
    """The network of a recipe."""
    parts = InitialParts(weights, n_classes, size, recipe.drop_path_rate)
    return MultiScaleEfficientNet(parts, n_classes, recipe.drop_rate)
