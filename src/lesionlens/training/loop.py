"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import repeat
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lesionlens.augment.erasing import erase_
from lesionlens.augment.online import draw_mixing
from lesionlens.core.errors import TrainingError
from lesionlens.core.recipe import Recipe
from lesionlens.core.seeds import derive_seed
from lesionlens.data.image import InputSpec
from lesionlens.models.build import Normalise
from lesionlens.models.concept_bottleneck import bottleneck_of
from lesionlens.models.metadata_head import WithMetadata, head_of
from lesionlens.training.batches import Batch, Batches
from lesionlens.training.compiled import compiled
from lesionlens.training.concept_loss import ConceptLoss
from lesionlens.training.contrastive import ContrastiveLoss
from lesionlens.training.distill import Teacher
from lesionlens.training.distributed import World
from lesionlens.training.fixmatch import FixMatch, Views
from lesionlens.training.history import Epoch, best_epoch, is_better, out_of_patience
from lesionlens.training.loss import Loss, one_hot
from lesionlens.training.precision import autocast
from lesionlens.training.progressive import check_takes, resized, side_of
from lesionlens.training.state import TrainingState

CHECK_EVERY = {"cpu": 1, "cuda": 16}  # reading a loss synchronises with the GPU

Validate = Callable[[nn.Module], dict[str, float]]
Progress = Callable[[int], None]


@dataclass
class Sums:
    """Sums over the batches of an epoch, of one process.

    Attributes:
        losses: loss of each batch so far, scalars on the device.
        sizes: images of each batch over all processes.
        hits: images whose first choice is the label of larger weight, a scalar on the device.
        seconds: training time.
        waited_s: share of `seconds` spent waiting for images, in seconds.
    """

    hits: Tensor
    losses: list[Tensor] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    seconds: float = 0.0
    waited_s: float = 0.0


class Mixed(NamedTuple):
    """A mini-batch after MixUp or CutMix, if any.

    Attributes:
        images: normalised, (N, 3, S, S).
        targets: (N, K), each row adding up to 1.
        metadata: encoded, (N, D); None without a metadata head.
        concepts: concept targets, (N, 2 U); None without a concept bottleneck.
    """

    images: Tensor
    targets: Tensor
    metadata: Tensor | None
    concepts: Tensor | None


