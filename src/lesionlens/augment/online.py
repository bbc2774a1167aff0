"""Phase two: MixUp or CutMix of a whole mini-batch."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from lesionlens.core.errors import DataError
from lesionlens.core.recipe import AugmentationRecipe

Box = tuple[int, int, int, int]


def mix(images: Tensor, targets: Tensor, recipe: AugmentationRecipe, seed: int) -> tuple[Tensor, Tensor]:
    """Mix each image with a partner from the mini-batch, by MixUp, CutMix or not at all, as one draw decides.

    Args:
        images: float, shape (N, 3, H, W).
        targets: float, shape (N, K), each row a distribution over the classes.
        recipe: gives `mixup_p`, `mixup_alpha`, `cutmix_p`, `cutmix_alpha`.
        seed: determines the draws; for example `derive_seed(seed, epoch, "mix", step)`.

    Returns:
        New images and targets; the same objects if they are not mixed.

    Raises:
        DataError: if the shapes do not match or the values are not floating point.
    """
    _check(images, targets)
    generator = np.random.Generator(np.random.PCG64(seed))
    choice = generator.random()
    if len(images) < 2 or choice >= recipe.mixup_p + recipe.cutmix_p:
        return images, targets
    partners = torch.from_numpy(generator.permutation(len(images))).to(images.device)
    if choice < recipe.mixup_p:
        return mixup(images, targets, partners, float(generator.beta(recipe.mixup_alpha, recipe.mixup_alpha)))
    share = float(generator.beta(recipe.cutmix_alpha, recipe.cutmix_alpha))
    centre = float(generator.random()), float(generator.random())
    return cutmix(images, targets, partners, cut_box(images.shape[2], images.shape[3], share, centre))


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
    top, bottom, left, right = box
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = images[partners, :, top:bottom, left:right]
    share = 1 - (bottom - top) * (right - left) / (images.shape[2] * images.shape[3])
    return mixed, _blend(targets, targets[partners], share)
