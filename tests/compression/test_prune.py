"""Weights set to zero, channels removed, and the fine-tuning behind it."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.slow_values import slow_but
from torch import nn
from torch.nn.utils import prune as reference

from lesionlens.bundle.telemetry import switch_off
from lesionlens.compression.distill import distill
from lesionlens.compression.prune import channel_pruned, prune_structured, prune_unstructured, pruned
from lesionlens.core.artifact import hash_file
from lesionlens.core.errors import CheckpointError, ModelError, RecipeError
from lesionlens.core.recipe import CompressionRecipe, ModelRecipe
from lesionlens.explanation.cam import ExplainedNetwork, find_head
from lesionlens.export.graph import GraphNetwork, run_graph, write_graph
from lesionlens.models.build import build_network
from lesionlens.training.checkpoint import load_network
from lesionlens.training.distributed import World
from lesionlens.training.history import best_epoch, read_history

SIZE = 64
FAMILIES = ["test_convnext", "convnext_atto", "mobilenetv2_035", "efficientnet_lite0", "test_efficientnet", "test_resnet"]
QUICK = CompressionRecipe(fine_tune_epochs=2, fine_tune_learning_rate=1e-3)


def build(name, seed=0):
    torch.manual_seed(seed)
    return build_network(ModelRecipe(name, weights="none"), 7, SIZE).eval()


def weights(network):
    return [module.weight for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def products(network, size=SIZE):
    """Multiplications of one image in convolutions and linear layers."""
    found = []

    def note(module, inputs, output):
        where = output[0, 0].numel() if isinstance(module, nn.Conv2d) else output[0].numel() // module.out_features
        found.append(module.weight.numel() * where)

    hooks = [module.register_forward_hook(note) for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    with torch.no_grad():
        network(torch.zeros(1, 3, size, size))
    for hook in hooks:
        hook.remove()
    return sum(found)


@pytest.mark.parametrize("name", slow_but(["test_convnext", "mobilenetv2_035"], "test_convnext"))
@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.85])
def test_zeros_are_those_of_torch(name, sparsity):
    ours, theirs = prune_unstructured(build(name), sparsity), build(name)
    layers = [(module, "weight") for module in theirs.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    reference.global_unstructured(layers, pruning_method=reference.L1Unstructured, amount=sparsity)
    for module, _ in layers:
        reference.remove(module, "weight")
    assert all(torch.equal(tensor, theirs.state_dict()[key]) for key, tensor in ours.state_dict().items())


@pytest.mark.slow
@settings(max_examples=15)
@given(st.floats(0, 1, exclude_max=True))
def test_the_smallest_weights_of_all_layers_go(sparsity):
    network = build("test_convnext")
    kept = torch.cat([weight.detach().flatten() for weight in weights(prune_unstructured(network, sparsity))])
    before = torch.cat([weight.detach().flatten() for weight in weights(network)])
    assert int((kept == 0).sum()) == round(sparsity * len(before))
    assert torch.equal(kept[kept != 0], before[kept != 0])
    if 0 < int((kept == 0).sum()) < len(before):
        assert before[kept == 0].abs().max() <= kept[kept != 0].abs().min()


def test_biases_and_norms_are_not_pruned():
    network = build("test_convnext")
    left = dict(prune_unstructured(network, 0.9).named_parameters())
    assert all(torch.equal(left[name], parameter) for name, parameter in network.named_parameters() if parameter.ndim == 1)


@pytest.mark.parametrize(("share", "rule"), [(-0.1, "from 0 to below 1"), (1.0, "from 0 to below 1"), (float("nan"), "a number")])
def test_a_share_out_of_range_is_an_error(share, rule):
    with pytest.raises(RecipeError, match=f"sparsity = .* {rule}"):
        prune_unstructured(build("test_resnet"), share)
    with pytest.raises(RecipeError, match=f"channels_removed = .* {rule}"):
        prune_structured(build("test_resnet"), SIZE, share)
    with pytest.raises(RecipeError, match="multiple_of = 0"):
        prune_structured(build("test_resnet"), SIZE, 0.3, multiple_of=0)


@pytest.mark.parametrize("name", slow_but(FAMILIES, "test_convnext", "test_efficientnet", "test_resnet"))
def test_channels_are_gone(name):
    network = build(name)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    cut = prune_structured(network, SIZE, 0.5)
    assert count(cut) < 0.4 * count(network)  # half of the inputs times half of the outputs, and what is rounded
    assert products(cut) < 0.45 * products(network)
    assert all(torch.equal(network.state_dict()[key], tensor) for key, tensor in before.items())
    assert cut(torch.rand(2, 3, SIZE, SIZE)).shape == (2, 7)
    assert network.training == cut.training


@pytest.mark.parametrize("name", slow_but(FAMILIES, "test_convnext", "test_efficientnet", "test_resnet"))
def test_the_heat_maps_still_have_a_closed_form(name):
    cut = prune_structured(build(name), SIZE, 0.3)
    assert find_head(cut, SIZE) is not None
    images = torch.rand(2, 3, SIZE, SIZE)
    with torch.no_grad():
        logits, pooled, maps = ExplainedNetwork(cut, SIZE)(images)
        torch.testing.assert_close(logits, cut(images), rtol=1e-4, atol=1e-5)  # sums in another order
    assert pooled.shape[1] == cut.get_classifier().in_features < build(name).get_classifier().in_features
    assert maps.shape[1] == 7


@pytest.mark.slow
@pytest.mark.parametrize("name", ["test_convnext", "mobilenetv2_035"])
def test_the_exported_graph_gives_the_same(parent, tmp_path, name):
    switch_off()
    import onnxruntime

    graph = GraphNetwork(prune_structured(build(name), SIZE, 0.3), parent.info.spec)
    write_graph(graph, tmp_path / "model.onnx")
    images = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), np.uint8)
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    probabilities, features, maps = session.run(None, {"images": images})
    wanted = run_graph(graph, images)
    np.testing.assert_allclose(probabilities, wanted.probabilities, atol=1e-5)  # kernels sum in another order
    np.testing.assert_allclose(features, wanted.features, atol=1e-3 * np.abs(wanted.features).max())
    np.testing.assert_allclose(maps, wanted.maps, atol=1e-3 * np.abs(wanted.maps).max())


def widths(network):
    return [module.out_channels for module in network.modules() if isinstance(module, nn.Conv2d)]


@pytest.mark.slow
@pytest.mark.parametrize("multiple_of", [8, 16])
def test_widths_are_the_nearest_multiples(multiple_of):
    for before, after in zip(
        widths(build("resnet18")), widths(prune_structured(build("resnet18"), SIZE, 0.3, multiple_of)), strict=True
    ):
        assert after % multiple_of == 0
        assert abs(after - 0.7 * before) <= multiple_of / 2


def test_nothing_is_removed_by_a_share_of_nothing():
    network = build("test_resnet")
    images = torch.rand(2, 3, SIZE, SIZE)
    assert torch.equal(prune_structured(network, SIZE, 0.0)(images), network(images))


def hidden_layers(network):
    return [module for name, module in network.named_modules() if name.endswith("mlp.fc1")]


def test_channels_that_do_nothing_go_first():
    """A quarter of the hidden channels of each block is silenced; these are the ones that go."""
    network = build("test_convnext")
    with torch.no_grad():
        for block in (module for module in network.modules() if hasattr(module, "mlp")):
            silent = torch.randperm(len(block.mlp.fc1.weight))[: len(block.mlp.fc1.weight) // 4]
            block.mlp.fc1.weight[silent] *= 1e-6
            block.mlp.fc2.weight[:, silent] *= 1e-6
    cut = prune_structured(network, SIZE, 0.25, multiple_of=1)
    for whole, module in zip(hidden_layers(network), hidden_layers(cut), strict=True):
        assert module.weight.shape[0] == whole.weight.shape[0] * 3 // 4
        assert module.weight.detach().abs().amax(1).min() > 1e-4  # no silent channel is left


@pytest.mark.parametrize("name", ["test_vit", "test_mambaout"])
def test_a_network_that_cannot_lose_channels_says_so(name):
    network = build_network(ModelRecipe(name, weights="none"), 7, SIZE)
    with pytest.raises(
        ModelError, match=r"cannot be removed .*ConvNeXt, MobileNet, EfficientNet or ResNet.*distillation"
    ) as caught:
        prune_structured(network, SIZE, 0.3)
    assert "\n" not in str(caught.value)


def test_without_torch_pruning_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    with pytest.raises(ModelError, match=r"pip install 'lesionlens\[compress\]'"):
        prune_structured(build("test_resnet"), SIZE, 0.3)


def test_a_pruned_checkpoint_is_a_normal_one(parent, tmp_path):
    path = pruned(parent.checkpoint, tmp_path / "pruned", CompressionRecipe(sparsity=0.4))
    network, info = load_network(path)
    zeros = sum(int((weight == 0).sum()) for weight in weights(network))
    assert zeros / sum(weight.numel() for weight in weights(network)) == pytest.approx(0.4, abs=1e-3)
    assert info.derived == {"by": "pruned", "parent": hash_file(parent.checkpoint), "sparsity": 0.4}
    assert (info.metrics, info.channel_pruned, info.split_hash) == ({}, False, parent.info.split_hash)
    assert info.recipe.name == "small pruned"


@pytest.fixture(scope="module")
def slimmed(parent, tmp_path_factory):
    """A folder of a channel-pruned network, fine-tuned for two epochs, and what was on_epoch of it."""
    out, epochs, fed = tmp_path_factory.mktemp("channel-pruned"), [], []
    path = channel_pruned(
        parent.checkpoint, parent.inputs, QUICK, out, fed.append, on_epoch=epochs.append, world=World(torch.device("cpu"))
    )
    assert path == out / "best.safetensors"
    assert sum(fed) == 2 * len(parent.inputs.plan)
    return out, epochs


@pytest.mark.slow
def test_a_slim_checkpoint_is_small_and_says_what_it_is(parent, slimmed):
    out, epochs = slimmed
    network, info = load_network(out / "best.safetensors")
    assert count(network) < 0.6 * count(parent.network)
    assert (out / "best.safetensors").stat().st_size < 0.75 * parent.checkpoint.stat().st_size
    assert info.channel_pruned
    assert info.derived["by"] == "channel-pruned"
    assert info.derived["parent"] == hash_file(parent.checkpoint)
    assert info.recipe.training.epochs == 2
    assert info.recipe.training.learning_rate == 1e-3
    best = best_epoch(epochs, info.recipe.training.monitor)
    assert (info.epoch, info.metrics) == (best.epoch, best.validation)
    assert read_history(out / "history.jsonl") == tuple(epochs)
    assert epochs[1].training_loss < epochs[0].training_loss


@pytest.mark.slow
def test_the_teacher_is_not_changed(parent, slimmed):
    whole, _ = load_network(parent.checkpoint)
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), parent.network.state_dict().values(), strict=True))


@pytest.mark.slow
def test_a_finished_run_is_not_done_again(parent, slimmed):
    out, _ = slimmed
    before, on_epoch = hash_file(out / "last.safetensors"), []
    channel_pruned(parent.checkpoint, parent.inputs, QUICK, out, on_epoch=on_epoch.append, world=World(torch.device("cpu")))
    assert on_epoch == []
    assert hash_file(out / "last.safetensors") == before


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on(parent, slimmed, tmp_path):
    class Stopped(Exception):
        pass

    def stop(epoch):
        raise Stopped

    epochs = []
    with pytest.raises(Stopped):
        channel_pruned(parent.checkpoint, parent.inputs, QUICK, tmp_path, on_epoch=stop, world=World(torch.device("cpu")))
    path = channel_pruned(
        parent.checkpoint, parent.inputs, QUICK, tmp_path, on_epoch=epochs.append, world=World(torch.device("cpu"))
    )
    assert [epoch.epoch for epoch in epochs] == [2]
    ours, theirs = load_network(path)[0].state_dict(), load_network(slimmed[0] / "best.safetensors")[0].state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.slow
def test_other_settings_do_not_go_on_there(parent, slimmed):
    other = replace(QUICK, channels_removed=0.5)
    with pytest.raises(CheckpointError, match=r"channels_removed is 0.3 there and 0.5 here"):
        channel_pruned(parent.checkpoint, parent.inputs, other, slimmed[0], world=World(torch.device("cpu")))


def test_without_fine_tuning_the_cut_network_is_kept(parent, tmp_path):
    path = channel_pruned(parent.checkpoint, parent.inputs, replace(QUICK, fine_tune_epochs=0), tmp_path)
    network, info = load_network(path)
    assert info.channel_pruned
    assert info.metrics == {}
    assert count(network) < count(parent.network)
    assert [file.name for file in tmp_path.iterdir()] == ["best.safetensors"]


@pytest.mark.parametrize(
    "compress",
    [
        lambda parent, out: pruned(parent.checkpoint, out, QUICK),
        lambda parent, out: channel_pruned(parent.checkpoint, parent.inputs, QUICK, out),
        lambda parent, out: distill(parent.checkpoint, parent.inputs, QUICK, out),
    ],
)
def test_the_parent_is_never_written_over(parent, compress):
    before = hash_file(parent.checkpoint)
    with pytest.raises(RecipeError, match="would overwrite it; choose another --out"):
        compress(parent, parent.checkpoint.parent)
    assert hash_file(parent.checkpoint) == before


def test_images_of_another_split_are_refused(parent, tmp_path):
    other = replace(parent.inputs, split=replace(parent.inputs.split, seed=5))
    with pytest.raises(CheckpointError, match="trained with another split"):
        channel_pruned(parent.checkpoint, other, QUICK, tmp_path)
    assert list(tmp_path.iterdir()) == []
