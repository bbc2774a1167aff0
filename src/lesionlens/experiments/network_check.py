"""How large a recipe's network is, without memory for its weights."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from lesionlens.compression.count import macs
from lesionlens.core.recipe import ModelRecipe, Recipe
from lesionlens.models.build import outline


def count_network(recipe: Recipe, n_classes: int) -> dict[str, Any]:
    """Parameters of the recipe's network and multiply-accumulate operations for one image of its size.

    Returns:
        `parameters` and `macs`, JSON-ready.
    """
    parameters, operations = _counted(recipe.model, n_classes, recipe.input.size)
    return {"parameters": parameters, "macs": operations}


@lru_cache(maxsize=256)  # the rows of most grids share one network
def _counted(model: ModelRecipe, n_classes: int, size: int) -> tuple[int, int]:
    network = outline(model, n_classes, size)
    return sum(parameter.numel() for parameter in network.parameters()), macs(network, size)
