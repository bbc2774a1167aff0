"""Self-supervised pretraining: SimSiam on images of the training split and on unlabelled ones."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lesionlens.core.artifact import hash_value, write_text
from lesionlens.core.errors import CheckpointError, TrainingError
from lesionlens.core.recipe import PretrainingRecipe, Recipe, TrainingRecipe
from lesionlens.core.seeds import derive_seed, generator
from lesionlens.data.image import InputSpec
from lesionlens.data.store import Store
from lesionlens.models.build import Normalise, build_network, check_takes
from lesionlens.models.weights import PRETRAINED, head_names
from lesionlens.training.checkpoint import versions
from lesionlens.training.history import read_epochs
from lesionlens.training.order import cut_batches
from lesionlens.training.precision import autocast, flushed_denormals
from lesionlens.training.prefetch import Prefetch
from lesionlens.training.simsiam import COLLAPSED_STD, SimSiam, effective_rank, relative_std
from lesionlens.training.state import TrainingState, build_state
from lesionlens.training.state_file import read_tensors, restore_state, state_facts, state_tensors, write_tensors
from lesionlens.training.views import random_views

BACKBONE_FILE, LAST_FILE, HISTORY_FILE = "backbone.safetensors", "last.safetensors", "history.jsonl"
STATE = "pretraining"  # kind of the file that a pretraining resumes from
N_CLASSES = 2  # of the classifier that is left out
QUEUE_DEPTH = 4
RANK_IMAGES = 512  # projections of an epoch whose effective rank is measured

Progress = Callable[[int], None]


@dataclass(frozen=True)
class PretrainingImages:
    """Images to pretrain on.

    Attributes:
        stores: of their pixels.
        rows: store number and row of each image, int64 (N, 2).
        ids: of the images, in the order of the rows.
        facts: which images they are and of which split, JSON-ready; a later training finds leaks by it.
    """

    stores: tuple[Store, ...]
    rows: np.ndarray
    ids: tuple[str, ...]
    facts: dict[str, Any] = field(default_factory=dict)

    def frames(self, numbers: np.ndarray) -> Tensor:
        """Frames of some images, uint8 (n, 3, F, F)."""
        pixels = [self.stores[store].images[row] for store, row in self.rows[numbers].tolist()]
        return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class PretrainingEpoch:
    """One finished epoch.

    Attributes:
        epoch: number, from 1.
        learning_rate: of its last step.
        loss: mean over the images, from -1 (both views predict each other) to 1.
        feature_std: see `simsiam.relative_std`; near 0 the projections have collapsed, near 1 they point everywhere.
        effective_rank: dimensions that the projections use; see `simsiam.effective_rank`.
        images_per_second: each in two views.
        seconds: duration.
    """

    epoch: int
    learning_rate: float
    loss: float
    feature_std: float
    effective_rank: float
    images_per_second: float
    seconds: float

    @property
    def collapsed(self) -> bool:
        """Whether all images look alike to the network."""
        return not self.feature_std >= COLLAPSED_STD

    def line(self, epochs: int) -> str:
        """A summary in one line."""
        return (
            f"epoch {self.epoch}/{epochs}  rate {self.learning_rate:.2e}  loss {self.loss:.4f}  features: standard deviation "
            f"{self.feature_std:.3f} of 1, effective rank {self.effective_rank:.0f}  {self.images_per_second:.0f} images/s"
        )


def pretrain(
    images: PretrainingImages,
    recipe: Recipe,
    spec: InputSpec,
    out: Path,
    device: torch.device,
    restart: bool = False,
    progress: Progress | None = None,
) -> Iterator[PretrainingEpoch]:
    """Pretrain the network of a recipe, or resume where an earlier call stopped.

    After each epoch backbone.safetensors (the network without its classifier, for `model.weights`), last.safetensors and
    history.jsonl in `out` are updated, each atomically, and the epoch is yielded. A resumed run equals an unbroken one.

    Args:
        images: what to train on.
        recipe: seed, [input], [model] and [pretraining] are used.
        spec: how pixels are prepared.
        out: folder of the weights.
        device: where to compute.
        restart: start again even if `out` holds a pretraining.
        progress: called with the number of images of each batch.

    Raises:
        CheckpointError: if `out` holds another pretraining and `restart` is not set.
        ModelError, WeightsError: if the network cannot be built.
        TrainingError: if the loss is not finite, or the features collapse after the warm-up.
    """
    settings = recipe.pretraining
    if len(images.ids) < settings.batch_size // 2:
        raise TrainingError(
            f"{len(images.ids)} images for batches of {settings.batch_size}; it must be at least half a batch. Give more images, "
            "or lower pretraining.batch_size"
        )
    with flushed_denormals():
        state, history, key = _start(images, recipe, spec, out, device, restart)
        normalise = Normalise(spec.mean, spec.std).to(device)
        while len(history) < settings.epochs:
            epoch = _epoch(len(history) + 1, state, images, recipe, spec, normalise, progress)
            if epoch.collapsed and epoch.epoch > settings.warmup_epochs:
                raise TrainingError(collapse_text(epoch, recipe.pretraining))
            history.append(epoch)
            _save(state, history, key, recipe, spec, images, out)
            yield epoch


def collapse_text(epoch: PretrainingEpoch, settings: PretrainingRecipe) -> str:
    """The message about collapsed features, in one line."""
    return (
        f"the features collapsed in epoch {epoch.epoch}: their standard deviation is {epoch.feature_std:.3f} of 1, it must be "
        f"{COLLAPSED_STD} or more; all images look alike to the network, so its weights are of no use. Lower the rate (--set "
        f"pretraining.learning_rate={settings.learning_rate / 3:.1g}) or enlarge the batch, and begin again with --restart"
    )


def _schedule_recipe(settings: PretrainingRecipe) -> TrainingRecipe:
    return TrainingRecipe(
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        optimizer=settings.optimizer,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        schedule="cosine",
        warmup_epochs=settings.warmup_epochs,
        warmup_learning_rate=settings.learning_rate / 10,
    )


def _start(
    images: PretrainingImages, recipe: Recipe, spec: InputSpec, out: Path, device: torch.device, restart: bool
) -> tuple[TrainingState, list[PretrainingEpoch], str]:
    settings, last = recipe.pretraining, out / LAST_FILE
    resume = last.exists() and not restart
    model = replace(recipe.model, metadata=())
    check_takes(model, spec.size)
    torch.manual_seed(derive_seed(recipe.seed, "weights"))
    network = build_network(model, N_CLASSES, spec.size, pretrained=not resume)
    training = replace(_schedule_recipe(settings), precision=recipe.training.precision)
    cuts = cut_batches(len(images.ids), settings.batch_size)
    state = build_state(SimSiam(network, settings.width), training, len(cuts), device)
    key = hash_value([recipe.hash("seed", "input", "model", "pretraining"), spec.hash, list(images.ids), images.facts])
    if not resume:
        return state, [], key
    tensors, facts = read_tensors(last, STATE)
    if facts.get("key") != key:
        raise CheckpointError(
            f"{last} belongs to a pretraining with another recipe or other images; choose another --run, or start again with "
            "--restart"
        )
    restore_state(state, tensors, facts, last)
    return state, [PretrainingEpoch(**each) for each in facts["history"]], key


def _epoch(
    number: int,
    state: TrainingState,
    images: PretrainingImages,
    recipe: Recipe,
    spec: InputSpec,
    normalise: Normalise,
    progress: Progress | None,
) -> PretrainingEpoch:
    start, device = time.perf_counter(), normalise.mean.device
    torch.manual_seed(derive_seed(recipe.seed, "dropout", number))
    state.network.train()
    losses, spreads, projections, rate = [], [], [], state.learning_rate
    with Prefetch(_views(images, recipe, spec, number), QUEUE_DEPTH) as batches:
        for first, second in batches:
            views = [normalise(view.to(device)).contiguous(memory_format=torch.channels_last) for view in (first, second)]
            with autocast(device, state.precision):
                loss, projected = state.network(*views)
            rate = state.learning_rate
            _step(state, loss, number)
            losses.append((float(loss.detach()), len(first)))
            spreads.append((relative_std(projected), len(first)))
            projections.append(projected[: len(first)].float().cpu())
            if progress is not None:
                progress(len(first))
    seconds = time.perf_counter() - start
    seen = torch.cat(projections)
    return PretrainingEpoch(
        epoch=number,
        learning_rate=rate,
        loss=_mean(losses),
        feature_std=_mean(spreads),
        effective_rank=effective_rank(seen[-RANK_IMAGES:]),
        images_per_second=len(seen) / seconds,
        seconds=seconds,
    )


def _step(state: TrainingState, loss: Tensor, epoch: int) -> None:
    if not bool(torch.isfinite(loss)):
        raise TrainingError(
            f"the loss of the pretraining is {float(loss)} in epoch {epoch}; it must be finite. Lower pretraining.learning_rate"
        )
    state.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
    state.scaler.step(state.optimizer)
    state.scaler.update()
    state.optimizer.zero_grad(set_to_none=True)
    state.schedule.step()


def _mean(values: list[tuple[float, int]]) -> float:
    return math.fsum(value * count for value, count in values) / sum(count for _, count in values)


def _views(images: PretrainingImages, recipe: Recipe, spec: InputSpec, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Both views of every image once, in batches; a pure function of seed and epoch."""
    settings = recipe.pretraining
    order = generator(recipe.seed, "pretraining order", epoch).permutation(len(images.ids))
    for cut in cut_batches(len(order), settings.batch_size):
        numbers = order[cut]
        frames = images.frames(numbers)
        seeds = [[derive_seed(recipe.seed, "view", epoch, images.ids[n], view) for n in numbers.tolist()] for view in (0, 1)]
        first, second = (random_views(frames, each, spec.size, settings.smallest_crop) for each in seeds)
        yield first, second


