"""A training run: from the artifacts on disk to checkpoints and a history."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lesionlens.augment.offline import Plan, check_plan
from lesionlens.core.errors import ArtifactError, CheckpointError
from lesionlens.core.recipe import Recipe
from lesionlens.core.seeds import derive_seed
from lesionlens.data.dataset import Dataset
from lesionlens.data.image import InputSpec, input_spec
from lesionlens.data.statistics import channel_statistics
from lesionlens.models.build import build_network
from lesionlens.training.batches import Batches, plan_rows
from lesionlens.training.checkpoint import CheckpointInfo, load_state, save_network, save_state, versions
from lesionlens.training.distill import Teacher
from lesionlens.training.distributed import World
from lesionlens.training.events import open_events, write_events
from lesionlens.training.history import Epoch, write_history
from lesionlens.training.loop import Progress, Trainer, fit, steps_per_epoch
from lesionlens.training.memory import keep_memory
from lesionlens.training.precision import flushed_denormals
from lesionlens.training.state import TrainingState, build_state

BEST_FILE = "best.safetensors"
LAST_FILE = "last.safetensors"
HISTORY_FILE = "history.jsonl"
EVENTS_FOLDER = "events"

ValidateWith = Callable[[nn.Module, InputSpec], dict[str, float]]


@dataclass(frozen=True)
class TrainingData(Dataset):
    """A data set with the plan of what training is fed.

    Attributes:
        plan: originals and copies of the training split.
    """

    plan: Plan


@dataclass(frozen=True)
class Derivation:
    """What a run owes to another checkpoint: where it starts, whom it follows, or both.

    Attributes:
        derived: what its own checkpoints say of that; see `CheckpointInfo.derived`.
        spec: how that checkpoint sees its pixels, and so this run; None follows the recipe.
        network: where it starts instead of the recipe's weights; None builds the recipe's network.
        channel-pruned: whether `network` has fewer channels than the recipe's name says.
        teacher: whom it follows besides the labels.
    """

    derived: dict[str, Any] = field(default_factory=dict)
    spec: InputSpec | None = None
    network: nn.Module | None = None
    channel_pruned: bool = False
    teacher: Teacher | None = None


def check_inputs(inputs: TrainingData, spec: InputSpec) -> None:
    """Refuse artifacts that do not belong together.

    Raises:
        ArtifactError: if split or store were made from another index, the store for other pixels,
            or the plan lacks a training image.
        SplitError: if the plan holds an image outside the training split.
    """
    if inputs.split.index_hash != inputs.index.hash:
        raise ArtifactError("the split was made from another index; make it again with: lesionlens split")
    if inputs.store.frame_hash != spec.frame_hash:
        raise ArtifactError(
            f"the store's pixels were prepared otherwise than the recipe's input asks (frame {spec.frame}, {spec.resize}); "
            "pack it again with: lesionlens pack"
        )
    check_plan(inputs.plan, inputs.split)


def training_spec(recipe: Recipe, dataset: Dataset) -> InputSpec:
    """The InputSpec of a run; `normalise = "training"` measures the training split."""
    if recipe.input.normalise != "training":
        return input_spec(recipe.input)
    return input_spec(recipe.input, *channel_statistics(dataset.store, dataset.store.rows(dataset.ids("train"))))


def describe(inputs: TrainingData, recipe: Recipe, spec: InputSpec) -> CheckpointInfo:
    """What every checkpoint of the run says of itself."""
    split = inputs.split
    return CheckpointInfo(
        labels=inputs.index.labels,
        spec=spec,
        recipe=recipe,
        split_hash=split.hash,
        plan_hash=inputs.plan.hash,
        index_hash=inputs.index.hash,
        protocol=split.protocol,
        leaks=split.leaks,
        versions=versions(),
    )


def train_run(
    inputs: TrainingData,
    recipe: Recipe,
    out: Path,
    validate: ValidateWith,
    *,
    world: World,
    restart: bool = False,
    progress: Progress | None = None,
    derivation: Derivation | None = None,
) -> Iterator[Epoch]:
    """Train a network as a recipe says, or go on where an earlier call stopped.

    After each epoch `out` holds best.safetensors, last.safetensors and history.jsonl, each written
    whole or not at all, and the epoch is yielded. A run that was stopped anywhere, kill -9
    included, repeats at most the epoch it was in and ends with the unbroken run's result.

    Args:
        inputs: what to train on.
        recipe: how.
        out: folder of the checkpoints.
        validate: called after each epoch with the network to use and its InputSpec.
        world: the processes of the run; see `join_world`.
        restart: begin at the first epoch even if `out` holds a checkpoint.
        progress: told how many images each batch fed.
        derivation: another checkpoint that the run starts from or follows; None is a run of its own.

    Raises:
        ArtifactError: if the artifacts do not belong together.
        CheckpointError: if `out` holds another run and `restart` is not set.
        TrainingError: if the loss stops being a number.
        StorageError: if the disk is full; checkpoints written before stay.
    """
    derivation = derivation or Derivation()
    with contextlib.ExitStack() as stack:
        stack.enter_context(flushed_denormals())
        spec = derivation.spec or training_spec(recipe, inputs)
        check_inputs(inputs, spec)
        info = replace(describe(inputs, recipe, spec), derived=derivation.derived, channel_pruned=derivation.channel_pruned)
        rows = plan_rows(inputs.plan, inputs.store, inputs.index)
        batches = Batches(rows, inputs.store.images, spec, recipe, world)
        state = _start(info, batches, out, world, restart, derivation.network)
        trainer = Trainer(state, batches, recipe, spec, len(info.labels), world, derivation.teacher)
        writer = open_events(out / EVENTS_FOLDER) if recipe.training.tensorboard and world.writes else None
        if writer is not None:
            stack.callback(writer.close)
        for epoch in fit(state, trainer, lambda network: validate(network, spec), progress):
            if world.writes:
                _save(state, epoch, info, out)
            if writer is not None:
                write_events(writer, epoch)
            yield epoch


def _start(
    info: CheckpointInfo, batches: Batches, out: Path, world: World, restart: bool, network: nn.Module | None
) -> TrainingState:
    recipe, last = info.recipe, out / LAST_FILE
    resumes = last.exists() and not restart
    if world.device.type == "cpu":
        keep_memory()
    torch.manual_seed(derive_seed(recipe.seed, "weights"))
    if network is None:
        network = build_network(recipe.model, len(info.labels), info.spec.size, pretrained=not resumes)
    state = build_state(network, recipe.training, steps_per_epoch(batches, recipe.training.accumulate), world.device)
    if resumes:
        load_state(state, info, last)
        if world.writes and not (out / BEST_FILE).exists():
            raise CheckpointError(f"{out / BEST_FILE} is gone, but {last} goes on after it; start anew with --restart")
    return state


def _save(state: TrainingState, epoch: Epoch, info: CheckpointInfo, out: Path) -> None:
    now = replace(info, epoch=epoch.epoch, metrics=epoch.validation, averaged=state.averaged is not None)
    if epoch.best:
        save_network(state.inference_network, now, out / BEST_FILE)
    save_state(state, now, out / LAST_FILE)
    write_history(state.history, out / HISTORY_FILE)
