"""A contrastive loss on the features before the classifier, for any network."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lesionlens.core.recipe import TrainingRecipe


def contrastive_loss(features: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Features of one diagnosis alike, those of different ones less alike than a margin, a scalar.

    The mean over all pairs of 1 - s where the diagnoses are equal, and of max(s - margin, 0) where they differ, with the cosine
    similarity s (He 2022, "TransFG", equation 8; Xin 2022 trains SkinTrans with a loss of this kind).

    Args:
        features: (N, C), any float type; computed in float32.
        labels: class indices, (N,).
        margin: similarity of different diagnoses that is not punished, in [-1, 1).

    Two features with the similarity 0.6 give 2 (0.6 - 0.4) / 4:

    >>> features = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    >>> round(contrastive_loss(features, torch.tensor([0, 1]), margin=0.4).item(), 6)
    0.1
    """
    directions = functional.normalize(features.float(), dim=1)
    similarity = directions @ directions.T
    same = labels[:, None] == labels[None, :]
    return torch.where(same, 1 - similarity, (similarity - margin).clamp(min=0)).mean()


class ContrastiveLoss:
    """Remembers what enters the classifier of a network in each pass, and compares it within the mini-batch of this process.

    Args:
        network: with `get_classifier`.
        recipe: `contrastive_weight` and `contrastive_margin` are used.
    """

    def __init__(self, network: Any, recipe: TrainingRecipe) -> None:
        self.weight, self.margin = recipe.contrastive_weight, recipe.contrastive_margin
        self._features: Tensor | None = None
        network.get_classifier().register_forward_pre_hook(self._remember)

    def _remember(self, classifier: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._features = inputs[0]

    def __call__(self, targets: Tensor) -> Tensor:
        """The weighted loss of the last pass; an image that was mixed counts as the diagnosis of the larger share.

        Args:
            targets: (N, K).
        """
        assert self._features is not None, "the network runs before its loss"
        features, self._features = self._features, None
        return self.weight * contrastive_loss(features, targets.argmax(1), self.margin)
