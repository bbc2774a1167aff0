"""How large a recipe's network is, without memory for its weights."""

from __future__ import annotations

from typing import Any

from lesionlens.compression.count import macs
from lesionlens.core.recipe import Recipe
from lesionlens.models.build import outline


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
