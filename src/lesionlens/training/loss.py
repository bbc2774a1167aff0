"""The loss: cross entropy or focal on soft targets, with corrections for class imbalance.

In this order, the logits are shifted by the prior (logit adjustment), the targets are smoothed,
each class term is weighted, and the sum is divided by the weight of the targets.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lesionlens.core.errors import TrainingError
from lesionlens.core.recipe import TrainingRecipe

EFFECTIVE_BETA = 0.999
SMALLEST_DOUBT = 1e-6  # a power below 1 has no slope at 0


def one_hot(labels: Tensor, n_classes: int) -> Tensor:
    """Labels (N,) as targets (N, K), float32."""
    return functional.one_hot(labels, n_classes).float()


def smooth(targets: Tensor, epsilon: float) -> Tensor:
    """Targets (N, K) moved towards the uniform distribution: y(1-e)+e/K (the paper, equation of table 6; Szegedy 2016)."""
    return targets * (1 - epsilon) + epsilon / targets.shape[1]


def inverse_weights(counts: np.ndarray) -> np.ndarray:
    """Class weights N / (K n_c) over the classes present; an absent class gets 0.

    Equal to scikit-learn's `balanced` where every class is present.

    Args:
        counts: images of each class, shape (K,).
    """
    present = counts > 0
    weights = np.zeros(len(counts))
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return weights


def effective_weights(counts: np.ndarray, beta: float = EFFECTIVE_BETA) -> np.ndarray:
    """Class weights by the effective number of samples, (1 - b) / (1 - b^n) (Cui 2019, equation 4).

    As in the paper, the weights of the classes present are scaled to add up to their number.
    An absent class gets 0. Cui takes b from 0.9 to 0.9999; with 0.999 a class counts
    as at most 1,000 images.

    Args:
        counts: images of each class, shape (K,).
        beta: how fast further images of a class lose weight, in [0, 1).
    """
    present = counts > 0
    weights = np.zeros(len(counts))
    weights[present] = (1 - beta) / (1 - beta ** counts[present])
    return np.asarray(weights * present.sum() / weights.sum())


CLASS_WEIGHTS = {"inverse": inverse_weights, "effective": effective_weights}


def log_prior(counts: np.ndarray) -> np.ndarray:
    """Logarithm of the share of each class, shape (K,); an absent class counts as one image."""
    present = np.maximum(counts, 1).astype(np.float64)
    return np.asarray(np.log(present / present.sum()))


class Loss(nn.Module):
    """The training loss of a recipe.

    Without weights it is the mean over the batch. With weights w the sum is divided by the weight
    of the targets, sum of w_c t_c before smoothing: for hard labels exactly torch's
    `CrossEntropyLoss(weight, label_smoothing=e)`, and for mixed targets its natural extension
    (torch divides by N there, so that the step would grow with the weights).

    Logit adjustment adds tau * log(prior) to the logits while training only (Menon 2021, equation
    10). The prior is that of the training images: of the plan's rows, and uniform (no shift)
    under the balanced sampler. The prior of the training split before offline copies would
    correct for the imbalance twice.

    Args:
        recipe: loss, focal_gamma, label_smoothing, class_weights and logit_adjustment are used.
        counts: images of each class in one epoch, shape (K,).

    Raises:
        TrainingError: if no class has an image.

    Example:
        Without smoothing, weights and adjustment it is cross-entropy, and so is the focal loss with gamma 0:

        >>> logits, labels = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
        >>> targets, counts = functional.one_hot(labels, 3).float(), np.array([2, 2, 1])
        >>> plain = TrainingRecipe(label_smoothing=0.0)
        >>> focal = TrainingRecipe(label_smoothing=0.0, loss="focal", focal_gamma=0.0)
        >>> expected = functional.cross_entropy(logits, labels)
        >>> [bool(torch.isclose(Loss(each, counts)(logits, targets), expected)) for each in (plain, focal)]
        [True, True]
    """

    def __init__(self, recipe: TrainingRecipe, counts: np.ndarray) -> None:
        super().__init__()
        if counts.sum() == 0:
            raise TrainingError("there are no images to train on; make a plan from a split whose training split is not empty")
        weights = CLASS_WEIGHTS[recipe.class_weights](counts) if recipe.class_weights != "none" else np.ones(len(counts))
        self.epsilon = recipe.label_smoothing
        self.gamma = recipe.focal_gamma if recipe.loss == "focal" else 0.0
        self.weights: Tensor
        self.shift: Tensor
        self.register_buffer("weights", torch.tensor(weights, dtype=torch.float32), persistent=False)
        shift = recipe.logit_adjustment * log_prior(counts)
        self.register_buffer("shift", torch.tensor(shift, dtype=torch.float32), persistent=False)

    def weight(self, targets: Tensor) -> Tensor:
        """The divisor of the sum over these targets (N, K), a scalar."""
        return (targets * self.weights).sum()

    def total(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The sum over the batch before the division, a scalar.

        Args:
            logits: shape (N, K), any float type; the loss is computed in float32.
            targets: shape (N, K), each row adding up to 1.
        """
        log_p = functional.log_softmax(logits.float() + self.shift, dim=1)
        terms = -log_p * smooth(targets, self.epsilon) * self.weights  # (N, K)
        if self.gamma > 0:  # Lin 2017, equation 4, with soft targets: each class term is damped by its own probability
            terms = terms * (1 - log_p.exp()).clamp(min=SMALLEST_DOUBT) ** self.gamma
        return terms.sum()

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The loss of a batch, a scalar; see `total` for the shapes."""
        return self.total(logits, targets) / self.weight(targets).clamp(min=torch.finfo(torch.float32).tiny)
