"""CAFormer-S36 with ConvNeXt blocks (Aruk 2025).

Aruk I., Pacal I., Toprak A. N., "A novel hybrid ConvNeXt-based approach for enhanced skin lesion classification", Expert Systems
with Applications, 2025. CAFormer's blocks are joined with those of ConvNeXt; the table of our paper names it CAFormer-s32.

Where it leaves something open, and where this departs:
- CAFormer has stages of separable convolutions (the first two) and of attention (the last two). A ConvNeXt block, depthwise 7 x 7
  with layer scale, follows each of the first three stages and starts as the identity up to its scale of 1e-6, so the pretrained
  CAFormer starts unchanged;
- CAFormer-S36 stands for the "s32" of the table, which timm does not have and MetaFormer's paper does not name;
- one linear layer follows pooling and LayerNorm, so heat maps have a closed form.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from lesionlens.core.recipe import ModelRecipe
from lesionlens.models.fusion.composed import ComposedNetwork, ConvNeXtBlock, InitialParts

PARTS = ("caformer_s36",)
WIDTHS = (64, 128, 320, 512)


class CAFormerConvNeXt(ComposedNetwork):
    """See the module.

    Args:
        parts: makes CAFormer.
        n_classes: number of diagnoses.
        drop_rate: dropout before the linear layer.
    """

    def __init__(self, parts: InitialParts, n_classes: int, drop_rate: float) -> None:
        super().__init__(WIDTHS[-1], n_classes, drop_rate, norm=True)
        self.caformer = parts.backbone(PARTS[0])
        self.blocks = nn.ModuleList(ConvNeXtBlock(width) for width in WIDTHS[:-1])

    def forward_features(self, images: Tensor) -> Tensor:
        """Features (N, 512, h, w), a 32nd of the side, of normalised images (N, 3, H, W)."""
        cells: Any = self.caformer.stem(images)
        *early, last = self.caformer.stages
        for stage, block in zip(early, self.blocks, strict=True):
            cells = block(stage(cells))
        features: Tensor = last(cells)
        return features


def build(recipe: ModelRecipe, n_classes: int, size: int, weights: str) -> CAFormerConvNeXt:
    """The network of a recipe."""
    parts = InitialParts(weights, n_classes, size, recipe.drop_path_rate)
    return CAFormerConvNeXt(parts, n_classes, recipe.drop_rate)