def _save(
    state: TrainingState,
    history: list[PretrainingEpoch],
    key: str,
    recipe: Recipe,
    spec: InputSpec,
    images: PretrainingImages,
    out: Path,
) -> None:
    network: Any = state.network.network
    left_out = head_names(network)
    backbone = {name: tensor for name, tensor in network.state_dict().items() if name not in left_out}
    info = {
        "recipe": recipe.to_json(),
        "spec": spec.to_json(),
        "method": "simsiam",
        "epoch": asdict(history[-1]),
        "images": images.facts,
        "versions": versions(),
    }
    epochs = [asdict(each) for each in history]
    write_tensors(out / BACKBONE_FILE, PRETRAINED, backbone, {"info": info})
    write_tensors(
        out / LAST_FILE, STATE, state_tensors(state), {"info": info, "key": key, **state_facts(state), "history": epochs}
    )
    write_text(out / HISTORY_FILE, "".join(json.dumps(each, allow_nan=False) + "\n" for each in epochs))


def read_pretraining_history(path: Path) -> tuple[PretrainingEpoch, ...]:
    """The epochs of a history.jsonl of `pretrain`.

    Raises:
        ArtifactError: if the file is missing or damaged.
    """
    return read_epochs(path, PretrainingEpoch, "pretrain again with: lesionlens pretrain RECIPE")
