"""Semi-supervised training: a confident prediction for one view of an unlabelled image is the label of another (FixMatch).

Sohn K. et al., "FixMatch: Simplifying semi-supervised learning with consistency and confidence", NeurIPS 2020. We depart here:

- the weak view is predicted in evaluation mode and, where the recipe averages weights, by the averaged network, so the labels of
  images do not depend on the rest of their batch;
- the strong views pass through the network together with the labelled images, so batch norms see both;
- `threshold_by = "class"` lowers the threshold of a diagnosis that gets few pseudo-labels, as FlexMatch does (Zhang 2021,
  equation 5 and the mapping x / (2 - x)). FlexMatch counts as if all classes were equally frequent; here a count is relative to
  the share of the diagnosis among the labelled images, so that a rare diagnosis is not taken for a difficult one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lesionlens.augment.files import crop_corner
from lesionlens.augment.policy import TRANSFORMS, Policy
from lesionlens.augment.transform import augment
from lesionlens.core.recipe import Recipe
from lesionlens.core.seeds import derive_seed, generator
from lesionlens.data.image import InputSpec
from lesionlens.training.batches import QUEUE_DEPTH, Batches, randaugment
from lesionlens.training.distributed import World
from lesionlens.training.prefetch import Prefetch
from lesionlens.training.unlabelled import Unlabelled

OFF: dict[str, Any] = dict.fromkeys(TRANSFORMS, 0.0)
GEOMETRY = {"horizontal_flip": 0.5, "vertical_flip": 0.5, "shift_scale_rotate": 0.5}
WEAK = Policy(**{**OFF, **GEOMETRY}, scale=0.0, rotate_deg=90.0)
"""Flips, and half of the time a turn and a shift: the diagnosis does not depend on them."""
HOLE = Policy(**{**OFF, "coarse_dropout": 1.0}, holes=(1, 1), hole_side=(0.1, 0.5))


@dataclass(frozen=True)
class Views:
    """Two views of some unlabelled images.

    Attributes:
        weak: uint8 (n, 3, S, S).
        strong: of the same images.
        total: images of the mini-batch over all processes, at least n.
    """

    weak: Tensor
    strong: Tensor
    total: int


@dataclass(frozen=True)
class PseudoLabels:
    """What the network says of the weak views.

    Attributes:
        labels: class indices, int64 (n,).
        mask: which of them count, bool (n,).
    """

    labels: Tensor
    mask: Tensor


class FixMatch:
    """Draws unlabelled images, and turns them into a loss.

    Args:
        unlabelled: screened images.
        recipe: seed, batch size and [semi_supervised] are used.
        spec: size and mean of the images.
        world: this process takes its share of every mini-batch.
        labelled: batches of the labelled images.
        codes: of the diagnoses, in the order of the network's outputs.
    """

    def __init__(
        self,
        unlabelled: Unlabelled,
        recipe: Recipe,
        spec: InputSpec,
        world: World,
        labelled: Batches,
        codes: Sequence[str],
    ) -> None:
        self.unlabelled, self.recipe, self.settings = unlabelled, recipe, recipe.semi_supervised
        self.rows = unlabelled.store.rows(unlabelled.ids)
        self.size, self.world = spec.size, world
        self.randaugment = randaugment(self.settings.strong, spec)
        self.codes = tuple(codes)
        self.sizes = [max(world.size, round(self.settings.ratio * (cut.stop - cut.start))) for cut in labelled.cuts]
        counts = torch.from_numpy(labelled.counts(len(codes))).clamp(min=1).to(world.device)
        self.prior = counts / counts.sum()
        self.counts = torch.zeros(len(codes), dtype=torch.int64, device=world.device)
        self.thresholds = torch.full((len(codes),), self.settings.threshold, device=world.device)

    @property
    def total(self) -> int:
        """Unlabelled images in an epoch, over all processes."""
        return sum(self.sizes)

    def begin(self, previous: Mapping[str, int]) -> None:
        """Begin an epoch: no pseudo-labels so far, and thresholds that follow from those of the epoch before.

        Args:
            previous: pseudo-labels of each diagnosis in the epoch before, by code; empty before the first.
        """
        self.counts.zero_()
        if self.settings.threshold_by == "class" and previous:
            self.thresholds = class_thresholds(
                torch.tensor([previous[code] for code in self.codes], device=self.world.device),
                self.prior,
                self.settings.threshold,
            )

    def epoch(self, epoch: int) -> Prefetch[Views]:
        """The views of an epoch (from 1), one for each mini-batch of labelled images; use it as a context manager."""
        return Prefetch(self._generate(epoch), QUEUE_DEPTH)

    def _generate(self, epoch: int) -> Iterator[Views]:
        order, start = self._order(epoch), 0
        for total in self.sizes:
            share = self.world.rows(total)
            draws = order[start + share.start : start + share.stop]
            yield self.views(draws, epoch, range(start + share.start, start + share.stop), total)
            start += total

    def _order(self, epoch: int) -> np.ndarray:
        """Numbers of the images of an epoch: all of them in random order, again and again until there are enough."""
        rounds = -(-self.total // len(self.rows))
        drawn = [generator(self.recipe.seed, "unlabelled order", epoch, n).permutation(len(self.rows)) for n in range(rounds)]
        return np.concatenate(drawn)[: self.total]

    def views(self, numbers: np.ndarray, epoch: int, draws: Sequence[int], total: int) -> Views:
        """Both views of some images.

        Args:
            numbers: of the images, (n,).
            epoch: from 1.
            draws: place of each in the epoch, so that an image that is drawn again gets other views.
            total: images of the mini-batch over all processes.
        """
        ids = [self.unlabelled.ids[number] for number in numbers.tolist()]
        weak, strong = (
            [derive_seed(self.recipe.seed, name, epoch, image_id, draw) for image_id, draw in zip(ids, draws, strict=True)]
            for name in ("weak", "strong")
        )
        frames = self.unlabelled.store.images[self.rows[numbers]]
        turned = augment(self._crops(frames, strong), strong, WEAK)
        changed = augment(self.randaugment(turned, strong), strong, HOLE)
        return Views(augment(self._crops(frames, weak), weak, WEAK), changed, total)

    def _crops(self, frames: np.ndarray, seeds: Sequence[int]) -> Tensor:
        """A random crop of each frame, as of labelled images, uint8 (n, 3, S, S)."""
        frame, size = frames.shape[1], self.size
        corners = [crop_corner(seed, frame, size) if frame > size else (0, 0) for seed in seeds]
        crops = [image[top : top + size, left : left + size] for image, (top, left) in zip(frames, corners, strict=True)]
        return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)

    @torch.no_grad()
    def pseudo_labels(self, network: nn.Module, weak: Tensor) -> PseudoLabels:
        """Predict the weak views in evaluation mode, and count what is confident enough.

        Args:
            network: as it is validated: the averaged one if there is one.
            weak: normalised, (n, 3, S, S).
        """
        training = network.training
        confidence, labels = functional.softmax(network.eval()(weak).float(), dim=1).max(dim=1)
        network.train(training)
        mask = confidence >= self.thresholds[labels]
        self.counts += torch.bincount(labels[mask], minlength=len(self.counts))
        return PseudoLabels(labels, mask)

    def loss(self, logits: Tensor, pseudo: PseudoLabels, total: int) -> Tensor:
        """The weighted loss of this process's strong views, a scalar; images without a pseudo-label count as 0 (equation 4).

        Args:
            logits: of the strong views, (n, K).
            pseudo: of the same images.
            total: images of the mini-batch over all processes; gradients are averaged over the processes.
        """
        losses = functional.cross_entropy(logits.float(), pseudo.labels, reduction="none") * pseudo.mask
        return self.settings.weight * losses.sum() * self.world.size / total

    def counted(self) -> dict[str, int]:
        """Pseudo-labels of each diagnosis so far in this epoch, over all processes."""
        return dict(zip(self.codes, self.world.sum(self.counts).tolist(), strict=True))


def class_thresholds(counts: Tensor, prior: Tensor, threshold: float) -> Tensor:
    """The threshold of each class from how many pseudo-labels it got, relative to its share of the labelled images, (K,).

    The class that learns best keeps `threshold`; a share b of its progress gives threshold times b / (2 - b), and at least
    half of `threshold`.

    Args:
        counts: pseudo-labels of each class in an epoch, (K,).
        prior: share of each class among the labelled images, above 0, (K,).
        threshold: of the class that learns best.

    >>> class_thresholds(torch.tensor([60, 10]), torch.tensor([0.6, 0.4]), 0.9).round(decimals=4).tolist()
    [0.8999999761581421, 0.44999998807907104]
    """
    progress = counts / prior
    if not bool(progress.max() > 0):
        return torch.full_like(prior, threshold)
    share = progress / progress.max()
    return (threshold * share / (2 - share)).clamp(min=threshold / 2)
