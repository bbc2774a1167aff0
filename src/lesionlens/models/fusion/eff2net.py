"""Eff2Net: EfficientNetV2 with efficient channel attention in place of squeeze-and-excitation (Karthik 2022).

Karthik R., Vaichole T. S., Kulkarni S. K. et al., "Eff2Net: An efficient channel attention-based convolutional neural network
for skin disease classification", Biomedical Signal Processing and Control 73, 103406, 2022, doi:10.1016/j.bspc.2021.103406.
Every squeeze-and-excitation block gives way to ECA, which lowers the parameters to about 16 million.

Where it leaves something open, and where this departs:
- EfficientNetV2-S. ImageNet weights fill everything but the new attention, whose kernels start at random;
- one linear layer follows the pooling, so heat maps have a closed form.
"""

from __future__ import annotations

from torch import Tensor, nn

from lesionlens.core.recipe import ModelRecipe
from lesionlens.models.fusion.attention import EfficientChannelAttention
from lesionlens.models.fusion.composed import ComposedNetwork, InitialParts

PARTS = ("tf_efficientnetv2_s",)
WIDTH = 1280


class Eff2Net(ComposedNetwork):
    """See the module.

    Args:
        parts: makes EfficientNetV2-S.
        n_classes: number of diagnoses.
        drop_rate: dropout before the linear layer.
    """

    def __init__(self, parts: InitialParts, n_classes: int, drop_rate: float) -> None:
        super().__init__(WIDTH, n_classes, drop_rate)
        self.efficientnet = parts.backbone(PARTS[0])
        for stage in self.efficientnet.blocks:
            for block in stage:
                squeeze = getattr(block, "se", None)
                if squeeze is not None and not isinstance(squeeze, nn.Identity):
                    block.se = EfficientChannelAttention(squeeze.conv_reduce.in_channels)

    def forward_features(self, images: Tensor) -> Tensor:
        """Features (N, 1280, h, w), a 32nd of the side, of normalised images (N, 3, H, W)."""
        features: Tensor = self.efficientnet.forward_features(images)
        return features


def build(recipe: ModelRecipe, n_classes: int, size: int, weights: str) -> Eff2Net:
    """The network of a recipe."""
    parts = InitialParts(weights, n_classes, size, recipe.drop_path_rate)
    return Eff2Net(parts, n_classes, recipe.drop_rate)
