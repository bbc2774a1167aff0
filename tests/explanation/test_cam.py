import pytest
import torch
from captum.attr import LayerGradCam
from tests.slow_values import slow_but
from torch import nn

from lesionlens.core.errors import ModelError
from lesionlens.explanation.attribution import SpatialThenHead
from lesionlens.explanation.cam import RELATIVE_TOLERANCE, CamHead, ExplainedNetwork, find_head, heads_agree, probe_images
from lesionlens.models.operators import timm

PLAIN = ("mobilenetv2_035", "test_resnet", "test_efficientnet", "regnety_002")
WITH_NORM = ("convnext_atto", "convnextv2_atto", "test_convnext")
OTHER_HEADS = ("mobilenetv3_small_050", "mobilenetv4_conv_small", "convnext_atto_rms", "test_vit", "test_mambaout")


def network_of(name: str, n_classes: int = 5, seed: int = 0, **options: object) -> nn.Module:
    """A network whose parameters and statistics all differ from what they start as."""
    torch.manual_seed(seed)
    network: nn.Module = timm().create_model(name, pretrained=False, num_classes=n_classes, **options).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        for buffer_name, buffer in network.named_buffers():
            if buffer_name.endswith(("running_mean", "running_var")):
                buffer.add_(0.1 * torch.rand_like(buffer))
    return network


