"""Whether a network takes the input size of a recipe, and how large it is, without memory for its weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from lesionlens.compression.count import macs
from lesionlens.core.errors import LesionLensError, ModelError
from lesionlens.core.recipe import ModelRecipe, Recipe
from lesionlens.models.build import build_network
from lesionlens.models.operators import timm

SIZES_TRIED = (32, 48, 64, 96, 128, 160, 192, 224, 256, 288, 320, 384, 448, 512)
NOT_TAKEN = (RuntimeError, ValueError, AssertionError, TypeError, IndexError, ZeroDivisionError)
"""What networks of timm raise for a size that they do not take."""


def outline(recipe: ModelRecipe, n_classes: int, size: int) -> nn.Module:
    """A network without values: its tensors have shapes only."""
    with torch.device("meta"):
        return build_network(replace(recipe, weights="none"), n_classes, size)


def check_takes(recipe: Recipe, n_classes: int = 7) -> None:
    """Make sure that the network takes images of `input.size`, before the first epoch.

    Raises:
        ModelError: if timm does not know the network, or it does not take the size; the message names sizes that it takes.
    """
    name, size = recipe.model.name, recipe.input.size
    if not timm().is_model(name):
        outline(recipe.model, n_classes, size)  # says which names are near
    reason = _refusal(recipe.model, n_classes, size)
    if not reason:
        return
    taken = [str(each) for each in SIZES_TRIED if not _refusal(recipe.model, n_classes, each)]
    if not taken:
        raise ModelError(f"{name} cannot be trained at any size: {reason}")
    raise ModelError(
        f"{name} does not take images of {size} pixels ({reason[:120]}); of {SIZES_TRIED[0]} to {SIZES_TRIED[-1]} it takes "
        f"{', '.join(taken)}. Set input.size to one of them"
    )


def _refusal(recipe: ModelRecipe, n_classes: int, size: int) -> str:
    """Why a network does not take images of this size; empty if it does."""
    try:
        network = outline(recipe, n_classes, size).eval()
        with torch.no_grad():
            network(torch.zeros(2, 3, size, size, device="meta"))
    except (LesionLensError, *NOT_TAKEN) as error:
        return " ".join(str(error).split()) or type(error).__name__
    return ""


def count_network(recipe: Recipe, n_classes: int) -> dict[str, Any]:
    """Parameters of the recipe's network and multiply-accumulate operations for one image of its size.

    Returns:
        `parameters` and `macs`, JSON-ready.
    """
    network = outline(recipe.model, n_classes, recipe.input.size)
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "macs": macs(network, recipe.input.size),
    }
