import csv
from pathlib import Path

import pytest
import torch
from torch import nn

from lesionlens.core.errors import ModelError, WeightsError
from lesionlens.core.labels import HAM10000
from lesionlens.core.recipe import ModelRecipe
from lesionlens.core.recipe_file import load_recipe
from lesionlens.models.build import SIZES_TRIED, Normalise, build_initial_network, build_network, check_network, check_takes
from lesionlens.models.operators import timm

# Table 5 of doi:10.25271/sjuoz.2026.14.2.1737, by the module of timm's convnext_tiny that holds each row.
TABLE_5 = {
    "stem.0": 4704,
    "stem.1": 192,
    "stages.0": 237_888,
    "stages.1": 992_256,
    "stages.2": 11_112_960,
    "stages.3": 15_470_592,
    "head.norm": 1536,
    "head.fc": 5383,
}
FAMILIES = [
    "test_convnext",
    "test_resnet",
    "test_vit",
    "test_mambaout",
    "test_efficientnet",
    "mobilenetv3_small_050",
    "convnext_atto",
]


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_recipe_paper_starts_from_the_weights_of_its_time():
    name = load_recipe("paper").model.name
    assert timm().get_pretrained_cfg(name).tag == "fb_in1k"
    assert timm().get_pretrained_cfg(name.partition(".")[0]).tag != "fb_in1k"  # timm's default today


def test_convnext_tiny_is_the_papers_to_the_last_parameter():
    network = build_network(ModelRecipe("convnext_tiny", weights="none"), n_classes=7)
    assert count(network) == 27_825_511
    assert {name: count(network.get_submodule(name)) for name in TABLE_5} == TABLE_5
    assert sum(TABLE_5.values()) == 27_825_511


def test_table_5_is_the_papers(shared_root: Path):
    with (shared_root / "paper" / "table04_05_model.csv").open() as stream:
        printed = [int(row["parameters"]) for row in csv.DictReader(stream)]
    assert printed == [27_825_511, *TABLE_5.values()]


@pytest.mark.parametrize(("quota", "expected"), [(0, 2), (1, 1), (8, 2)])
def test_the_quota_of_the_container_bounds_the_threads_of_torch(quota, expected, monkeypatch):
    monkeypatch.setattr("lesionlens.models.build.library_threads", lambda: quota)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        build_network(ModelRecipe("test_resnet", weights="none"), n_classes=2)
        assert torch.get_num_threads() == expected
    finally:
        torch.set_num_threads(before)


def test_stages_have_the_papers_shapes():
    network = build_network(ModelRecipe("convnext_tiny", weights="none"), n_classes=7)
    with torch.inference_mode():
        features = network.stem(torch.zeros(1, 3, 64, 64))
        shapes = [tuple(features.shape)]
        for stage in network.stages:
            features = stage(features)
            shapes.append(tuple(features.shape))
    assert shapes == [(1, 96, 16, 16), (1, 96, 16, 16), (1, 192, 8, 8), (1, 384, 4, 4), (1, 768, 2, 2)]


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_gets_a_small_linear_head(name):
    torch.manual_seed(0)
    network = build_network(ModelRecipe(name, weights="none"), n_classes=5, size=96).eval()
    head = network.get_classifier()
    assert head.weight.std() < 0.02
    assert head.bias.abs().max() == 0
    with torch.inference_mode():
        assert network(torch.randn(2, 3, 96, 96)).shape == (2, 5)


def test_an_unknown_network_names_near_ones():
    with pytest.raises(ModelError, match="timm knows no network 'convnext_tinny'; near are convnext_tiny"):
        build_network(ModelRecipe("convnext_tinny", weights="none"), 7)


def test_weights_that_cannot_be_fetched_are_an_error_and_no_random_start(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match=r"are not available.*model\.weights=FILE\.safetensors"):
        build_network(ModelRecipe("convnext_atto", weights="imagenet"), 7)


def test_a_network_without_imagenet_weights_says_so():
    with pytest.raises(WeightsError, match="are not available"):
        build_network(ModelRecipe("mobilenetv2_035", weights="imagenet"), 7)


def test_drop_rates_reach_the_network():
    network = build_network(ModelRecipe("test_convnext", weights="none", drop_rate=0.3, drop_path_rate=0.2), 7)
    assert network.head.drop.p == 0.3
    assert any(getattr(module, "drop_prob", 0) for module in network.modules())


def test_normalise_by_hand():
    normalise = Normalise((0.5, 0.25, 0.0), (0.5, 0.25, 1.0))
    pixels = torch.tensor([255, 0, 51], dtype=torch.uint8).view(1, 3, 1, 1)
    torch.testing.assert_close(normalise(pixels).flatten(), torch.tensor([1.0, -1.0, 0.2]))


@pytest.mark.parametrize(("name", "size"), [("test_convnext", 32), ("test_vit", 160), ("mobilenetv2_100", 96), ("alexnet", 64)])
def test_sizes_that_are_taken(name, size):
    check_takes(ModelRecipe(name), size)


@pytest.mark.parametrize(
    ("name", "size", "taken"),
    [pytest.param("inception_v3", 48, "96, 128", marks=pytest.mark.slow), ("alexnet", 48, "64, 96, 128")],
)
def test_sizes_that_are_not_taken_are_listed(name, size, taken):
    with pytest.raises(
        ModelError, match=rf"{name} does not take images of {size} pixels \(.*; of 32 to 512 it takes {taken}"
    ) as error:
        check_takes(ModelRecipe(name), size)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith("Set input.size to one of them")
    assert 48 in SIZES_TRIED


def test_the_size_of_an_unknown_network_is_not_the_problem():
    with pytest.raises(ModelError, match="timm knows no network 'resnet5'; near are"):
        check_takes(ModelRecipe("resnet5"), 64)


@pytest.mark.slow
def test_a_network_of_another_kind_is_not_blamed_on_its_size():
    with pytest.raises(ModelError, match="cannot be trained at any size: deit_tiny_distilled_patch16_224 has"):
        check_takes(ModelRecipe("deit_tiny_distilled_patch16_224"), 224)


def test_a_training_is_refused_before_its_first_epoch():
    with pytest.raises(ModelError, match="alexnet does not take images of 48 pixels"):
        build_initial_network(ModelRecipe("alexnet", weights="none"), HAM10000, 48)


def test_a_size_that_was_checked_before_the_first_stage_is_not_checked_again():
    recipe = ModelRecipe("test_convnext", weights="none")
    check_takes.cache_clear()
    check_network(recipe, 64)
    build_initial_network(recipe, HAM10000, 64)
    assert check_takes.cache_info().misses == 1


def test_a_head_with_a_hidden_layer_becomes_a_linear_one():
    """timm's CAFormer has a hidden layer in its classifier, of which Grad-CAM has no closed form."""
    network = build_network(ModelRecipe("caformer_s18", weights="none"), 7)
    assert isinstance(network.get_classifier(), nn.Linear)
    with torch.device("meta"):
        timms = timm().create_model("caformer_s18")
    assert not isinstance(timms.get_classifier(), nn.Linear)
    with torch.inference_mode():
        shared = {name for name, value in timms.state_dict().items() if "head.fc" not in name}
    assert {name for name in network.state_dict() if "head.fc" not in name} == shared