class Stages(nn.Module):
    """forward_features as one layer, so that captum can attribute to its output."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network.forward_features(images)


class Whole(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.stages = Stages(network)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.stages.network.forward_head(self.stages(images))


def captums(network: nn.Module, images: torch.Tensor, n_classes: int) -> torch.Tensor:
    whole = Whole(network)
    method = LayerGradCam(whole, whole.stages)
    maps = [method.attribute(images, target=c, relu_attributions=True) for c in range(n_classes)]
    return torch.cat(maps, dim=1).detach()  # (N, K, h, w)


@pytest.mark.parametrize("name", slow_but(PLAIN + WITH_NORM, "test_convnext", "test_efficientnet", "test_resnet"))
def test_maps_of_every_class_are_captums_to_float_precision(name):
    network = network_of(name).double()
    images = torch.randn(3, 3, 96, 64, dtype=torch.float64)
    with torch.no_grad():
        logits, pooled, maps = ExplainedNetwork(network)(images)
        torch.testing.assert_close(logits, network(images))
        torch.testing.assert_close(pooled, network.forward_features(images).mean((2, 3)))
    expected = captums(network, images, 5)
    assert maps.shape == expected.shape
    assert maps.shape[2] != maps.shape[3]
    assert (expected > 0).any()
    torch.testing.assert_close(maps, expected, rtol=1e-9, atol=1e-11 * float(expected.max()))


@pytest.mark.parametrize("name", ["mobilenetv2_035", "test_convnext"])
def test_maps_are_captums_in_float32(name):
    network = network_of(name)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        maps = ExplainedNetwork(network)(images)[2]
    expected = captums(network, images, 5)
    assert float((maps - expected).abs().max()) <= 1e-5 * float(expected.max())


def test_channels_last_features_of_swin():
    options = {"img_size": 64, "embed_dim": 16, "depths": (1, 1), "num_heads": (1, 2), "window_size": 4}
    network = network_of("swin_tiny_patch4_window7_224", **options)
    explained = ExplainedNetwork(network)
    assert explained.head.channels_last
    images = torch.randn(2, 3, 64, 64)
    features = network.forward_features(images).detach().requires_grad_()
    logits = network.forward_head(features)
    for c in range(5):
        (gradient,) = torch.autograd.grad(logits[:, c].sum(), features, retain_graph=True)
        expected = (gradient.mean((1, 2), keepdim=True) * features).sum(3).relu()
        torch.testing.assert_close(explained(images)[2][:, c], expected)


@pytest.mark.parametrize("name", PLAIN + WITH_NORM)
def test_head_is_found_with_its_norm(name):
    head = find_head(network_of(name))
    assert head is not None
    assert (head.norm is not None) == (name in WITH_NORM)


@pytest.mark.parametrize("name", OTHER_HEADS)
def test_other_heads_are_not_mistaken(name):
    network = network_of(name)
    assert find_head(network) is None
    with pytest.raises(ModelError, match="no closed form"):
        ExplainedNetwork(network)


@pytest.mark.parametrize("pool", ["max", "avgmax"])
def test_other_pooling_is_not_mistaken(pool):
    assert find_head(network_of("test_resnet", global_pool=pool)) is None
    assert find_head(network_of("test_convnext", global_pool=pool)) is None


def test_hidden_layer_in_the_head_is_not_mistaken():
    assert find_head(network_of("convnext_atto", head_hidden_size=16)) is None


def test_something_that_is_no_network_of_timm_has_no_head():
    assert find_head(nn.Sequential(nn.Flatten(), nn.Linear(12, 2))) is None


def test_finding_the_head_leaves_the_network_as_it_was():
    network = network_of("mobilenetv2_035").train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    find_head(network)
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())


def test_the_head_follows_weights_that_are_loaded_later():
    network = network_of("test_convnext")
    explained = ExplainedNetwork(network)
    network.load_state_dict(network_of("test_convnext", seed=1).state_dict())
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(explained(images)[0], network(images))


def test_by_hand_without_norm():
    linear = nn.Linear(2, 2)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[1.0, -1.0], [2.0, 1.0]]))
        linear.bias.copy_(torch.tensor([0.5, -4.0]))
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 0.0]]]])  # (1, 2, 1, 2)
    logits, pooled, maps = CamHead(linear)(features)
    assert pooled.tolist() == [[1.5, 1.5]]
    assert logits.tolist() == [[0.5, 0.5]]
    assert maps.tolist() == [[[[0.0, 1.0]], [[2.5, 2.0]]]]


def test_by_hand_with_norm():
    # p = (0, 3), mean 1.5, s = sqrt(2.25 + 1.75) = 2, z = (-0.75, 0.75); gamma = (2, 4)
    # class 0: W = (1, 0), v = (2, 0), mean(v) = 1, mean(v z) = -0.75, g = ((2 - 1 - 0.5625) / 2, (-1 + 0.5625) / 2)
    linear, norm = nn.Linear(2, 2, bias=False), nn.LayerNorm(2, eps=1.75)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        norm.weight.copy_(torch.tensor([2.0, 4.0]))
        norm.bias.copy_(torch.tensor([0.5, -1.0]))
    features = torch.tensor([[[[4.0, -4.0]], [[2.0, 4.0]]]])  # (1, 2, 1, 2)
    logits, pooled, maps = CamHead(linear, norm)(features)
    assert pooled.tolist() == [[0.0, 3.0]]
    torch.testing.assert_close(logits, torch.tensor([[-1.0, 2.0]]))
    g0, g1 = 0.21875, 0.4375  # class 1: v = (0, 4), mean 2, mean(v z) = 1.5, g = ((-2 + 1.125) / 2, (2 - 1.125) / 2)
    expected = [[(4 * g0 - 2 * g0) / 2, 0.0], [0.0, (4 * g1 + 4 * g1) / 2]]
    torch.testing.assert_close(maps, torch.tensor(expected).view(1, 2, 1, 2))


def test_cells_add_up_to_the_logit_without_norm():
    linear = nn.Linear(3, 4)
    features = torch.rand(2, 3, 5, 6)
    with torch.no_grad():
        linear.weight.abs_()  # all evidence is positive, so the ReLU takes nothing away
        logits, _, maps = CamHead(linear)(features)
    torch.testing.assert_close(maps.sum((2, 3)), (logits - linear.bias).detach())


def test_norm_without_parameters():
    linear, norm = nn.Linear(3, 4), nn.LayerNorm(3, elementwise_affine=False)
    features = torch.randn(2, 3, 5, 6, requires_grad=True)
    logits, _, maps = CamHead(linear, norm)(features)
    reference = linear(norm(features.mean((2, 3))))
    torch.testing.assert_close(logits, reference)
    (gradient,) = torch.autograd.grad(reference[:, 2].sum(), features)
    torch.testing.assert_close(maps[:, 2], (gradient.mean((2, 3), keepdim=True) * features).sum(1).relu())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["test_convnext", "mobilenetv2_035"])
def test_traces_without_a_graph_break_and_for_any_batch(name):
    explained = ExplainedNetwork(network_of(name))
    shapes = ({0: torch.export.Dim("batch", min=1, max=64)},)
    exported = torch.export.export(explained, (torch.randn(2, 3, 64, 64),), dynamic_shapes=shapes).module()
    images = torch.randn(5, 3, 64, 64)
    for found, wanted in zip(exported(images), explained(images), strict=True):
        torch.testing.assert_close(found, wanted)


def test_norm_before_the_pooling_belongs_to_the_features():
    network = network_of("convnext_atto", head_norm_first=True)
    head = find_head(network)
    assert head is not None
    assert head.norm is None


def test_constant_features_stay_finite():
    # The variance is 0 there, so only eps stands under the root.
    with torch.no_grad():
        found = CamHead(nn.Linear(4, 2), nn.LayerNorm(4))(torch.full((1, 4, 2, 2), 1e-3))
    assert all(bool(value.isfinite().all()) for value in found)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the tracer, about shapes that are constants
def test_openvino_converts_it_without_an_exported_file():
    openvino = pytest.importorskip("openvino")
    explained = ExplainedNetwork(network_of("test_convnext"))
    model = openvino.convert_model(explained, example_input=torch.randn(2, 3, 64, 64))
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    images = torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        expected = explained(images)
    for found, wanted in zip(compiled(images.numpy()).values(), expected, strict=True):
        torch.testing.assert_close(torch.from_numpy(found), wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))


class ByHand(nn.Module):
    """One convolution, average pooling, some LayerNorms, and a linear classifier whose logits may be scaled."""

    def __init__(self, n_norms: int = 0, scale: float = 1.0) -> None:
        super().__init__()
        self.stage, self.classifier, self.scale = nn.Conv2d(3, 6, 3, stride=8), nn.Linear(6, 4), scale
        self.norms = nn.ModuleList(nn.LayerNorm(6) for _ in range(n_norms))

    def get_classifier(self) -> nn.Module:
        return self.classifier

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        return self.stage(images)

    def forward_head(self, features: torch.Tensor) -> torch.Tensor:
        pooled = features.mean((2, 3))
        for norm in self.norms:
            pooled = norm(pooled)
        return self.scale * self.classifier(pooled)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.forward_head(self.forward_features(images))


@pytest.mark.parametrize(
    ("n_norms", "scale", "is_known"), [(0, 1, True), (1, 1, True), (2, 1, False), (0, 2, False), (1, 2, False)]
)
def test_only_pooling_one_norm_and_a_linear_layer_are_known(n_norms, scale, is_known):
    head = find_head(ByHand(n_norms, scale))
    assert (head is not None) == is_known
    assert head is None or (head.norm is not None) == (n_norms == 1)


def test_a_linear_classifier_without_stages_has_no_head():
    class Flat(nn.Module):
        def get_classifier(self) -> nn.Module:
            return nn.Linear(6, 4)

    assert find_head(Flat()) is None


def test_features_that_are_several_maps_have_no_head():
    class Pyramid(ByHand):
        def forward_features(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
            features = super().forward_features(images)
            return features, features[:, :, ::2, ::2]

    assert find_head(Pyramid(0, 1)) is None


@pytest.mark.parametrize(("cells", "agrees"), [((1, 1), False), ((1, 2), True), ((2, 1), True)])
def test_a_map_needs_two_cells(cells, agrees):
    network = ByHand()
    network.stage = nn.Sequential(nn.Conv2d(3, 6, 3), nn.AdaptiveAvgPool2d(cells))
    assert heads_agree(network, SpatialThenHead(network)) is agrees


def test_logits_of_another_shape_do_not_agree():
    class WithAxis(ByHand):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(images)[..., None]

    network = WithAxis()
    assert find_head(network) is None
    assert heads_agree(network, SpatialThenHead(network)) is False


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize(("share", "agrees"), [(0.5, True), (2.0, False)])
def test_the_tolerance_is_relative_to_the_largest_logit(scale, share, agrees):
    class Shifted(ByHand):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits = super().forward(images)
            return logits + share * RELATIVE_TOLERANCE * logits.abs().max()

    network = Shifted(0, scale).double()
    assert heads_agree(network, SpatialThenHead(network)) is agrees


def test_a_head_of_zeros_agrees_with_itself():
    network = ByHand()
    nn.init.zeros_(network.classifier.weight)
    nn.init.zeros_(network.classifier.bias)
    assert heads_agree(network, SpatialThenHead(network))


def test_the_probe_has_the_size_that_a_network_is_fixed_to():
    network = ByHand()
    assert probe_images(network, 40).shape == (2, 3, 40, 40)
    assert probe_images(network, None).shape == (2, 3, 96, 96)
    network.pretrained_cfg = {"input_size": (3, 32, 48), "fixed_input_size": False}
    assert probe_images(network, None).shape == (2, 3, 96, 96)
    network.pretrained_cfg = {"input_size": (3, 32, 48), "fixed_input_size": True}
    assert probe_images(network, None).shape == (2, 3, 48, 48)
    network.patch_embed = nn.Module()
    network.patch_embed.img_size = (24, 56)
    assert probe_images(network, None).shape == (2, 3, 24, 24)


def test_an_explained_network_is_in_evaluation_mode():
    network = network_of("test_resnet").train()
    assert not any(module.training for module in ExplainedNetwork(network).modules())
