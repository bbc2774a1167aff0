from pathlib import Path

import pytest
import torch
from torch import nn

from lesionlens.core.errors import RecipeError
from lesionlens.explanation.attribution import GRID, METHODS, build_explainer, integrated_gradients, occlusion
from lesionlens.models.operators import timm

SIZE = 64


def network_of(name: str, n_classes: int = 4) -> nn.Module:
    torch.manual_seed(0)
    network: nn.Module = timm().create_model(name, pretrained=False, num_classes=n_classes).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return network_of("test_resnet")


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


class Linear(nn.Module):
    """A network whose logits are weighted sums of the pixels, so that every attribution is known."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(2)))
        self.largest = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.largest = max(self.largest, len(images))
        return torch.einsum("nchw,kchw->nk", images, self.weight)


def test_integrated_gradients_of_a_linear_network_are_weight_times_pixel(images):
    linear = Linear()
    found = integrated_gradients(linear, images, torch.tensor([0, 1, 0]))
    torch.testing.assert_close(found, (images * linear.weight[[0, 1, 0]]).sum(1).detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_integrated_gradients_add_up_to_the_logit(network, images):
    classes = torch.tensor([2, 0, 1])
    network = network_of("test_convnext").double()  # smooth, so that the integral is exact enough
    images = images.double()
    found = integrated_gradients(network, images, classes, steps=64).sum((1, 2))
    with torch.no_grad():
        rise = network(images) - network(torch.zeros_like(images))
    torch.testing.assert_close(found, rise[torch.arange(3), classes], rtol=0.02, atol=0.02 * float(rise.abs().max()))


def test_occlusion_of_a_linear_network_is_what_the_window_covers(images):
    linear = Linear()
    found = occlusion(linear, images, torch.tensor([1, 0, 1]), window=16, stride=16)
    covered = (images * linear.weight[[1, 0, 1]]).sum(1).unflatten(1, (4, 16)).unflatten(3, (4, 16)).sum((2, 4))
    expected = covered.repeat_interleave(16, 1).repeat_interleave(16, 2)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("method", [integrated_gradients, lambda *given, **bound: occlusion(*given, 16, 8, **bound)])
@pytest.mark.parametrize("bound", [1, 5])
def test_no_more_images_than_allowed_are_in_the_network(method, bound, images):
    linear, classes = Linear(), torch.tensor([0, 1, 1])
    free = method(linear, images, classes, images_per_pass=64)
    assert linear.largest > 5
    linear.largest = 0
    bounded = method(linear, images, classes, images_per_pass=bound)
    assert linear.largest <= bound
    torch.testing.assert_close(bounded, free, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["test_resnet", "mobilenetv3_small_050"])
def test_maps_do_not_depend_on_the_bound(method, name, images):
    network, labels = network_of(name), torch.tensor([0, 1, 2])
    sizes: list[int] = []
    network.register_forward_hook(lambda module, inputs, output: sizes.append(len(output)))
    narrow, wide = (build_explainer(network, SIZE, method, bound) for bound in (2, 16))
    sizes.clear()
    found = narrow.explain(images, labels)
    assert max(sizes, default=0) <= 2
    expected = wide.explain(images, labels)
    assert torch.equal(found.classes, expected.classes)
    for one, other in ((found.logits, expected.logits), (found.maps, expected.maps)):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3 * float(other.abs().max()))


def test_closed_form_gives_every_class_in_order(network, images):
    found = build_explainer(network, SIZE)
    assert found.name == "grad-cam (closed form)"
    explained = found.explain(images, torch.zeros(3, dtype=torch.int64))
    assert explained.classes.tolist() == [[0, 1, 2, 3]] * 3
    assert explained.maps.shape == (3, 4, 2, 2)


@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "mobilenetv4_conv_small"])
def test_captum_takes_over_where_there_is_no_closed_form(name):
    network = network_of(name)
    images = torch.randn(3, 3, 96, 96)
    explainer = build_explainer(network, 96)
    assert explainer.name == "grad-cam (captum)"
    explained = explainer.explain(images, torch.tensor([0, 1, 2]))
    features = network.forward_features(images).detach().requires_grad_()
    logits = network.forward_head(features)
    torch.testing.assert_close(explained.logits, logits.detach())
    for m in range(2):
        chosen = logits.gather(1, explained.classes[:, m : m + 1]).sum()
        (gradient,) = torch.autograd.grad(chosen, features, retain_graph=True)
        expected = (gradient.mean((2, 3), keepdim=True) * features).sum(1).relu().detach()
        torch.testing.assert_close(explained.maps[:, m], expected, rtol=1e-4, atol=1e-5 * float(expected.max()))


def test_features_with_channels_last_are_turned_for_captum():
    explainer = build_explainer(network_of("test_mambaout"), SIZE)
    explained = explainer.explain(torch.randn(2, 3, SIZE, SIZE), torch.tensor([0, 1]))
    assert explainer.name == "grad-cam (captum)"
    assert explained.maps.shape == (2, 2, 2, 2)


@pytest.mark.slow
def test_both_maps_are_one_where_the_prediction_is_right(network, images):
    explainer = build_explainer(network, SIZE, "occlusion")
    predicted = network(images).argmax(1)
    labels = predicted.clone()
    labels[1] = (labels[1] + 1) % 4
    explained = explainer.explain(images, labels)
    same = (explained.maps[:, 0] == explained.maps[:, 1]).flatten(1).all(1)
    assert same.tolist() == [True, False, True]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["occlusion", "integrated-gradients"])
def test_transformers_are_explained_by_methods_on_pixels(method):
    network = network_of("test_vit")
    images = torch.randn(1, 3, 160, 160)
    explained = build_explainer(network, 160, method, 64).explain(images, torch.tensor([0]))
    assert explained.maps.shape == (1, 2, GRID, GRID)
    assert (explained.maps >= 0).all()


def test_unknown_method_and_bound(network):
    with pytest.raises(RecipeError, match="grad-cam, integrated-gradients, occlusion"):
        build_explainer(network, SIZE, "saliency")
    with pytest.raises(RecipeError, match="at least 1"):
        build_explainer(network, SIZE, images_per_pass=0)


def test_real_weights_are_explained(shared_root: Path):
    from lesionlens.core.recipe import ModelRecipe
    from lesionlens.models.build import build_network

    weights = shared_root / "weights" / "mobilenetv2_100.imagenet.safetensors"
    network = build_network(ModelRecipe("mobilenetv2_100", str(weights)), 7, 96)
    explained = build_explainer(network, 96).explain(torch.randn(2, 3, 96, 96), torch.tensor([0, 1]))
    assert explained.maps.shape == (2, 7, 3, 3)
    assert (explained.maps > 0).any()
