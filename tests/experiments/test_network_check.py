"""Which sizes a network takes, and its counts, without memory for its weights."""

import pytest
import torch

from lesionlens.compression.count import count
from lesionlens.core.errors import ModelError
from lesionlens.core.recipe_file import load_recipe
from lesionlens.experiments.network_check import SIZES_TRIED, check_takes, count_network
from lesionlens.models.build import build_network


def recipe(name: str, size: int):
    return load_recipe("demo", [f"model.name={name}", f"input.size={size}"])


@pytest.mark.parametrize(("name", "size"), [("test_convnext", 32), ("test_vit", 160), ("mobilenetv2_100", 96)])
def test_sizes_that_are_taken(name, size):
    check_takes(recipe(name, size))


def test_sizes_that_are_not_taken_are_listed():
    with pytest.raises(
        ModelError, match=r"inception_v3 does not take images of 48 pixels \(.*; of 32 to 512 it takes 96, 128"
    ) as caught:
        check_takes(recipe("inception_v3", 48))
    assert "\n" not in str(caught.value)
    assert 48 in SIZES_TRIED


def test_an_unknown_network_names_near_ones():
    with pytest.raises(ModelError, match="timm knows no network 'resnet5'; near are"):
        check_takes(recipe("resnet5", 64))


def test_a_network_of_another_kind_is_not_blamed_on_its_size():
    with pytest.raises(ModelError, match="caformer_s36 cannot be trained at any size: caformer_s36 has no linear classifier"):
        check_takes(recipe("caformer_s36", 64))


def test_counts_are_those_of_the_real_network():
    small = recipe("test_convnext", 48)
    real = count(build_network(small.model, 7, 48), 48)
    assert count_network(small, 7) == {"parameters": real.parameters, "macs": real.macs}


def test_a_network_larger_than_memory_is_counted():
    """1.8 billion parameters, 7 GB: nothing of it is allocated, and the next network is built as usual."""
    assert count_network(recipe("eva02_enormous_patch14_clip_224", 224), 7)["parameters"] > 4e9
    assert torch.zeros(1).device.type == "cpu"
