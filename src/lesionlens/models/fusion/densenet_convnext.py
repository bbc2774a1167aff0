"""DenseNet201 and ConvNeXt-L with dual attention (Wei 2023).

Wei M., Wu Q., Ji H. et al., "A Skin Disease Classification Model Based on DenseNet and ConvNeXt Fusion", Electronics 12(2), 438,
2023, doi:10.3390/electronics12020438. The paper fuses the two networks, fuses deep with shallow features, and adds attention.

Where it leaves something open, and where this departs:
- shallow features are those of the second-last stage (a 16th of the side) of both networks, brought to the last one's cells by a
  convolution of stride 2;
- the attention is channel attention, then spatial attention (CBAM), once over the features of both;
- one linear layer follows the pooling, so heat maps have a closed form; the paper's fully connected layers are not repeated.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lesionlens.core.recipe import ModelRecipe
from lesionlens.models.fusion.attention import DualAttention, convolution
from lesionlens.models.fusion.composed import ComposedNetwork, InitialParts, stages

PARTS = ("densenet201", "convnext_large")
DEEP, SHALLOW = (1920, 1536), (1792, 768)
SHALLOW_WIDTH = 256  # of each network after its shallow features are brought to the last stage's cells


class DenseNetConvNeXt(ComposedNetwork):
    """See the module.

    Args:
        parts: makes both networks.
        n_classes: number of diagnoses.
        drop_rate: dropout before the linear layer.
    """

    def __init__(self, parts: InitialParts, n_classes: int, drop_rate: float) -> None:
        width = sum(DEEP) + SHALLOW_WIDTH * len(PARTS)
        super().__init__(width, n_classes, drop_rate, norm=True)
        self.densenet, self.convnext = (parts.backbone(name) for name in PARTS)
        self.densenet_shallow, self.convnext_shallow = (convolution(width, SHALLOW_WIDTH, 3, 2) for width in SHALLOW)
        self.attention = DualAttention(width)

    def forward_features(self, images: Tensor) -> Tensor:
        """Features (N, 3968, h, w), a 32nd of the side, of normalised images (N, 3, H, W)."""
        dense_shallow, dense_deep = stages(self.densenet, images, (-2, -1))
        next_shallow, next_deep = stages(self.convnext, images, (-2, -1))
        shallow = [self.densenet_shallow(dense_shallow), self.convnext_shallow(next_shallow)]
        features: Tensor = self.attention(torch.cat([dense_deep, next_deep, *shallow], dim=1))
        return features


def build(recipe: ModelRecipe, n_classes: int, size: int, weights: str) -> DenseNetConvNeXt:
    """The network of a recipe; only ConvNeXt has stochastic depth."""
    return DenseNetConvNeXt(InitialParts(weights, n_classes, size), n_classes, recipe.drop_rate)
