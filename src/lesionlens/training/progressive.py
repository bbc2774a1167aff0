"""Progressive resizing: small images in the first epochs, which take less time, and whole ones from two thirds of them on."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from lesionlens.core.errors import RecipeError
from lesionlens.core.recipe import TrainingRecipe

STEP = 32  # sides are multiples of it: the stride of most networks
FULL_FROM = 2 / 3  # share of the epochs after which the images have their whole side


def side_of(epoch: int, size: int, recipe: TrainingRecipe) -> int:
    """Side of the training images in an epoch (from 1), pixels: a multiple of 32, or `size` itself.

    Example:
        >>> recipe = TrainingRecipe(epochs=9, warmup_epochs=1, progressive=0.5)
        >>> [side_of(epoch, 224, recipe) for epoch in range(1, 10)]
        [128, 160, 160, 192, 192, 224, 224, 224, 224]
    """
    last_smaller = math.ceil(FULL_FROM * recipe.epochs)
    share = recipe.progressive + (1 - recipe.progressive) * min(1.0, (epoch - 1) / last_smaller)
    return min(size, max(STEP, math.ceil(share * size / STEP) * STEP)) if share < 1 else size


def resized(images: Tensor, side: int) -> Tensor:
    """Normalised images (N, 3, S, S) as (N, 3, side, side), with antialiasing; the same if they have that side."""
    if images.shape[-1] == side:
        return images
    return functional.interpolate(images, size=(side, side), mode="bilinear", antialias=True)


def check_takes(network: nn.Module, size: int, recipe: TrainingRecipe, device: torch.device) -> None:
    """Check that a network takes the smallest images of a recipe.

    Args:
        network: on `device`; its mode and weights stay as they are.
        size: whole side of the images, pixels.
        recipe: with `progressive` below 1, else nothing is checked.
        device: of the network.

    Raises:
        RecipeError: if it takes images of one size only.
    """
    if recipe.progressive == 1:
        return
    side, was_training = side_of(1, size, recipe), network.training
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, 3, side, side, device=device))
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RecipeError(
            f"training.progressive = {recipe.progressive:g} starts with images of {side}x{side}, which this network "
            f"does not take ({reason}); set training.progressive = 1, or choose a network that takes any size"
        ) from error
    finally:
        network.train(was_training)
