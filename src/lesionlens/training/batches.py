"""Batches of an epoch: augmented images of the rows of a plan, the same on any machine.

Every pixel is a pure function of (seed, epoch, image_id, copy), so an epoch is reproducible:
a resumed run sees the images that an uninterrupted run would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lesionlens.augment.files import crop_corner
from lesionlens.augment.offline import Plan
from lesionlens.augment.policy import recipe_policy
from lesionlens.augment.randaugment import RandAugment
from lesionlens.augment.transform import augment
from lesionlens.core.errors import ArtifactError, TrainingError
from lesionlens.core.metadata import encode, hide
from lesionlens.core.recipe import Recipe
from lesionlens.core.seeds import derive_seed, generator
from lesionlens.data.concepts import Concepts
from lesionlens.data.image import InputSpec
from lesionlens.data.index import Index, select
from lesionlens.data.store import Store
from lesionlens.models.operators import auto_augment
from lesionlens.training.concept_loss import concept_targets
from lesionlens.training.distributed import World
from lesionlens.training.order import Order, class_counts, cut_batches, epoch_order
from lesionlens.training.prefetch import Prefetch

QUEUE_DEPTH = 4
DEVICE_MEMORY_SHARE = 0.5
FRAMES_AT_ONCE = 512


@dataclass(frozen=True)
class Batch:
    """Images for one pass of the network.

    Attributes:
        images: uint8 (N, 3, S, S), channels_last in memory.
        labels: class indices, int64 (N,).
        total: images of the whole batch over all processes, at least N.
        seeds: of each image in this epoch, for what is drawn after the pixels; N, or none if nothing is.
        metadata: encoded for a metadata head, float32 (N, D), some of it hidden; None without one.
        concepts: as `concept_loss.concept_targets` gives them, float32 (N, 2 U); None without a concept bottleneck.
    """

    images: Tensor
    labels: Tensor
    total: int
    seeds: tuple[int, ...] = ()
    metadata: Tensor | None = None
    concepts: Tensor | None = None


@dataclass(frozen=True)
class Rows:
    """Rows of a plan, ready to be read from a store.

    Attributes:
        image_ids: image of each row, (M,).
        copies: 0 for the original, else the number of the augmented copy, int64 (M,).
        seeds: seed of each row's pixels, for copies that are drawn once.
        store_rows: row of the store, int64 (M,).
        labels: class index, int64 (M,).
        metadata: encoded for a metadata head, float32 (M, D); None without one.
        concepts: targets of a concept bottleneck, float32 (M, 2 U); None without one.
    """

    image_ids: tuple[str, ...]
    copies: np.ndarray
    seeds: tuple[int, ...]
    store_rows: np.ndarray
    labels: np.ndarray
    metadata: np.ndarray | None = None
    concepts: np.ndarray | None = None


def plan_rows(plan: Plan, store: Store, index: Index, fields: Sequence[str] = (), concepts: Concepts | None = None) -> Rows:
    """Look up the rows of a plan in store and index; images that the store dropped are left out.

    Args:
        plan: originals and copies.
        store: of their pixels.
        index: of their diagnoses.
        fields: of the metadata that the network is told.
        concepts: of the images; None without a concept bottleneck.

    Raises:
        ArtifactError: if the plan names an image that the index or the store does not hold.
        TrainingError: if no row is left.
    """
    readable = [row for row, image_id in enumerate(plan.image_ids) if image_id not in store.dropped]
    if not readable:
        raise TrainingError("the plan holds no readable image; make it again with: lesionlens augment INDEX SPLIT")
    image_ids = tuple(plan.image_ids[row] for row in readable)
    class_of = dict(zip(index.ids, index.dx_indices().tolist(), strict=True))
    unknown = [image_id for image_id in image_ids if image_id not in class_of]
    if unknown:
        raise ArtifactError(
            f"the plan names {len(unknown)} images that the index does not hold, the first is {unknown[0]!r}; "
            "make it again with: lesionlens augment INDEX SPLIT"
        )
    labels = np.array([class_of[image_id] for image_id in image_ids], np.int64)
    copies, seeds = np.array(plan.copies, np.int64)[readable], tuple(plan.seeds[row] for row in readable)
    metadata = encode(select(index, image_ids), fields) if fields else None
    targets = concept_targets(concepts.rows(image_ids)) if concepts is not None else None
    return Rows(image_ids, copies, seeds, store.rows(image_ids), labels, metadata, targets)


class Batches:
    """The batches of every epoch of a run, for one of its processes.

    Args:
        rows: the training rows.
        images: frames of the store, uint8 (N, F, F, 3).
        spec: size of the crop.
        recipe: seed, augmentation, batch size and sampler are used.
        world: this process takes its share of every batch, on its device. If they fit, the frames
            are kept and augmented on the GPU.

    Raises:
        TrainingError: if a batch has fewer images than there are processes.
    """

    def __init__(self, rows: Rows, images: np.ndarray, spec: InputSpec, recipe: Recipe, world: World) -> None:
        self.rows = rows
        self.size = spec.size
        self.recipe = recipe
        self.world = world
        self.device = world.device
        self.policy = recipe_policy(recipe.augmentation)
        self.randaugment = randaugment(recipe.augmentation.randaugment, spec) if recipe.augmentation.randaugment else None
        self.cuts = cut_batches(len(rows.labels), recipe.training.batch_size)
        smallest = min(cut.stop - cut.start for cut in self.cuts)
        if smallest < world.size:
            raise TrainingError(
                f"a batch has {smallest} images for {world.size} processes; start fewer, or raise training.batch_size"
            )
        self.on_device = fits_device(images.nbytes, world.device)
        self.frames = frames_on(world.device, images) if self.on_device else None
        self.images = images

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.cuts)

    def counts(self, n_classes: int) -> np.ndarray:
        """Images of each class in an epoch, (K,); see `order.class_counts`."""
        return class_counts(self.rows.labels, n_classes, self.recipe.training.sampler)

    def epoch(self, epoch: int) -> Prefetch[Batch]:
        """The batches of epoch `epoch` (from 1); use it as a context manager."""
        return Prefetch(self._generate(epoch), 0 if self.on_device else QUEUE_DEPTH)

    def _generate(self, epoch: int) -> Iterator[Batch]:
        order = epoch_order(self.rows.labels, self.recipe.training.sampler, self.recipe.seed, epoch)
        for cut in self.cuts:
            draws = np.arange(cut.start, cut.stop)[self.world.rows(cut.stop - cut.start)]
            share = Order(order.rows[draws], order.repeats[draws])
            labels = torch.from_numpy(self.rows.labels[share.rows])
            images = self.read(share, epoch)
            if self.device.type == "cuda" and not self.on_device:
                images, labels = images.pin_memory(), labels.pin_memory()
            seeds = tuple(self.online_seeds(share, epoch, "erasing")) if self.recipe.augmentation.random_erasing_p else ()
            more = self.metadata(share, epoch), self.concepts(share)
            yield Batch(self._to_device(images), labels.to(self.device, non_blocking=True), cut.stop - cut.start, seeds, *more)

    def _to_device(self, images: Tensor) -> Tensor:
        return images if images.device == self.device else images.to(self.device, non_blocking=True)

    def read(self, order: Order, epoch: int) -> Tensor:
        """The augmented images of some draws in `epoch`, uint8 (N, 3, S, S)."""
        seeds = self.seeds(order, epoch)
        images = self._crops(self.rows.store_rows[order.rows], seeds)
        augmented = self._augmented(order)
        if len(augmented):
            where = torch.from_numpy(augmented).to(images.device)
            images[where] = augment(images[where], [seeds[n] for n in augmented], self.policy)
        if self.randaugment is not None:
            images = self.randaugment(images, self.online_seeds(order, epoch, "randaugment"))
        return images

    def metadata(self, order: Order, epoch: int) -> Tensor | None:
        """Encoded metadata of some draws, float32 (N, D), each known value hidden at the recipe's rate; None without any."""
        if self.rows.metadata is None:
            return None
        fields, rate = self.recipe.model.metadata, self.recipe.model.metadata_dropout
        draws = [generator(seed).random(len(fields)) for seed in self.online_seeds(order, epoch, "metadata")]
        encoded = hide(self.rows.metadata[order.rows], np.array(draws).reshape(-1, len(fields)) < rate, fields)
        return torch.from_numpy(encoded).to(self.device)

    def concepts(self, order: Order) -> Tensor | None:
        """Concept targets of some draws, float32 (N, 2 U); None without a concept bottleneck."""
        return None if self.rows.concepts is None else torch.from_numpy(self.rows.concepts[order.rows]).to(self.device)

    def online_seeds(self, order: Order, epoch: int, purpose: str) -> list[int]:
        """Seeds of each draw that are new in each epoch, for copies that are drawn once too."""
        draws = zip(order.rows.tolist(), order.repeats.tolist(), strict=True)
        return [
            derive_seed(self.recipe.seed, purpose, epoch, self.rows.image_ids[row], int(self.rows.copies[row]), repeat)
            for row, repeat in draws
        ]

    def seeds(self, order: Order, epoch: int) -> list[int]:
        """The seed of each draw; for copies that are drawn once it does not depend on the epoch."""
        fixed = self.recipe.augmentation.offline_pixels == "fixed"
        seeds = []
        for row, repeat in zip(order.rows.tolist(), order.repeats.tolist(), strict=True):
            image_id, copy = self.rows.image_ids[row], int(self.rows.copies[row])
            if fixed and copy > 0:
                seeds.append(self.rows.seeds[row])
            else:
                repeats = (repeat,) if repeat else ()
                seeds.append(derive_seed(self.recipe.seed, epoch, image_id, copy, *repeats))
        return seeds

    def _augmented(self, order: Order) -> np.ndarray:
        if self.recipe.augmentation.originals:
            return np.arange(len(order.rows))
        return np.flatnonzero(self.rows.copies[order.rows] > 0)

    def _crops(self, store_rows: np.ndarray, seeds: list[int]) -> Tensor:
        frame, size = self.images.shape[1], self.size
        if self.frames is not None:
            frames = self.frames[torch.from_numpy(store_rows).to(self.device)]  # (N, F, F, 3)
        else:
            frames = torch.from_numpy(self.images[store_rows])
        if frame > size:
            corners = [crop_corner(seed, frame, size) for seed in seeds]
            pairs = zip(frames, corners, strict=True)
            frames = torch.stack([image[top : top + size, left : left + size] for image, (top, left) in pairs])
        return frames.permute(0, 3, 1, 2)  # (N, 3, S, S), channels_last in memory


def randaugment(configuration: str, spec: InputSpec) -> RandAugment:
    """timm's RandAugment of that configuration; what a warp leaves empty gets the mean colour, as in timm."""
    fill = tuple(min(255, round(255 * value)) for value in spec.mean)
    return RandAugment(auto_augment().rand_augment_transform(configuration, {"img_mean": fill}))


def frames_on(device: torch.device, images: np.ndarray) -> Tensor:
    """All frames (N, F, F, 3) in the memory of `device`, copied from the memory map in chunks."""
    frames = torch.empty(images.shape, dtype=torch.uint8, device=device)
    for start in range(0, len(images), FRAMES_AT_ONCE):
        rows = slice(start, start + FRAMES_AT_ONCE)
        frames[rows] = torch.from_numpy(np.array(images[rows])).to(device)
    return frames


def fits_device(size_bytes: int, device: torch.device) -> bool:
    """Whether that many bytes take less than half of the free memory of a GPU."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return size_bytes < DEVICE_MEMORY_SHARE * free
