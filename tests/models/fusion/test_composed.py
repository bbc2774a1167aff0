"""Composed networks: parts and their weights, the head, and what each network is known to be."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tests.slow_values import slow_but
from torch import nn

from lesionlens.core.errors import WeightsError
from lesionlens.core.recipe import ModelRecipe
from lesionlens.explanation.cam import find_head
from lesionlens.models.build import build_network, check_network, check_takes, outline
from lesionlens.models.catalogue import COMPOSED, input_config
from lesionlens.models.fusion import convnext_transformer, xception_attention
from lesionlens.models.fusion.attention import EfficientChannelAttention
from lesionlens.models.operators import timm

PARAMETERS = {  # millions, of the parts (timm's tables, without classifiers) and what joins them
    "densenet_convnext": 222.2,
    "convnext_st_aff": 59.4,
    "caformer_convnext": 37.2,
    "xception_soft_attention": 21.1,
    "xception_hard_attention": 20.8,
    "xception_self_attention": 22.9,
    "multiscale_efficientnetv2": 20.8,
    "efam_net": 34.9,
    "fuscanet": 5.8,
    "eff2net": 16.5,  # "around 16 M parameters" (Karthik 2022)
    "skintrans": 23.5,
    "convnext_transformer": 4.2,
    "inherent_cnn": 3.4,
    "xception_shufflenet": 22.1,
}


def test_every_composed_network_is_listed_here():
    assert PARAMETERS.keys() == COMPOSED.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPOSED)
def test_sizes(name):
    network = outline(ModelRecipe(name), 7, 224)
    assert sum(parameter.numel() for parameter in network.parameters()) / 1e6 == pytest.approx(PARAMETERS[name], abs=0.06)
    assert network(torch.zeros(2, 3, 224, 224, device="meta")).shape == (2, 7)
    check_takes(ModelRecipe(name), 96)


@pytest.mark.parametrize("name", slow_but(COMPOSED, *(name for name in COMPOSED if PARAMETERS[name] < 30)))
def test_parts_are_networks_whose_head_is_gone(name):
    network = outline(ModelRecipe(name), 7, 224)
    linear = [
        key for key, module in network.named_modules() if isinstance(module, nn.Linear) and module.out_features in (7, 1000)
    ]
    assert linear == ["classifier"]
    for part in COMPOSED[name].parts:
        assert timm().is_model(part) or part.startswith("shufflenet")


@pytest.mark.parametrize("name", ["inherent_cnn", "fuscanet", "skintrans", "convnext_transformer"])
def test_heat_maps_have_a_closed_form(name):
    torch.manual_seed(0)
    network = build_network(ModelRecipe(name, weights="none"), 5, 64).eval()
    assert find_head(network, 64) is not None


def test_every_module_of_the_folder_says_which_paper_and_where_it_departs():
    import lesionlens.models.fusion as package

    modules = sorted(Path(package.__file__).parent.glob("*.py"))
    described = [path for path in modules if path.stem not in ("__init__", "attention", "composed")]
    assert len(described) == 12
    for path in described:
        text = path.read_text(encoding="utf-8")
        assert "Where it leaves something open, and where this departs:" in text, path
        assert text.split('"""')[1].split("\n")[0].rstrip(".").endswith(")"), f"{path} does not name its paper in its first line"


def test_eff2net_has_no_squeeze_and_excitation():
    network = outline(ModelRecipe("eff2net"), 7, 224)
    names = [type(module).__name__ for module in network.modules()]
    assert "SqueezeExcite" not in names
    assert sum(isinstance(module, EfficientChannelAttention) for module in network.modules()) == 30  # of EfficientNetV2-S


def test_xception_has_the_attention_of_its_name():
    for name, attention in xception_attention.ATTENTIONS.items():
        assert isinstance(outline(ModelRecipe(name), 7, 224).attention, attention)


def part_file(folder: Path, name: str, n_classes: int = 7) -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    fixed = input_config(name).fixed_input_size
    state = build_network(ModelRecipe(name, weights="none"), n_classes, 224 if fixed else 64).state_dict()
    folder.mkdir(exist_ok=True)
    save_file(state, folder / f"{name}.safetensors")
    return state


@pytest.mark.parametrize("n_classes", [7, 1000])
def test_a_folder_of_weights_fills_the_parts(tmp_path, n_classes):
    state = part_file(tmp_path / "parts", "mobilevit_s", n_classes)
    network = build_network(ModelRecipe("fuscanet", weights=str(tmp_path / "parts")), 7, 64)
    filled = network.mobilevit.state_dict()
    for name, value in state.items():
        if not name.startswith("head"):
            torch.testing.assert_close(filled[name], value, rtol=0, atol=0)
    assert network.classifier.weight.std() < 0.02


