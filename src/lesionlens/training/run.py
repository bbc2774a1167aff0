"""A training run, from artifacts on disk to checkpoints and a history."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lesionlens.augment.offline import Plan, check_plan
from lesionlens.core.errors import ArtifactError, CheckpointError, TrainingError
from lesionlens.core.metadata import metadata_note
from lesionlens.core.recipe import Recipe
from lesionlens.core.seeds import derive_seed
from lesionlens.data.concepts import Concepts
from lesionlens.data.dataset import Dataset
from lesionlens.data.image import InputSpec, input_spec
from lesionlens.data.index import select
from lesionlens.data.statistics import channel_statistics
from lesionlens.models.build import build_initial_network, build_network
from lesionlens.models.concept_bottleneck import install_bottleneck
from lesionlens.models.weights import InitialWeights
from lesionlens.training.batches import Batches, Rows, plan_rows
from lesionlens.training.checkpoint import CheckpointInfo, load_state, save_network, save_state, versions
from lesionlens.training.distill import Teacher
from lesionlens.training.distributed import World
from lesionlens.training.events import open_events, write_events
from lesionlens.training.fixmatch import FixMatch
from lesionlens.training.history import Epoch, write_history
from lesionlens.training.loop import Progress, Trainer, fit, steps_per_epoch
from lesionlens.training.memory import keep_memory
from lesionlens.training.precision import flushed_denormals
from lesionlens.training.pretraining_leaks import check_pretraining
from lesionlens.training.state import TrainingState, build_state
from lesionlens.training.unlabelled import Unlabelled

BEST_FILE = "best.safetensors"
LAST_FILE = "last.safetensors"
HISTORY_FILE = "history.jsonl"
EVENTS_FOLDER = "events"

ValidateWith = Callable[[nn.Module, InputSpec], dict[str, float]]


@dataclass(frozen=True)
class TrainingData(Dataset):
    """A data set with the plan of its training images.

    Attributes:
        plan: originals and copies of the training split.
    """

    plan: Plan


@dataclass(frozen=True)
class Derivation:
    """How a run derives from another checkpoint: as its start, its teacher, or both.

    Attributes:
        derived: recorded in the checkpoints of the run; see `CheckpointInfo.derived`.
        spec: the InputSpec of that checkpoint, which the run keeps; None follows the recipe.
        network: the initial network; None builds the recipe's network with its weights.
        channel_pruned: whether `network` has fewer channels than the recipe's name says.
        teacher: supervises the network in addition to the labels.
    """

    derived: dict[str, Any] = field(default_factory=dict)
    spec: InputSpec | None = None
    network: nn.Module | None = None
    channel_pruned: bool = False
    teacher: Teacher | None = None


def check_inputs(inputs: TrainingData, spec: InputSpec) -> None:
    """Refuse artifacts that were not made from each other.

    Raises:
        ArtifactError: if the split was made from another index, the store has other pixels,
            or the plan lacks a training image.
        SplitError: if the plan holds an image outside the training split.
    """
    if inputs.split.index_hash != inputs.index.hash:
        raise ArtifactError("the split was made from another index; make it again with: lesionlens split")
    if inputs.store.frame_hash != spec.frame_hash:
        raise ArtifactError(
            f"the store's pixels do not match the recipe's input (frame {spec.frame}, {spec.resize}); "
            "pack it again with: lesionlens pack"
        )
    check_plan(inputs.plan, inputs.split)


def training_spec(recipe: Recipe, dataset: Dataset) -> InputSpec:
    """The InputSpec of a run; `normalise = "training"` measures the training split."""
    if recipe.input.normalise != "training":
        return input_spec(recipe.input)
    return input_spec(recipe.input, *channel_statistics(dataset.store, dataset.store.rows(dataset.ids("train"))))


def describe(inputs: TrainingData, recipe: Recipe, spec: InputSpec) -> CheckpointInfo:
    """The metadata of every checkpoint of the run."""
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
    note: Callable[[str], None] | None = None,
    unlabelled: Unlabelled | None = None,
    concepts: Concepts | None = None,
) -> Iterator[Epoch]:
    """Train a network with a recipe, or resume where an earlier call stopped.

    After each epoch best.safetensors, last.safetensors and history.jsonl in `out` are updated, each
    atomically, and the epoch is yielded. A run that is stopped at any point, even by kill -9,
    repeats at most one epoch when it resumes and ends with the result of an uninterrupted run.

    Args:
        inputs: what to train on.
        recipe: how.
        out: folder of the checkpoints.
        validate: called after each epoch with the network to use and its InputSpec.
        world: the processes of the run; see `join_world`.
        restart: train from scratch even if `out` holds a checkpoint.
        progress: called with the number of images of each batch.
        derivation: how the run derives from another checkpoint; None if it does not.
        note: told what became of the classifier of the file in `model.weights`.
        unlabelled: screened images of `semi_supervised.images`; a run that derives from another checkpoint needs none.
        concepts: of `concepts.table`; likewise.

    Raises:
        ArtifactError: if the artifacts were not made from each other.
        CheckpointError: if `out` holds another run and `restart` is not set.
        TrainingError: if the loss is not finite.
        StorageError: if the disk is full; earlier checkpoints are kept.
    """
    derivation = derivation or Derivation()
    with contextlib.ExitStack() as stack:
        stack.enter_context(flushed_denormals())
        spec = derivation.spec or training_spec(recipe, inputs)
        check_inputs(inputs, spec)
        if derivation.network is None and (restart or not (out / LAST_FILE).exists()):
            check_pretraining(recipe.model.weights, inputs)
        if not derivation.derived:
            _check_given(recipe, unlabelled, concepts)
        info = replace(
            describe(inputs, recipe, spec),
            derived=derivation.derived,
            channel_pruned=derivation.channel_pruned,
            unlabelled_hash=unlabelled.hash if unlabelled is not None else "",
            concepts=concepts.facts if concepts is not None else {},
        )
        rows = plan_rows(inputs.plan, inputs.store, inputs.index, recipe.model.metadata, concepts)
        batches = Batches(rows, inputs.store.images, spec, recipe, world)
        state, info = _start(info, batches, out, world, restart, derivation.network)
        if note is not None and world.writes:
            _say(note, info, inputs, rows, resumed=bool(state.history))
        codes = info.labels.codes
        fixmatch = FixMatch(unlabelled, recipe, spec, world, batches, codes) if unlabelled is not None else None
        trainer = Trainer(state, batches, recipe, spec, len(codes), world, derivation.teacher, fixmatch)
        writer = open_events(out / EVENTS_FOLDER) if recipe.training.tensorboard and world.writes else None
        if writer is not None:
            stack.callback(writer.close)
        for epoch in fit(state, trainer, lambda network: validate(network, spec), progress):
            if world.writes:
                _save(state, epoch, info, out)
            if writer is not None:
                write_events(writer, epoch)
            yield epoch


def _say(note: Callable[[str], None], info: CheckpointInfo, inputs: TrainingData, rows: Rows, resumed: bool) -> None:
    """Tell what became of the initial weights, and how much of the metadata is known."""
    if info.initial_weights and not resumed:
        note(InitialWeights.from_json(info.initial_weights).note())
    fields = info.recipe.model.metadata
    if fields:
        note(metadata_note(select(inputs.index, tuple(dict.fromkeys(rows.image_ids))), fields))


def _check_given(recipe: Recipe, unlabelled: Unlabelled | None, concepts: Concepts | None) -> None:
    """Refuse a recipe that names unlabelled images or concepts which the caller did not read."""
    if recipe.concepts.table and concepts is None:
        raise TrainingError(f"concepts.table = {recipe.concepts.table!r}, but no concepts are given")
    if recipe.semi_supervised.images and unlabelled is None:
        raise TrainingError(f"semi_supervised.images = {recipe.semi_supervised.images!r}, but no unlabelled images are given")


def _start(
    info: CheckpointInfo, batches: Batches, out: Path, world: World, restart: bool, network: nn.Module | None
) -> tuple[TrainingState, CheckpointInfo]:
    """The state to train from, and the metadata of the run with its initial weights."""
    recipe, last = info.recipe, out / LAST_FILE
    resume = last.exists() and not restart
    if world.device.type == "cpu":
        keep_memory()
    torch.manual_seed(derive_seed(recipe.seed, "weights"))
    if network is None and resume:
        network = build_network(recipe.model, len(info.labels), info.spec.size, pretrained=False)
    elif network is None:
        network, weights = build_initial_network(recipe.model, info.labels, info.spec.size)
        info = replace(info, initial_weights=weights.to_json() if weights else {})
    if info.concepts:
        install_bottleneck(network, len(info.concepts["units"]))
    state = build_state(network, recipe.training, steps_per_epoch(batches, recipe.training.accumulate), world.device)
    if resume:
        info = replace(info, initial_weights=load_state(state, info, last).initial_weights)
        if world.writes and not (out / BEST_FILE).exists():
            raise CheckpointError(f"{out / BEST_FILE} is gone, but {last} resumes after it; train from scratch with --restart")
    return state, info


def _save(state: TrainingState, epoch: Epoch, info: CheckpointInfo, out: Path) -> None:
    info = replace(info, epoch=epoch.epoch, metrics=epoch.validation, averaged=state.averaged is not None)
    if epoch.best:
        save_network(state.inference_network, info, out / BEST_FILE)
    save_state(state, info, out / LAST_FILE)
    write_history(state.history, out / HISTORY_FILE)
