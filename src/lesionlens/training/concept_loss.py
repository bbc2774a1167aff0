"""The loss of the concepts of a concept bottleneck."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lesionlens.models.concept_bottleneck import ConceptBottleneck
from lesionlens.training.distributed import World


def concept_targets(values: np.ndarray) -> np.ndarray:
    """Values and whether they are known, in a form that can be mixed: known values (0 elsewhere), then 1 where known.

    Args:
        values: in [0, 1], NaN where nothing is known, (N, U).

    Returns:
        float32 (N, 2 U).

    >>> concept_targets(np.array([[0.25, np.nan]])).tolist()
    [[0.25, 0.0, 1.0, 0.0]]
    """
    known = ~np.isnan(values)
    return np.concatenate([np.where(known, values, 0), known], axis=1).astype(np.float32)


def concept_loss(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of the binary cross entropies of known concepts, and their number; both scalars.

    Of images that MixUp or CutMix mixed, a concept counts with the share of the image that it is known of.

    Args:
        logits: (N, U), any float type; computed in float32.
        targets: as `concept_targets` gives them, or a mixture of such rows, (N, 2 U).
    """
    known = targets[:, logits.shape[1] :]
    values = targets[:, : logits.shape[1]] / known.clamp(min=torch.finfo(torch.float32).tiny)
    terms = functional.binary_cross_entropy_with_logits(logits.float(), values.clamp(0, 1), reduction="none")
    return (terms * known).sum(), known.sum()


class ConceptLoss:
    """Remembers the concepts of each pass, and compares them with what is known.

    Args:
        bottleneck: of the network.
        weight: of the loss, beside that of the diagnoses.
        world: the processes of the run.
    """

    def __init__(self, bottleneck: ConceptBottleneck, weight: float, world: World) -> None:
        self.weight, self.world = weight, world
        self._logits: Tensor | None = None
        bottleneck.concepts.register_forward_hook(self._remember)

    def _remember(self, layer: nn.Module, inputs: tuple[Tensor, ...], logits: Tensor) -> None:
        self._logits = logits

    def __call__(self, targets: Tensor) -> Tensor:
        """The weighted loss of the last pass, a scalar; images beyond the targets are unlabelled and do not count.

        Args:
            targets: (N, 2 U); see `concept_targets`.
        """
        assert self._logits is not None, "the network runs before its loss"
        logits, self._logits = self._logits[: len(targets)], None
        total, known = concept_loss(logits, targets)
        return self.weight * total * self.world.size / self.world.sum(known).clamp(min=1.0)