def test_the_pretrained_parts_start_unchanged():
    """SkinTrans adds scales of weight 0 to the embedding: its tokens are those of the vision transformer alone."""
    torch.manual_seed(0)
    network = build_network(ModelRecipe("skintrans", weights="none"), 7, 64).eval()
    embedding, images = network.transformer.patch_embed, torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(embedding(images), embedding.embedding(images))
    nn.init.normal_(embedding.windows[0].weight)
    assert not torch.allclose(embedding(images), embedding.embedding(images))


@pytest.mark.slow
def test_a_part_without_weights_is_named(tmp_path):
    part_file(tmp_path / "parts", "legacy_xception")
    recipe = ModelRecipe("xception_shufflenet", weights=str(tmp_path / "parts"))
    for check in (lambda: build_network(recipe, 7, 96), lambda: check_network(recipe, 96)):
        with pytest.raises(
            WeightsError, match=r"part shufflenet_v2_x1_0 has no weights: .*shufflenet_v2_x1_0\.safetensors does not"
        ) as e:
            check()
        assert "\n" not in str(e.value)
    part_file(tmp_path / "parts", "shufflenet_v2_x1_0")
    check_network(recipe, 96)


def test_weights_of_another_network_do_not_fit_a_part(tmp_path):
    part_file(tmp_path / "parts", "test_convnext")
    (tmp_path / "parts" / "test_convnext.safetensors").rename(tmp_path / "parts" / "mobilevit_s.safetensors")
    with pytest.raises(WeightsError, match=r"mobilevit_s\.safetensors does not fit mobilevit_s"):
        build_network(ModelRecipe("fuscanet", weights=str(tmp_path / "parts")), 7, 64)


def test_imagenet_weights_that_a_part_does_not_have(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="part mobilevit_s: ImageNet weights of mobilevit_s are not available"):
        build_network(ModelRecipe("fuscanet", weights="imagenet"), 7, 64)
    with pytest.raises(WeightsError, match=r"xception_shufflenet has no .* its part shufflenet_v2_x1_0 as a pickle; convert"):
        build_network(ModelRecipe("xception_shufflenet", weights="imagenet"), 7, 96)
    with pytest.raises(WeightsError, match="inherent_cnn has no ImageNet weights to load: its paper trains it from random ones"):
        build_network(ModelRecipe("inherent_cnn", weights="imagenet"), 7, 64)


def test_a_folder_is_no_weights_of_a_plain_network(tmp_path):
    with pytest.raises(WeightsError, match="neither imagenet, none, nor an existing safetensors file"):
        build_network(ModelRecipe("test_convnext", weights=str(tmp_path)), 7, 64)


def test_a_checkpoint_of_the_whole_network_fits(tmp_path):
    torch.manual_seed(1)
    state = build_network(ModelRecipe("inherent_cnn", weights="none"), 7, 64).state_dict()
    save_file(state, tmp_path / "w.safetensors")
    loaded = build_network(ModelRecipe("inherent_cnn", weights=str(tmp_path / "w.safetensors")), 7, 64).state_dict()
    for name, value in state.items():
        torch.testing.assert_close(loaded[name], value, rtol=0, atol=0)


def test_cells_know_their_position_only_once_it_is_learnt():
    """The attention alone does not see an order: swapped cells give swapped features, until the convolution has weights."""
    torch.manual_seed(0)
    block = convnext_transformer.PositionedBlock(0.0).eval()
    features = torch.randn(1, convnext_transformer.WIDTH, 3, 3)
    torch.testing.assert_close(block(features.flip(3)), block(features).flip(3))
    nn.init.normal_(block.position.weight)
    assert not torch.allclose(block(features.flip(3)), block(features).flip(3), atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("skintrans", 224),
        ("convnext_transformer", 64),
        ("convnext_st_aff", 224),
        ("xception_hard_attention", 96),
        ("eff2net", 96),
    ],
)
def test_files_of_the_plain_networks_fit_as_parts(tmp_path, name, size):
    """The state of timm's own network, as its hub distributes it, is what a folder of weights holds."""
    for part in COMPOSED[name].parts:
        part_file(tmp_path / "parts", part, 1000)
    check_network(ModelRecipe(name, weights=str(tmp_path / "parts")), size)
