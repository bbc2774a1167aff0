"""Xception and ShuffleNet as one ensemble (Ahmad 2023).

Ahmad N., Shah J. H., Khan M. A. et al., "A novel framework of multiclass skin lesion recognition from dermoscopic images
using deep learning and explainable AI", Frontiers in Oncology 13, 1151257, 2023, doi:10.3389/fonc.2023.1151257. Features
behind the global pooling of two fine-tuned networks are fused, selected by a butterfly optimisation, and classified by other
methods.

Where it leaves something open, and where this departs:
- the features are joined and one linear layer is trained on them, together with both networks. With a linear layer, the
  joined features are an ensemble: the logits are the sum of those of the two networks, each with its own weights;
- there is no selection of features and no other classifier: the linear layer weighs the features, and heat maps have a closed
  form;
- both see the same normalised images. timm has no ShuffleNet, so that part is torchvision's, whose ImageNet weights are a
  pickle: with `model.weights = "imagenet"` it is refused by name; convert its file and give a folder with a file for each
  part.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lesionlens.core.recipe import ModelRecipe
from lesionlens.models.fusion.composed import ComposedNetwork, InitialParts
from lesionlens.models.torchvision_networks import ShuffleNetOfTorchvision

PARTS = ("legacy_xception", "shufflenet_v2_x1_0")
WIDTHS = (2048, 1024)


class XceptionShuffleNet(ComposedNetwork):
    """See the module.

    Args:
        parts: makes both networks.
        n_classes: number of diagnoses.
        drop_rate: dropout before the linear layer.
    """

    def __init__(self, parts: InitialParts, n_classes: int, drop_rate: float) -> None:
        super().__init__(sum(WIDTHS), n_classes, drop_rate)
        self.xception = parts.backbone(PARTS[0])
        self.shufflenet = ShuffleNetOfTorchvision(PARTS[1], n_classes)
        parts.fill(self.shufflenet, PARTS[1])
        self.shufflenet.fc = nn.Identity()

    def forward_features(self, images: Tensor) -> Tensor:
        """Features (N, 3072, h, w), a 32nd of the side, of normalised images (N, 3, H, W)."""
        return torch.cat([self.xception.forward_features(images), self.shufflenet.forward_features(images)], dim=1)


def build(recipe: ModelRecipe, n_classes: int, size: int, weights: str) -> XceptionShuffleNet:
    """The network of a recipe; neither part has stochastic depth."""
    return XceptionShuffleNet(InitialParts(weights, n_classes, size), n_classes, recipe.drop_rate)
