"""Two processes on this machine train what one process trains."""

import copy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.training.distributed_run import RECIPES
from torch import nn

from lesionlens.augment.offline import plan_training
from lesionlens.core.errors import TrainingError
from lesionlens.core.recipe import ModelRecipe
from lesionlens.models.build import build_network
from lesionlens.models.operators import timm
from lesionlens.training.distributed import World, choose_device, join_world, shared_batchnorms
from lesionlens.training.history import read_history
from lesionlens.training.order import cut_batches

SCRIPT = Path(__file__).with_name("distributed_run.py")
RTOL, ATOL = 1e-3, 1e-5
"""float32 sums over a batch in another order differ by about 1e-7 of their size; two epochs of steps let that grow."""


def train(artifacts, root, out, recipe, *launcher):
    arguments = [str(SCRIPT), str(root), str(artifacts.inputs.store.path), str(out), recipe]
    done = subprocess.run([sys.executable, *launcher, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_two_processes_equal_one(artifacts, synthetic_root, tmp_path, recipe):
    """Augmentation, mixing, erasing, class weights, logit adjustment, accumulation, clipping and averaged weights included."""
    one, two = tmp_path / "one", tmp_path / "two"
    train(artifacts, synthetic_root, one, recipe)
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    printed = train(artifacts, synthetic_root, two, recipe, *launcher)
    assert "rank 1 of 2 epoch 2" in printed
    for a, b in zip(read_history(one / "history.jsonl"), read_history(two / "history.jsonl"), strict=True):
        assert a.training_loss == pytest.approx(b.training_loss, rel=1e-4)
        assert a.training_accuracy == pytest.approx(b.training_accuracy, abs=0.02)
        assert (a.learning_rate, a.best) == (b.learning_rate, b.best)
    before, *others = (load_file(out / "last.safetensors") for out in (one, two))
    for name, tensor in before.items():  # weights, averaged weights, and what the optimizer remembers
        torch.testing.assert_close(tensor, others[0][name], rtol=RTOL, atol=ATOL, msg=lambda text, name=name: f"{name}: {text}")


def test_batches_and_shares_are_short_in_those_runs(artifacts):
    """Otherwise the test above could not see a mean taken over processes in place of images."""
    for recipe in RECIPES.values():
        rows = len(plan_training(artifacts.inputs.index, artifacts.inputs.split, recipe).image_ids)
        sizes = [cut.stop - cut.start for cut in cut_batches(rows, recipe.training.batch_size)]
        world = World(torch.device("cpu"), 0, 2)
        shares = [[len(range(size)[replace(world, rank=rank).rows(size)]) for rank in range(2)] for size in sizes]
        assert any(first != second for first, second in shares)
        assert len(set(sizes)) == 2 or len(sizes) % recipe.training.accumulate, "all batches and all groups are whole"


@pytest.mark.parametrize(("total", "size"), [(9, 2), (8, 3), (7, 7), (64, 1)])
def test_shares_are_those_of_array_split(total, size):
    shares = [np.arange(total)[World(torch.device("cpu"), rank, size).rows(total)] for rank in range(size)]
    for ours, theirs in zip(shares, np.array_split(np.arange(total), size), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_without_torchrun_there_is_one_process(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with join_world("cpu") as world:
        assert world == World(torch.device("cpu"), 0, 1)
        assert world.writes
        assert world.share({"a": 1}) == {"a": 1}


def test_a_gpu_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(TrainingError, match="--device cpu"):
        choose_device("cuda")


def test_batch_norms_are_shared_as_in_timm():
    timm()
    from timm.layers import convert_sync_batchnorm

    network = build_network(ModelRecipe("efficientnet_lite0", weights="none"), 7, 64, pretrained=False)
    theirs = convert_sync_batchnorm(copy.deepcopy(network))
    parameters = {name: id(parameter) for name, parameter in network.named_parameters()}
    ours = shared_batchnorms(network, torch.device("cuda"))
    assert [type(module) for module in ours.modules()] == [type(module) for module in theirs.modules()]
    assert sum(isinstance(module, nn.SyncBatchNorm) for module in ours.modules()) > 40
    assert {name: id(parameter) for name, parameter in ours.named_parameters()} == parameters  # those of the optimizer
    assert ours.state_dict().keys() == theirs.state_dict().keys()


def test_batch_norms_of_one_process_stay_and_of_cpus_are_refused():
    network = nn.Sequential(nn.BatchNorm2d(3))
    assert World(torch.device("cpu")).wrap(network, sync_batchnorm=True) is network
    with pytest.raises(TrainingError, match=r"sync_batchnorm=false"):
        World(torch.device("cpu"), 0, 2).wrap(network, sync_batchnorm=True)
    assert type(network[0]) is nn.BatchNorm2d
