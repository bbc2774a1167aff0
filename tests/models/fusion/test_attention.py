"""Attention blocks: numbers by hand, and properties that they keep."""

import doctest

import pytest
import torch

from lesionlens.models.fusion import attention
from lesionlens.models.fusion.attention import (
    AttentionalFusion,
    ChannelAttention,
    DualAttention,
    EfficientChannelAttention,
    HardAttention,
    SelfAttention,
    SoftAttention,
    SpatialAttention,
)

BLOCKS = [EfficientChannelAttention, ChannelAttention, DualAttention, SoftAttention, HardAttention, SelfAttention]


def test_example():
    assert not doctest.testmod(attention).failed


@pytest.mark.parametrize("block", BLOCKS)
def test_shapes_stay_and_every_parameter_is_trained(block):
    torch.manual_seed(0)
    layer = block(64)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    features = torch.randn(2, 64, 5, 3, requires_grad=True)
    found = layer(features)
    assert found.shape == features.shape
    found.square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in layer.parameters())
    assert features.grad.abs().sum() > 0


def test_efficient_channel_attention_by_hand():
    """Kernel (0, 2, 1) over the means (1, 2, 4) of three channels: 2 a + the next."""
    layer = EfficientChannelAttention(64)
    layer.mixer.weight.data = torch.tensor([[[0.0, 2.0, 1.0]]])
    means = torch.zeros(1, 64)
    means[0, :3] = torch.tensor([1.0, 2.0, 4.0])
    features = means[:, :, None, None].expand(1, 64, 2, 2)
    weights = layer(features)[0, :3, 0, 0] / means[0, :3]
    torch.testing.assert_close(weights, torch.sigmoid(torch.tensor([4.0, 8.0, 8.0])))


def test_attentional_fusion_lies_between_its_inputs_and_keeps_what_is_equal():
    torch.manual_seed(0)
    fuse = AttentionalFusion(16).eval()
    one, other = torch.randn(2, 16, 4, 4), torch.randn(2, 16, 4, 4)
    fused = fuse(one, other)
    assert (fused <= torch.maximum(one, other) + 1e-6).all()
    assert (fused >= torch.minimum(one, other) - 1e-6).all()
    torch.testing.assert_close(fuse(one, one), one)
    fuse.train()(one[:1], other[:1])  # one image has a variance over its cells


def test_soft_attention_starts_close_to_its_input_and_does_not_depend_on_the_number_of_cells():
    layer = SoftAttention(8)
    torch.nn.init.zeros_(layer.maps.weight)
    torch.nn.init.zeros_(layer.maps.bias)
    for size in (2, 7):
        features = torch.randn(1, 8, size, size)
        torch.testing.assert_close(layer(features), 1.01 * features)


def test_hard_attention_keeps_the_cells_with_the_highest_scores():
    layer = HardAttention(1, share=0.5)
    layer.score.weight.data.fill_(1.0)
    layer.score.bias.data.zero_()
    features = torch.tensor([[[[1.0, 4.0], [3.0, 2.0]]]])
    torch.testing.assert_close(layer(features), torch.tensor([[[[0.0, 4.0], [3.0, 0.0]]]]))
    features.requires_grad_()
    layer(features)[0, 0, 0, 1].backward()
    assert layer.score.weight.grad.abs().sum() > 0, "the selection has no gradient, its soft copy has"


def test_self_attention_starts_as_the_identity_and_mixes_cells():
    torch.manual_seed(0)
    layer = SelfAttention(8, heads=2, width=4)
    features = torch.randn(1, 8, 3, 3)
    torch.testing.assert_close(layer(features), features)
    layer.scale.data.fill_(1.0)
    changed = features.clone()
    changed[0, :, 0, 0] += 1
    moved = (layer(changed) - layer(features))[0, :, 2, 2].abs().max()
    assert moved > 1e-4, "a change of one cell reaches the farthest one"


def test_self_attention_is_torch_s():
    torch.manual_seed(0)
    layer = SelfAttention(8, heads=2, width=4)
    layer.scale.data.fill_(1.0)
    features = torch.randn(2, 8, 3, 2)
    theirs = torch.nn.MultiheadAttention(4, 2, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.eye(4).repeat(3, 1))
        theirs.in_proj_bias.zero_()
        theirs.out_proj.weight.copy_(torch.eye(4))
        theirs.out_proj.bias.zero_()
    query, key, value = (each(features).flatten(2).transpose(1, 2) for each in (layer.query, layer.key, layer.value))
    mixed = theirs(query, key, value)[0].transpose(1, 2).reshape(2, 4, 3, 2)
    torch.testing.assert_close(layer(features), features + layer.output(mixed))


def test_spatial_attention_weighs_cells_alike_in_all_channels():
    features = torch.rand(1, 6, 4, 4) + 1
    weights = SpatialAttention()(features) / features
    torch.testing.assert_close(weights, weights[:, :1].expand_as(weights))