def steps_per_epoch(batches: Batches, accumulate: int) -> int:
    """Steps of the optimiser in an epoch; the last may gather fewer batches."""
    return -(-len(batches) // accumulate)


class Trainer:
    """Turns batches into optimiser steps.

    Args:
        state: updated by the steps.
        recipe: loss, mixing, clipping and accumulation are used.
        batches: the training batches of this process.
        spec: mean and std of the normalisation.
        n_classes: number of classes, K.
        world: the processes of the run.
        teacher: supervises the network in addition to the labels; it sees the same augmented and mixed pixels.
        fixmatch: adds unlabelled images to every mini-batch; None if there are none.
    """

    def __init__(
        self,
        state: TrainingState,
        batches: Batches,
        recipe: Recipe,
        spec: InputSpec,
        n_classes: int,
        world: World,
        teacher: Teacher | None = None,
        fixmatch: FixMatch | None = None,
    ):
        self.state = state
        self.batches = batches
        self.recipe = recipe
        self.world = world
        self.n_classes = n_classes
        self.teacher, self.fixmatch = teacher, fixmatch
        if teacher is not None:
            teacher.prepare(world.device, recipe.training.channels_last)
        self.normalise = Normalise(spec.mean, spec.std).to(world.device)
        self.loss = Loss(recipe.training, batches.counts(n_classes)).to(world.device)
        self.contrastive = ContrastiveLoss(state.network, recipe.training) if recipe.training.contrastive_weight else None
        bottleneck = bottleneck_of(state.network)
        self.concepts = ConceptLoss(bottleneck, recipe.concepts.weight, world) if bottleneck is not None else None
        check_takes(state.network, spec.size, recipe.training, world.device)
        whole = state.network if head_of(state.network) is None else WithMetadata(state.network)
        forward = world.wrap(whole, recipe.training.sync_batchnorm)
        self.forward = compiled(forward, world.device) if recipe.training.compile else forward

    def train(self, epoch: int, progress: Progress | None = None) -> Sums:
        """Run one epoch (from 1)."""
        sums = Sums(torch.zeros((), device=self.world.device))
        torch.manual_seed(derive_seed(self.recipe.seed, "dropout", epoch, self.world.rank))
        self.state.network.train()
        start = time.perf_counter()
        with self.batches.epoch(epoch) as images, self._unlabelled(epoch) as views:
            for number, (batch, unlabelled) in enumerate(zip(images, views, strict=False)):
                self.feed(batch, epoch, number, sums, unlabelled)
                if progress is not None:
                    progress(batch.total)
            self._check(sums, epoch, len(sums.losses))
            sums.waited_s = images.waited_s
        sums.seconds = time.perf_counter() - start
        return sums

    def _unlabelled(self, epoch: int) -> AbstractContextManager[Iterable[Views | None]]:
        """Unlabelled images for every batch of the epoch; None for each without them."""
        if self.fixmatch is None:
            return nullcontext(repeat(None))
        self.fixmatch.begin(self.state.history[-1].pseudo_labels if self.state.history else {})
        return self.fixmatch.epoch(epoch)

    def feed(self, batch: Batch, epoch: int, number: int, sums: Sums, unlabelled: Views | None = None) -> None:
        """Forward and backward pass, a step after the last batch of a group, and the batch's sums added to `sums`."""
        accumulate = self.recipe.training.accumulate
        first = number - number % accumulate
        members = min(accumulate, len(self.batches) - first)
        last = number == first + members - 1
        mixed = self._mixed(batch, epoch, number)
        self._synchronise(last)
        if self.fixmatch is not None and unlabelled is not None:
            loss, logits = self._forward_with(mixed, unlabelled, self.fixmatch, members)
        else:
            loss, logits = self._forward(mixed, batch.total, members)
        sums.losses.append(loss.detach())
        sums.sizes.append(batch.total)
        sums.hits += (logits.detach().argmax(1) == mixed.targets.argmax(1)).sum()
        if len(sums.losses) % CHECK_EVERY.get(self.world.device.type, 1) == 0:
            self._check(sums, epoch, number + 1)
        if last:
            self._step()

    def _mixed(self, batch: Batch, epoch: int, number: int) -> Mixed:
        """What the network sees and should say: one draw for the mini-batch of all processes."""
        sides = [side for side in (one_hot(batch.labels, self.n_classes), batch.metadata, batch.concepts) if side is not None]
        images, mixed = self._mixed_with_sides(batch, torch.cat(sides, dim=1), epoch, number)
        parts = iter(torch.split(mixed, [side.shape[1] for side in sides], dim=1))
        targets = next(parts)
        metadata = None if batch.metadata is None else next(parts)
        return Mixed(images, targets, metadata, None if batch.concepts is None else next(parts))

    def _mixed_with_sides(self, batch: Batch, sides: Tensor, epoch: int, number: int) -> tuple[Tensor, Tensor]:
        images = self._inputs(batch, epoch)
        seed = derive_seed(self.recipe.seed, "mix", epoch, number, 0)
        mixing = draw_mixing(batch.total, images.shape[2], images.shape[3], self.recipe.augmentation, seed)
        if mixing is None:
            return images, sides
        partners = torch.from_numpy(mixing.partners[self.world.rows(batch.total)]).to(images.device)
        if self.world.size == 1:
            return mixing.apply(images, sides, images[partners], sides[partners])
        others, other_sides = (self.world.gather(rows, batch.total)[partners] for rows in (images, sides))
        return mixing.apply(images, sides, others, other_sides)

    def _inputs(self, batch: Batch, epoch: int) -> Tensor:
        inputs = resized(self.normalise(batch.images), side_of(epoch, batch.images.shape[-1], self.recipe.training))
        if batch.seeds:
            erase_(inputs, batch.seeds, self.recipe.augmentation)
        return self._in_memory_format(inputs)

    def _in_memory_format(self, inputs: Tensor) -> Tensor:
        return inputs.contiguous(memory_format=torch.channels_last) if self.recipe.training.channels_last else inputs.contiguous()

    def _synchronise(self, last: bool) -> None:
        """Whether the next backward pass averages the gradients over the processes: that of the last batch of a group."""
        if isinstance(self.forward, nn.parallel.DistributedDataParallel):
            self.forward.require_backward_grad_sync = last

    def _forward(self, mixed: Mixed, total: int, members: int) -> tuple[Tensor, Tensor]:
        """Forward and backward; returns the loss of this process's share of `total` images, and the logits (N, K)."""
        images, metadata = mixed.images, mixed.metadata
        with autocast(self.world.device, self.state.precision):
            logits = self.forward(images) if metadata is None else self.forward(images, metadata)
            teacher_logits = self.teacher.logits(images, metadata) if self.teacher is not None else None
        loss = self._supervised(logits, mixed)
        if self.contrastive is not None:
            loss = loss + self.contrastive(mixed.targets)
        if self.teacher is not None and teacher_logits is not None:
            loss = self.teacher.blend(loss, logits, teacher_logits, total / self.world.size)
        self.state.scaler.scale(loss / members).backward()  # type: ignore[no-untyped-call]
        return loss, logits

    def _forward_with(self, mixed: Mixed, unlabelled: Views, fixmatch: FixMatch, members: int) -> tuple[Tensor, Tensor]:
        """The same with unlabelled images, which pass through the network together with the labelled ones."""
        side = mixed.images.shape[-1]
        views = (self.normalise(view.to(self.world.device)) for view in (unlabelled.weak, unlabelled.strong))
        weak, strong = (self._in_memory_format(resized(view, side)) for view in views)
        with autocast(self.world.device, self.state.precision):
            pseudo = fixmatch.pseudo_labels(self.state.inference_network, weak)
            everything = self.forward(self._in_memory_format(torch.cat([mixed.images, strong])))
        logits, strong_logits = everything[: len(mixed.images)], everything[len(mixed.images) :]
        loss = self._supervised(logits, mixed) + fixmatch.loss(strong_logits, pseudo, unlabelled.total)
        self.state.scaler.scale(loss / members).backward()  # type: ignore[no-untyped-call]
        return loss, logits

    def _supervised(self, logits: Tensor, mixed: Mixed) -> Tensor:
        """The loss of this process's labelled images; gradients are averaged over the processes."""
        weight = self.world.sum(self.loss.weight(mixed.targets)).clamp(min=torch.finfo(torch.float32).tiny)
        loss = self.loss.total(logits, mixed.targets) * self.world.size / weight
        return loss if self.concepts is None or mixed.concepts is None else loss + self.concepts(mixed.concepts)

    def _step(self) -> None:
        state, clip_norm = self.state, self.recipe.training.clip_norm
        if clip_norm:
            state.scaler.unscale_(state.optimizer)
            nn.utils.clip_grad_norm_(state.network.parameters(), clip_norm)
        state.scaler.step(state.optimizer)
        state.scaler.update()
        state.optimizer.zero_grad(set_to_none=True)
        self.last_rate = state.learning_rate
        state.schedule.step()
        if state.averaged is not None:
            state.averaged.update(state.network)

    def _check(self, sums: Sums, epoch: int, number: int) -> None:
        """Refuse a loss that is not finite.

        Raises:
            TrainingError: naming epoch, batch and learning rate.
        """
        recent = torch.stack(sums.losses[-CHECK_EVERY.get(self.world.device.type, 1) :])
        if bool(torch.isfinite(recent).all()):
            return
        rate = self.state.learning_rate
        raise TrainingError(
            f"the loss is {float(recent[~torch.isfinite(recent)][0])} in epoch {epoch}, batch {number} of {len(self.batches)}, "
            f"at learning rate {rate:.3g}; the loss must be finite. Lower the rate "
            f"(--set training.learning_rate={rate / 3:.1g}), clip the gradient "
            '(--set training.clip_norm=1.0) or compute in fp32 (--set training.precision="fp32")'
        )


def fit(state: TrainingState, trainer: Trainer, validate: Validate, progress: Progress | None = None) -> Iterator[Epoch]:
    """Train until the recipe's last epoch, or until its patience is exhausted.

    Args:
        state: a new state, or a resumed one, which continues after its last epoch.
        trainer: takes the steps.
        validate: called on rank 0 with the inference network in evaluation mode; returns the
            metrics of the validation split.
        progress: called with the number of images of each batch.

    Yields:
        Each finished epoch, already in `state.history`; the caller prints and saves.

    Raises:
        TrainingError: if the loss is not finite.
    """
    recipe, world = trainer.recipe.training, trainer.world
    while len(state.history) < recipe.epochs and not out_of_patience(state.history, recipe.monitor, recipe.patience):
        start = time.perf_counter()
        number = len(state.history) + 1
        sums = trainer.train(number, progress)
        with torch.no_grad():
            metrics = world.share(_defined(validate(state.inference_network.eval())) if world.writes else None)
        epoch = _epoch(number, sums, metrics, trainer, time.perf_counter() - start)
        state.history.append(epoch)
        yield epoch


def _defined(metrics: dict[str, float]) -> dict[str, float | None]:
    return {name: float(value) if math.isfinite(value) else None for name, value in metrics.items()}


def _epoch(number: int, sums: Sums, metrics: dict[str, float | None], trainer: Trainer, seconds: float) -> Epoch:
    world, monitor, history = trainer.world, trainer.recipe.training.monitor, trainer.state.history
    if monitor not in metrics:
        raise TrainingError(f"validation returns no {monitor!r}, only {', '.join(metrics)}; set training.monitor to one of them")
    sizes = torch.tensor(sums.sizes, dtype=torch.float64)
    losses = world.sum(torch.stack(sums.losses)).double().cpu() / world.size
    previous = best_epoch(history, monitor)
    n_images = int(sizes.sum())
    return Epoch(
        epoch=number,
        learning_rate=trainer.last_rate,
        training_loss=float((losses * sizes).sum() / n_images),
        training_accuracy=float(world.sum(sums.hits)) / n_images,
        validation=metrics,
        images_per_second=n_images / sums.seconds,
        seconds=seconds,
        waiting_share=sums.waited_s / sums.seconds,
        best=previous is None or is_better(metrics[monitor], previous.validation[monitor], monitor),
        pseudo_labels=trainer.fixmatch.counted() if trainer.fixmatch is not None else {},
        unlabelled=trainer.fixmatch.total if trainer.fixmatch is not None else 0,
    )
