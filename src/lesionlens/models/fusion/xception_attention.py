"""Xception with soft, hard or self-attention (Alotaibi 2025).

Alotaibi A., AlSaeed D., "Skin Cancer Detection Using Transfer Learning and Deep Attention Mechanisms", Diagnostics 15(1), 99,
2025, doi:10.3390/diagnostics15010099. Three models join a pretrained Xception with one attention each, for benign against
malignant.

Where it leaves something open, and where this departs:
- the attention stands on the last features (2048 channels), before pooling;
- soft attention is that of Datta 2021, which the field uses on HAM10000; hard attention keeps half of the cells, learnt
  through a straight-through estimator; self-attention has four heads and starts at 0;
- all diagnoses of the data are outputs, not only benign and malignant;
- one linear layer follows the pooling, so heat maps have a closed form.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from lesionlens.core.recipe import ModelRecipe
from lesionlens.models.fusion.attention import HardAttention, SelfAttention, SoftAttention
from lesionlens.models.fusion.composed import ComposedNetwork, InitialParts

PARTS = ("legacy_xception",)
WIDTH = 2048
ATTENTIONS: dict[str, Callable[[int], nn.Module]] = {
    "xception_soft_attention": SoftAttention,
    "xception_hard_attention": HardAttention,
    "xception_self_attention": SelfAttention,
}
"""By the name of the network."""


class XceptionAttention(ComposedNetwork):
    """See the module.

    Args:
        parts: makes Xception.
        attention: on its features.
        n_classes: number of diagnoses.
        drop_rate: dropout before the linear layer.
    """

    def __init__(self, parts: InitialParts, attention: nn.Module, n_classes: int, drop_rate: float) -> None:
        super().__init__(WIDTH, n_classes, drop_rate)
        self.xception = parts.backbone(PARTS[0])
        self.attention = attention

    def forward_features(self, images: Tensor) -> Tensor:
        """Features (N, 2048, h, w), a 32nd of the side, of normalised images (N, 3, H, W)."""
        features: Tensor = self.attention(self.xception.forward_features(images))
        return features


def build(recipe: ModelRecipe, n_classes: int, size: int, weights: str) -> XceptionAttention:
    """The network of a recipe, whose name says which attention; Xception has no stochastic depth."""
    parts = InitialParts(weights, n_classes, size)
    return XceptionAttention(parts, ATTENTIONS[recipe.name](WIDTH), n_classes, recipe.drop_rate)
