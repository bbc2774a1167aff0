"""ConvNeXt and Swin with attentional feature fusion, ConvNeXt-ST-AFF (Hao 2023).

Hao S., Zhang L., Jiang Y. et al., "ConvNeXt-ST-AFF: A Novel Skin Disease Classification Model Based on Fusion of ConvNeXt and
Swin Transformer", IEEE Access 11, 117460-117473, 2023, doi:10.1109/ACCESS.2023.3324042. Both networks are pretrained;
efficient channel attention stands in ConvNeXt, and AFF fuses their features.

Where it leaves something open, and where this departs:
- the tiny forms of both, whose stages have the same shapes (96, 192, 384 and 768 channels);
- efficient channel attention after each of ConvNeXt's stages, and AFF at the last three stages; the results of the earlier
  two are brought to the last one's cells by convolutions of stride 2 and added;
- the paper's denoising module works on images before the network; here, images are seen as they are;
- one linear layer follows pooling and LayerNorm, so heat maps have a closed form.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from lesionlens.core.recipe import ModelRecipe
from lesionlens.models.fusion.attention import AttentionalFusion, EfficientChannelAttention, convolution
from lesionlens.models.fusion.composed import ComposedNetwork, InitialParts, stages

PARTS = ("convnext_tiny", "swin_tiny_patch4_window7_224")
WIDTHS = (96, 192, 384, 768)


class ConvNeXtSwin(ComposedNetwork):
    """See the module.

    Args:
        parts: makes both networks.
        n_classes: number of diagnoses.
        drop_rate: dropout before the linear layer.
    """

    def __init__(self, parts: InitialParts, n_classes: int, drop_rate: float) -> None:
        super().__init__(WIDTHS[-1], n_classes, drop_rate, norm=True)
        self.convnext, self.swin = (parts.backbone(name) for name in PARTS)
        self.swin.norm = nn.Identity()  # its place is after the last stage, where the fusion is
        self.attention = nn.ModuleList(EfficientChannelAttention(width) for width in WIDTHS)
        self.fusion = nn.ModuleList(AttentionalFusion(width) for width in WIDTHS[1:])
        self.down = nn.ModuleList(convolution(narrow, wide, 3, 2) for narrow, wide in pairwise(WIDTHS[1:]))

    def forward_features(self, images: Tensor) -> Tensor:
        """Features (N, 768, h, w), a 32nd of the side, of normalised images (N, 3, H, W)."""
        local: list[Tensor] = []
        cells: Any = self.convnext.stem(images)
        for stage, attention in zip(self.convnext.stages, self.attention, strict=True):
            cells = attention(stage(cells))
            local.append(cells)
        distant = stages(self.swin, images, (1, 2, 3))
        fused = [fuse(one, other) for fuse, one, other in zip(self.fusion, local[1:], distant, strict=True)]
        features: Tensor = fused[0]
        for down, deeper in zip(self.down, fused[1:], strict=True):
            features = down(features) + deeper
        return features


def build(recipe: ModelRecipe, n_classes: int, size: int, weights: str) -> ConvNeXtSwin:
    """The network of a recipe."""
    parts = InitialParts(weights, n_classes, size, recipe.drop_path_rate)
    return ConvNeXtSwin(parts, n_classes, recipe.drop_rate)
