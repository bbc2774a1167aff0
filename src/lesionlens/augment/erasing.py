"""Random erasing (Zhong et al., AAAI 2020) of normalised images, as in timm."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import torch
from torch import Tensor

from lesionlens.core.recipe import AugmentationRecipe

AREA = (0.02, 1 / 3)  # of a rectangle, as a share of the image's; timm's defaults
ASPECT = (0.3, 1 / 0.3)
ATTEMPTS = 10


def erase_(images: Tensor, seeds: Sequence[int], recipe: AugmentationRecipe) -> None:
    """Erase rectangles of some images, in place: timm's `RandomErasing` with one generator for each image.

    Args:
        images: normalised, float, shape (N, 3, H, W).
        seeds: one per image; they decide whether, where and with what an image is erased.
        recipe: gives `random_erasing_p`, `random_erasing_mode` and `random_erasing_count`.
    """
    for image, seed in zip(images, seeds, strict=True):
        rng = random.Random(seed)
        if rng.random() > recipe.random_erasing_p:
            continue
        count = 1 if recipe.random_erasing_count == 1 else rng.randint(1, recipe.random_erasing_count)
        noise = torch.Generator().manual_seed(seed)
        for _ in range(count):
            _erase_rectangle_(image, rng, count, recipe.random_erasing_mode, noise)


def _erase_rectangle_(image: Tensor, rng: random.Random, count: int, mode: str, noise: torch.Generator) -> None:
    channels, height, width = image.shape
    for _ in range(ATTEMPTS):
        area = rng.uniform(*AREA) * height * width / count
        aspect = math.exp(rng.uniform(math.log(ASPECT[0]), math.log(ASPECT[1])))
        rows, columns = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if rows < height and columns < width:
            top, left = rng.randint(0, height - rows), rng.randint(0, width - columns)
            fill = _fill((channels, rows, columns), mode, noise)
            image[:, top : top + rows, left : left + columns] = fill.to(image)
            return


def _fill(shape: tuple[int, int, int], mode: str, noise: torch.Generator) -> Tensor:
    if mode == "const":
        return torch.zeros(shape[0], 1, 1)
    return torch.randn(shape if mode == "pixel" else (shape[0], 1, 1), generator=noise)
