"""Checkpoints: round trips, damage, and checkpoints of other runs."""

import errno
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.slow_values import slow_but
from torch import nn

from lesionlens.core.artifact import hash_file
from lesionlens.core.errors import CheckpointError, StorageError
from lesionlens.core.labels import ISIC2019
from lesionlens.data.image import input_spec
from lesionlens.models.build import build_network
from lesionlens.training.checkpoint import load_network, load_state, save_network, save_state
from lesionlens.training.optimizer import OPTIMIZERS
from lesionlens.training.run import describe
from lesionlens.training.state import build_state


@pytest.fixture(scope="module")
def info(artifacts):
    return describe(artifacts.inputs, artifacts.recipe, input_spec(artifacts.recipe.input))


def network(info, seed=0):
    torch.manual_seed(seed)
    built = build_network(info.recipe.model, len(info.labels), info.spec.size, pretrained=False)
    with torch.no_grad():
        for tensor in built.state_dict().values():  # no value is at its start
            if tensor.is_floating_point():
                tensor.add_(torch.rand_like(tensor))
    return built


def state(info, seed=0, steps=2):
    """A state after some steps."""
    built = build_state(network(info, seed), info.recipe.training, 5, torch.device("cpu"))
    for _ in range(steps):
        built.network(torch.rand(2, 3, 32, 32)).square().mean().backward()
        built.optimizer.step()
        built.optimizer.zero_grad()
        built.schedule.step()
        if built.averaged is not None:
            built.averaged.update(built.network)
    return built


def same(a: nn.Module, b: nn.Module):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.parametrize("name", ["test_convnext", "test_efficientnet", "test_vit"])
def test_a_network_comes_back(info, tmp_path, name):
    recipe = replace(info.recipe, model=replace(info.recipe.model, name=name))
    info = replace(info, recipe=recipe, epoch=3, metrics={"loss": 0.5, "macro_f1": None}, averaged=True)
    written = network(info).to(memory_format=torch.channels_last).eval()
    save_network(written, info, tmp_path / "best.safetensors")
    read, read_info = load_network(tmp_path / "best.safetensors")
    assert read_info == info
    assert not read.training
    assert same(written, read)
    images = torch.rand(2, 3, info.spec.size, info.spec.size)
    torch.testing.assert_close(read(images), written(images), rtol=1e-4, atol=1e-4)  # another memory format


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    "keys", slow_but([{"channels_last": True}, {"channels_last": False}, {"layer_decay": 0.7}], {"layer_decay": 0.7}), ids=str
)
def test_a_state_goes_on_to_the_bit(info, tmp_path, optimizer, keys):
    training = replace(info.recipe.training, optimizer=optimizer, **keys)
    info = replace(info, recipe=replace(info.recipe, training=training))
    unbroken = state(info)
    save_state(unbroken, info, tmp_path / "last.safetensors")
    resumed = state(info, seed=1, steps=0)
    load_state(resumed, info, tmp_path / "last.safetensors")
    assert resumed.learning_rate == unbroken.learning_rate
    for each in (unbroken, resumed):
        torch.manual_seed(7)
        for _ in range(3):
            each.network(torch.rand(2, 3, 32, 32)).square().mean().backward()
            each.optimizer.step()
            each.optimizer.zero_grad()
            each.schedule.step()
            each.averaged.update(each.network)
    assert same(unbroken.network, resumed.network)
    assert same(unbroken.averaged.network, resumed.averaged.network)
    assert resumed.learning_rate == unbroken.learning_rate


def test_moments_of_other_parameters_are_refused(info, tmp_path):
    """As when another version groups the parameters in another order."""
    written = state(info)
    for group in written.optimizer.param_groups:
        group["params"].reverse()
    save_state(written, info, tmp_path / "last.safetensors")
    with pytest.raises(CheckpointError, match=r"does not fit this run \(the optimizer's exp_avg.* has shape"):
        load_state(state(info, steps=0), info, tmp_path / "last.safetensors")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.999])
def test_a_file_cut_short_is_an_error(info, tmp_path, share):
    path = tmp_path / "best.safetensors"
    save_network(network(info), info, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckpointError, match="damaged or cut short"):
        load_network(path)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        load_network(tmp_path / "best.safetensors")


def test_other_files_are_refused(info, tmp_path):
    import safetensors.torch

    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file({"weight": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        load_network(path)
    path.write_text("a text")
    with pytest.raises(CheckpointError, match="damaged"):
        load_network(path)
    save_state(state(info), info, path)
    with pytest.raises(CheckpointError, match="kind 'last'"):
        load_network(path)


@pytest.mark.parametrize(
    ("section", "keys", "named"),
    [
        ("training", {"learning_rate": 2e-3}, "training.learning_rate"),
        ("training", {"optimizer": "sgd"}, "training.optimizer"),
        ("model", {"name": "test_resnet"}, "model.name"),
        ("augmentation", {"mixup_p": 0.1}, "augmentation.mixup_p"),
    ],
)
def test_another_recipe_is_refused_by_name(artifacts, info, tmp_path, section, keys, named):
    save_state(state(info), info, tmp_path / "last.safetensors")
    other = replace(info, recipe=artifacts.changed(**{section: keys}))
    with pytest.raises(CheckpointError, match=f"another recipe: {named} is .*--restart"):
        load_state(state(other, steps=0), other, tmp_path / "last.safetensors")


@pytest.mark.parametrize(
    "change", [{"split_hash": "other"}, {"plan_hash": "other"}, {"index_hash": "other"}, {"labels": ISIC2019}], ids=str
)
def test_other_artifacts_are_refused(info, tmp_path, change):
    save_state(state(info), info, tmp_path / "last.safetensors")
    with pytest.raises(CheckpointError, match="another"):
        load_state(state(info, steps=0), replace(info, **change), tmp_path / "last.safetensors")


def test_what_does_not_touch_training_may_change(info, tmp_path):
    save_state(state(info), info, tmp_path / "last.safetensors")
    renamed = replace(info, recipe=replace(info.recipe, name="another name"))
    load_state(state(info, steps=0), renamed, tmp_path / "last.safetensors")


def test_a_full_disk_keeps_the_old_checkpoint(info, tmp_path, monkeypatch):
    path = tmp_path / "best.safetensors"
    save_network(network(info), info, path)
    before = hash_file(path)

    def full(self, content):
        with self.open("wb") as stream:
            stream.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match="no space left"):
        save_network(network(info, seed=1), info, path)
    assert hash_file(path) == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_nothing_is_pickled(info, tmp_path):
    save_state(state(info), info, tmp_path / "last.safetensors")
    content = (tmp_path / "last.safetensors").read_bytes()
    header_bytes = int.from_bytes(content[:8], "little")
    assert content[8 : 8 + header_bytes].lstrip().startswith(b"{")
    assert b"torch._utils" not in content
