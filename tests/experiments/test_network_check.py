"""Counts of a recipe's network, without memory for its weights."""

import pytest
import torch

from lesionlens.compression.count import count
from lesionlens.core.recipe_file import load_recipe
from lesionlens.experiments.network_check import count_network
from lesionlens.models.build import build_network


def recipe(name: str, size: int):
    return load_recipe("demo", [f"model.name={name}", f"input.size={size}"])


def test_counts_are_those_of_the_real_network():
    small = recipe("test_convnext", 48)
    real = count(build_network(small.model, 7, 48), 48)
    assert count_network(small, 7) == {"parameters": real.parameters, "macs": real.macs}


@pytest.mark.slow
def test_a_network_larger_than_memory_is_counted():
    """1.8 billion parameters, 7 GB: nothing of it is allocated, and the next network is built as usual."""
    assert count_network(recipe("eva02_enormous_patch14_clip_224", 224), 7)["parameters"] > 4e9
    assert torch.zeros(1).device.type == "cpu"
