"""Phase two: MixUp or CutMix of a whole mini-batch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lesionlens.core.errors import DataError
from lesionlens.core.recipe import AugmentationRecipe

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Mixing:
    """How one mini-batch is mixed.

    Attributes:
        partners: row of each image's partner, int64 (N,).
        share: lambda of MixUp, the weight of the image itself; not used with a box.
        box: of CutMix: top, bottom, left, right in pixels, ends excluded; None for MixUp.
    """

    partners: np.ndarray
    share: float
    box: Box | None = None

    def apply(self, images: Tensor, targets: Tensor, others: Tensor, other_targets: Tensor) -> tuple[Tensor, Tensor]:
        """Mix images with their partners.

        Args:
            images: float, shape (n, 3, H, W), any rows of the mini-batch.
            targets: float, shape (n, K).
            others: the partner of each of them, same shape.
            other_targets: of the partners, same shape.
        """
        if self.box is None:
            return _blend(images, others, self.share), _blend(targets, other_targets, self.share)
        return _paste(images, others, self.box), _blend(targets, other_targets, _uncut(images, self.box))


def draw_mixing(n: int, height: int, width: int, recipe: AugmentationRecipe, seed: int) -> Mixing | None:
    """Draw MixUp, CutMix or neither for a mini-batch; None leaves it as it is.

    It depends on the whole mini-batch's size and the seed alone, so every process of a run draws the same.

    Args:
        n: images of the mini-batch, over all processes.
        height: of the images, pixels.
        width: of the images, pixels.
        recipe: gives `mixup_p`, `mixup_alpha`, `cutmix_p`, `cutmix_alpha`.
        seed: for example `derive_seed(seed, "mix", epoch, step)`.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    choice = generator.random()
    if n < 2 or choice >= recipe.mixup_p + recipe.cutmix_p:
        return None
    partners = generator.permutation(n)
    if choice < recipe.mixup_p:
        return Mixing(partners, float(generator.beta(recipe.mixup_alpha, recipe.mixup_alpha)))
    share = float(generator.beta(recipe.cutmix_alpha, recipe.cutmix_alpha))
    centre = float(generator.random()), float(generator.random())
    return Mixing(partners, share, cut_box(height, width, share, centre))


def mix(images: Tensor, targets: Tensor, recipe: AugmentationRecipe, seed: int) -> tuple[Tensor, Tensor]:
    """Mix each image with a partner from the mini-batch, by MixUp, CutMix or not at all, as one draw decides.

    Args:
        images: float, shape (N, 3, H, W).
        targets: float, shape (N, K), each row a distribution over the classes.
        recipe: as `draw_mixing`.
        seed: as `draw_mixing`.

    Returns:
        New images and targets; the same objects if they are not mixed.

    Raises:
        DataError: if the shapes do not match or the values are not floating point.
    """
    _check(images, targets)
    mixing = draw_mixing(len(images), images.shape[2], images.shape[3], recipe, seed)
    if mixing is None:
        return images, targets
    partners = torch.from_numpy(mixing.partners).to(images.device)
    return mixing.apply(images, targets, images[partners], targets[partners])


def _check(images: Tensor, targets: Tensor) -> None:
    if images.ndim != 4 or targets.ndim != 2 or len(images) != len(targets):
        shapes = f"{tuple(images.shape)} and {tuple(targets.shape)}"
        raise DataError(f"mix got images and targets of shapes {shapes}; it needs (N, 3, H, W) and (N, K) of the same N")
    if not (images.is_floating_point() and targets.is_floating_point()):
        raise DataError(f"mix got {images.dtype} images and {targets.dtype} targets; both must be floating point")


def mixup(images: Tensor, targets: Tensor, partners: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Weighted mean of each image and its partner (Zhang et al., ICLR 2018, section 2).

    Args:
        images: float, shape (N, 3, H, W).
        targets: float, shape (N, K).
        partners: index of each image's partner, shape (N,).
        share: lambda, the weight of the image itself, in [0, 1].
    """
    return _blend(images, images[partners], share), _blend(targets, targets[partners], share)


def _blend(own: Tensor, other: Tensor, share: float) -> Tensor:
    return (own * share).add_(other, alpha=1 - share)


def cut_box(height: int, width: int, share: float, centre: tuple[float, float]) -> Box:
    """The box of CutMix (Yun et al., ICCV 2019, equation 2 and its code): top, bottom, left, right.

    Its sides are sqrt(1 - share) of the image's; it is clipped at the border.

    Args:
        height: pixels.
        width: pixels.
        share: lambda, the share of the image that remains, in [0, 1].
        centre: of the box, fractions of height and width in [0, 1).
    """
    side = math.sqrt(1 - share)
    half_height, half_width = int(height * side) // 2, int(width * side) // 2
    y, x = int(centre[0] * height), int(centre[1] * width)
    return max(y - half_height, 0), min(y + half_height, height), max(x - half_width, 0), min(x + half_width, width)


def cutmix(images: Tensor, targets: Tensor, partners: Tensor, box: Box) -> tuple[Tensor, Tensor]:
    """Paste a box of each image's partner; targets are weighted by the exact areas.

    Args:
        images: float, shape (N, 3, H, W).
        targets: float, shape (N, K).
        partners: index of each image's partner, shape (N,).
        box: top, bottom, left, right in pixels, ends excluded.
    """
    others = images[partners]
    return _paste(images, others, box), _blend(targets, targets[partners], _uncut(images, box))


def _paste(images: Tensor, others: Tensor, box: Box) -> Tensor:
    top, bottom, left, right = box
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = others[:, :, top:bottom, left:right]
    return mixed


def _uncut(images: Tensor, box: Box) -> float:
    """Share of the area outside the box."""
    top, bottom, left, right = box
    return 1 - (bottom - top) * (right - left) / (images.shape[2] * images.shape[3])
