"""Grad-CAM on patch tokens, against the reshape formula of pytorch-grad-cam computed with plain autograd."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from lesionlens.core.errors import ModelError
from lesionlens.explanation.attribution import build_explainer
from lesionlens.explanation.cam import ExplainedNetwork, find_head
from lesionlens.explanation.token_grid import TokenGrid, find_token_layer, token_grid
from lesionlens.models.operators import timm

SMALL = {"img_size": 64, "patch_size": 16, "embed_dim": 24, "depth": 2, "num_heads": 2}
CLASS_TOKEN = ("vit_tiny_patch16_224", "deit_tiny_patch16_224", "deit3_small_patch16_224", "vit_small_patch14_reg4_dinov2")
AVERAGED = ("vit_medium_patch16_gap_240", "vit_wee_patch16_reg1_gap_256", "eva02_tiny_patch14_224", "test_vit2")
OTHERS = {
    "swin_tiny_patch4_window7_224": {"img_size": 64, "embed_dim": 16, "depths": (1, 1), "num_heads": (1, 2), "window_size": 4},
    "mobilevit_xxs": {},
    "caformer_s18": {},
}
TOLERANCE = 1e-5  # of the range of the maps, for float32 sums in another order


def network_of(name: str, n_classes: int = 4, **options: object) -> nn.Module:
    torch.manual_seed(0)
    small = (
        {} if name.startswith("test_") else options or {**SMALL, **({"img_size": 70, "patch_size": 14} if "14" in name else {})}
    )
    network: nn.Module = timm().create_model(name, pretrained=False, num_classes=n_classes, **small).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network


def size_of(network: nn.Module) -> int:
    return network.patch_embed.img_size[0]


def reference(network: nn.Module, layer: nn.Module, images: torch.Tensor, class_: int, prefix: int) -> torch.Tensor:
    """reshape_transform of pytorch-grad-cam's page on vision transformers, and its weights and sum."""
    kept: list[torch.Tensor] = []
    hook = layer.register_forward_hook(lambda module, inputs, output: kept.append(output))
    logits = network(images)
    hook.remove()
    (gradient,) = torch.autograd.grad(logits[:, class_].sum(), kept[0])

    def reshape_transform(tensor: torch.Tensor) -> torch.Tensor:
        side = round((tensor.shape[1] - prefix) ** 0.5)
        result = tensor[:, prefix:, :].reshape(tensor.size(0), side, side, tensor.size(2))
        return result.transpose(2, 3).transpose(1, 2)

    weights = reshape_transform(gradient).mean((2, 3))
    return (weights[:, :, None, None] * reshape_transform(kept[0])).sum(1).relu().detach()


def assert_near(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert found.shape == expected.shape
    assert float(expected.max()) > 0
    assert float((found - expected).abs().max()) <= TOLERANCE * float(expected.max())


@pytest.mark.parametrize("name", CLASS_TOKEN)
def test_maps_of_class_tokens_are_the_reference(name):
    network = network_of(name)
    images = torch.randn(3, 3, size_of(network), size_of(network))
    explainer = build_explainer(network, size_of(network), "auto", images_per_pass=2)
    assert explainer.name == "grad-cam (tokens of norm1 of the last block)"
    explained = explainer.explain(images, torch.tensor([0, 1, 2]))
    with torch.no_grad():
        torch.testing.assert_close(explained.logits, network(images))
    for class_ in range(4):
        expected = reference(network, network.blocks[-1].norm1, images, class_, network.num_prefix_tokens)
        for m in range(2):
            rows = explained.classes[:, m] == class_
            if rows.any():
                assert float((explained.maps[rows, m] - expected[rows]).abs().max()) <= TOLERANCE * float(expected.max())


@pytest.mark.parametrize("name", AVERAGED)
def test_maps_of_averaged_tokens_are_the_reference_in_closed_form(name):
    network = network_of(name)
    images = torch.randn(3, 3, size_of(network), size_of(network))
    with torch.no_grad():
        logits, _, maps = ExplainedNetwork(network, size_of(network))(images)
        torch.testing.assert_close(logits, network(images))
    norm = network.norm  # the last layer of forward_features, an identity where the norm follows the pooling
    for class_ in range(4):
        assert_near(maps[:, class_], reference(network, norm, images, class_, network.num_prefix_tokens))
    assert build_explainer(network, size_of(network)).name == "grad-cam (closed form)"


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_other_families_are_explained_without_occlusion(name):
    network = network_of(name, **OTHERS[name]) if OTHERS[name] else timm().create_model(name, num_classes=4).eval()
    explainer = build_explainer(network, 64, "auto")
    explained = explainer.explain(torch.randn(2, 3, 64, 64), torch.tensor([0, 1]))
    assert explainer.name.startswith("grad-cam")
    assert explained.maps.shape[2] >= 2


@pytest.mark.parametrize("name", ["test_vit3", "test_vit4"])  # attention pooling; an RMSNorm after the pooling
def test_other_heads_on_tokens_use_autograd(name):
    network = network_of(name)
    images = torch.randn(2, 3, 160, 160)
    assert find_head(network, 160) is None
    layer = find_token_layer(network, images)
    assert layer is not None
    assert layer.name == "the last layer"
    tokens = network.forward_features(images)
    (gradient,) = torch.autograd.grad(network.forward_head(tokens)[:, 1].sum(), tokens)
    expected = (layer.grid.cells(gradient).mean((2, 3), keepdim=True) * layer.grid.cells(tokens)).sum(1).relu().detach()
    assert_near(layer.maps(images, torch.tensor([1, 1])), expected)


def test_frozen_networks_are_explained_and_left_as_they_were():
    network = network_of("vit_tiny_patch16_224").requires_grad_(False)
    explained = build_explainer(network, 64).explain(torch.randn(1, 3, 64, 64), torch.tensor([0]))
    assert explained.maps.any()
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def test_a_network_with_only_a_class_token_at_its_end_falls_back_to_occlusion():
    network = timm().create_model("pit_ti_224", pretrained=False, num_classes=3).eval()
    with pytest.raises(ModelError, match="no layer of cells or patch tokens"):
        build_explainer(network, 224, "grad-cam")
    assert build_explainer(network, 224, "auto").name == "occlusion (captum)"


def test_cells_by_hand():
    tokens = torch.arange(10.0).view(1, 5, 2)  # one class token and 2 x 2 patches of two channels
    assert TokenGrid(1, 2, 2).cells(tokens).tolist() == [[[[2.0, 4.0], [6.0, 8.0]], [[3.0, 5.0], [7.0, 9.0]]]]


@pytest.mark.parametrize(
    ("network", "shape", "expected"),
    [
        ({"num_prefix_tokens": 5}, (1, 54, 8), TokenGrid(5, 7, 7)),
        ({"num_prefix_tokens": 1}, (1, 49, 8), TokenGrid(0, 7, 7)),
        ({}, (1, 49, 8), TokenGrid(0, 7, 7)),
        ({}, (1, 50, 8), TokenGrid(1, 7, 7)),
        ({"patch_embed": SimpleNamespace(grid_size=(4, 16))}, (1, 64, 8), TokenGrid(0, 4, 16)),
        ({}, (1, 51, 8), None),
        ({}, (1, 1, 8), None),
        ({"num_prefix_tokens": 5}, (1, 3, 8), None),
        ({}, (1, 8, 7, 7), None),
    ],
)
def test_grids(network, shape, expected):
    assert token_grid(SimpleNamespace(**network), torch.zeros(shape)) == expected


def test_lists_are_no_tokens():
    assert token_grid(SimpleNamespace(), [torch.zeros(1, 49, 8)]) is None
