"""SimSiam: a network learns without labels that two views of one image are alike (Chen & He 2021).

Chen X., He K., "Exploring simple Siamese representation learning", CVPR 2021. It needs no negative pairs, no queue and no second
network, and works with mini-batches of 64, so it fits a small machine.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

COLLAPSED_STD = 0.1
"""Share of the standard deviation of directions that point everywhere alike, below which the projections have collapsed."""


class SimSiam(nn.Module):
    """A network without its classifier, a projector and a predictor.

    The projector has three layers with batch norms, the predictor two (section 4.4 of the paper, where the widths are 2048 and
    512).

    Args:
        network: with `forward_features`, `forward_head` and `get_classifier`; trained in place.
        width: of the projections, D.
    """

    def __init__(self, network: nn.Module, width: int) -> None:
        super().__init__()
        self.network = network
        features = int(network.get_classifier().in_features)  # type: ignore[operator]
        self.projector = nn.Sequential(
            *(nn.Linear(features, width, bias=False), nn.BatchNorm1d(width), nn.ReLU()),
            *(nn.Linear(width, width, bias=False), nn.BatchNorm1d(width), nn.ReLU()),
            *(nn.Linear(width, width, bias=False), nn.BatchNorm1d(width, affine=False)),
        )
        hidden = width // 4
        self.predictor = nn.Sequential(
            nn.Linear(width, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, width)
        )
        for parameter in network.get_classifier().parameters():  # type: ignore[operator]
            parameter.requires_grad_(False)

    def features(self, images: Tensor) -> Tensor:
        """What the classifier would get, (N, C), of normalised images (N, 3, H, W)."""
        network: Any = self.network
        pooled: Tensor = network.forward_head(network.forward_features(images), pre_logits=True)
        return pooled

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, a scalar in [-1, 1], and the projections (2 N, D) of both views, without gradient.

        Args:
            first: one view of each image, normalised, (N, 3, H, W).
            second: the other view.
        """
        one, two = (self.projector(self.features(view)) for view in (first, second))
        loss = (alikeness(self.predictor(one), two) + alikeness(self.predictor(two), one)) / -2
        return loss, torch.cat([one, two]).detach()


def alikeness(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean cosine similarity, with no gradient through the target (equations 1 and 3); computed in float32.

    >>> alikeness(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.6, 0.8]])).item()
    0.6000000238418579
    """
    return functional.cosine_similarity(predicted.float(), target.detach().float(), dim=1).mean()


def relative_std(projections: Tensor) -> float:
    """How far directions spread, from 0 (all point the same way: collapsed) to about 1 (everywhere alike).

    The mean over dimensions of the standard deviation over images of unit vectors, times the root of the number of dimensions
    (section 4.1 of the paper, which plots it).

    Args:
        projections: (N, D).

    >>> relative_std(torch.ones(8, 4))
    0.0
    """
    directions = functional.normalize(projections.float(), dim=1)
    return float(directions.std(0, correction=0).mean() * directions.shape[1] ** 0.5)


def effective_rank(features: Tensor) -> float:
    """How many dimensions the features use: the exponential of the entropy of their singular values (Roy & Vetterli 2007).

    Args:
        features: (N, C); their mean does not count.

    Returns:
        From 1 to min(N, C); 0 if all are equal.

    >>> round(effective_rank(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])), 4)
    2.0
    """
    centred = (features - features.mean(0)).double()
    values = torch.linalg.svdvals(centred)
    total = float(values.sum())
    if total <= 1e-9 * max(1.0, float(features.abs().max())):
        return 0.0
    shares = values[values > 0] / total
    return float(torch.exp(-(shares * shares.log()).sum()))
