"""SkinTrans: a vision transformer with multi-scale, overlapping patch embedding and a contrastive loss (Xin 2022).

Xin C., Liu Z., Zhao K. et al., "An improved transformer network for skin cancer classification", Computers in Biology and
Medicine 149, 105939, 2022, doi:10.1016/j.compbiomed.2022.105939. Windows of several sizes slide over the image with overlap,
and a contrastive loss makes images of one diagnosis alike and those of different ones unlike.

Where it leaves something open, and where this departs:
- ViT-S/16 of timm. Its own embedding of 16 x 16 patches keeps its ImageNet weights; embeddings of 24 x 24 and 32 x 32 pixels
  around the same centres, with the same stride of 16, are added to it. Their weights start at 0, so the pretrained network
  starts unchanged. All scales share one grid, so the position embedding fits and heat maps have one size;
- the contrastive loss is the recipe's, for any network: `training.contrastive_weight`;
- the patch tokens are averaged, so heat maps have a closed form; the class token takes part in the attention and is not read.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lesionlens.core.recipe import ModelRecipe
from lesionlens.models.fusion.composed import ComposedNetwork, InitialParts

PARTS = ("vit_small_patch16_224",)
WIDTH, STRIDE = 384, 16
WINDOWS = (24, 32)


class MultiScaleEmbedding(nn.Module):
    """Patches of several sizes around the same centres, embedded and added.

    Args:
        embedding: timm's of patches of 16 x 16 pixels.
    """

    def __init__(self, embedding: Any) -> None:
        super().__init__()
        self.embedding = embedding
        self.windows = nn.ModuleList(
            nn.Conv2d(3, WIDTH, size, STRIDE, padding=(size - STRIDE) // 2, bias=False) for size in WINDOWS
        )
        for window in self.windows:
            nn.init.zeros_(window.weight)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        """Tokens (N, T, C) of images (N, 3, H, W)."""
        tokens: Tensor = self.embedding(images)
        return tokens + torch.stack([window(images).flatten(2) for window in self.windows]).sum(0).transpose(1, 2)


class SkinTrans(ComposedNetwork):
    """See the module.

    Args:
        parts: makes the vision transformer.
        n_classes: number of diagnoses.
        drop_rate: dropout before the linear layer.
    """

    def __init__(self, parts: InitialParts, n_classes: int, drop_rate: float) -> None:
        super().__init__(WIDTH, n_classes, drop_rate)
        self.transformer = parts.backbone(PARTS[0])
        self.grid = self.transformer.patch_embed.grid_size
        self.transformer.patch_embed = MultiScaleEmbedding(self.transformer.patch_embed)

    def forward_features(self, images: Tensor) -> Tensor:
        """Features (N, 384, h, w), a 16th of the side, of normalised images (N, 3, H, W)."""
        tokens: Tensor = self.transformer.forward_features(images)  # (N, prefix + T, C)
        cells = tokens[:, self.transformer.num_prefix_tokens :].transpose(1, 2)  # (N, C, T)
        return cells.reshape(-1, WIDTH, *self.grid)


def build(recipe: ModelRecipe, n_classes: int, size: int, weights: str) -> SkinTrans:
    """The network of a recipe."""
    parts = InitialParts(weights, n_classes, size, recipe.drop_path_rate)
    return SkinTrans(parts, n_classes, recipe.drop_rate)
