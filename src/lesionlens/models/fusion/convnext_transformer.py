"""A light ConvNeXt whose last stage is a transformer, which our paper names as future work (Abdulqader 2026).

Abdulqader & Abraham name "lightweight transformer-augmented networks" and describe none. This one follows CoAtNet (Dai Z., Liu
H., Le Q. V., Tan M., "CoAtNet: Marrying Convolution and Attention for All Data Sizes", NeurIPS 2021): convolutions first, where
the features are large and their neighbourhood matters, attention last, where it is cheap and sees the whole lesion.

Where it leaves something open, and where this departs:
- ConvNeXt-Atto of timm gives stem and first three stages (40, 80 and 160 channels, 2, 2 and 6 blocks), and the step to the
  cells of the last stage; they keep their ImageNet weights. Two blocks of a vision transformer with 320 channels take the place
  of its last two blocks;
- a depthwise 3 x 3 convolution before each of the two tells the attention where a cell is (Chu 2021, "Conditional positional
  encodings for vision transformers"), so the network takes any size. It starts at 0: cells have no position until it is learnt;
- heads of 32 channels, pre-norm, hidden layers of four times the width, all from random weights;
- one linear layer follows pooling and LayerNorm, so heat maps have a closed form.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from lesionlens.core.recipe import ModelRecipe
from lesionlens.models.fusion.composed import ComposedNetwork, InitialParts
from lesionlens.models.operators import vision_transformer

PARTS = ("convnext_atto",)
WIDTH, HEAD_WIDTH, DEPTH = 320, 32, 2


class PositionedBlock(nn.Module):
    """A block of a vision transformer whose cells know their neighbourhood.

    Args:
        drop_path_rate: stochastic depth.
    """

    def __init__(self, drop_path_rate: float) -> None:
        super().__init__()
        self.position = nn.Conv2d(WIDTH, WIDTH, 3, padding=1, groups=WIDTH)
        nn.init.zeros_(self.position.weight)
        nn.init.zeros_(self.position.bias)  # type: ignore[arg-type]
        heads = WIDTH // HEAD_WIDTH
        self.block: nn.Module = vision_transformer().Block(WIDTH, heads, qkv_bias=True, drop_path=drop_path_rate)

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, C, h, w) of the same shape."""
        features = features + self.position(features)
        tokens: Tensor = self.block(features.flatten(2).transpose(1, 2))  # (N, h w, C)
        return tokens.transpose(1, 2).reshape(features.shape)


class ConvNeXtTransformer(ComposedNetwork):
    """See the module.

    Args:
        parts: makes ConvNeXt.
        n_classes: number of diagnoses.
        drop_rate: dropout before the linear layer.
    """

    def __init__(self, parts: InitialParts, n_classes: int, drop_rate: float) -> None:
        super().__init__(WIDTH, n_classes, drop_rate, norm=True)
        self.convnext = parts.backbone(PARTS[0])
        blocks = (PositionedBlock(parts.drop_path_rate) for _ in range(DEPTH))
        self.convnext.stages[-1].blocks = nn.Sequential(*blocks)

    def forward_features(self, images: Tensor) -> Tensor:
        """Features (N, 320, h, w), a 32nd of the side, of normalised images (N, 3, H, W)."""
        backbone: Any = self.convnext
        features: Tensor = backbone.stages(backbone.stem(images))
        return features


def build(recipe: ModelRecipe, n_classes: int, size: int, weights: str) -> ConvNeXtTransformer:
    """The network of a recipe."""
    parts = InitialParts(weights, n_classes, size, recipe.drop_path_rate)
    return ConvNeXtTransformer(parts, n_classes, recipe.drop_rate)
