"""One split goes through a network and its explainer, batch by batch, and is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lesionlens.bundle.overlay import enlarge
from lesionlens.core.errors import ModelError
from lesionlens.core.seeds import generator
from lesionlens.data.image import centre_crop
from lesionlens.explanation.attribution import BatchMaps
from lesionlens.explanation.control import centre_map
from lesionlens.explanation.curves import curves, pixel_ranks, random_ranks
from lesionlens.explanation.explanations import CURVES, ORDERS, ExplainedImages, ExplainedModel, Explanations, Extent
from lesionlens.explanation.localisation import METRICS, localise
from lesionlens.explanation.masks import read_masks
from lesionlens.models.build import Normalise


@dataclass(frozen=True)
class _Batch:
    rows: np.ndarray  # of the explained images, (n,)
    images: Tensor  # normalised, (n, 3, S, S)
    labels: Tensor  # (n,)
    names: tuple[str, ...]


def explain_images(
    model: ExplainedModel, explained_images: ExplainedImages, extent: Extent, progress: Callable[[int], None] | None = None
) -> Explanations:
    """Explain images and measure the explanations; images come in a random order.

    Args:
        model: network, explainer and controls.
        explained_images: the images, at least one.
        extent: how much, and how much at once.
        progress: told how many images each batch finished.

    Raises:
        ModelError: if a logit or a map is NaN or infinite.
    """
    order = random_order(explained_images, extent)
    explanations: Explanations | None = None
    for start in range(0, len(explained_images), extent.images_per_pass):
        batch = _load(explained_images, order[start : start + extent.images_per_pass], model)
        explained = model.explainer.explain(batch.images, batch.labels)
        if explanations is None:
            shape = tuple(explained.maps.shape[1:])
            explanations = Explanations.blank(len(explained_images), explained.logits.shape[1], shape, extent.curve_steps)
        _keep(explanations, batch, explained)
        if extent.masks:
            _localise(explanations, batch, explained, model, explained_images)
        _follow(explanations, batch, explained, model, extent, count=extent.curve_images - start)
        if progress is not None:
            progress(len(batch.rows))
    assert explanations is not None, "a split holds at least one image"
    return explanations


def random_order(explained_images: ExplainedImages, extent: Extent) -> np.ndarray:
    """Rows of `explained_images` in the order in which `explain_images` takes them; its first are the ones with curves."""
    return generator("explained order", extent.seed).permutation(len(explained_images))


def load_images(explained_images: ExplainedImages, rows: np.ndarray, model: ExplainedModel) -> Tensor:
    """Normalised images (n, 3, size, size) of these `rows`, on the network's device."""
    spec, device = model.spec, next(model.network.parameters()).device
    places = explained_images.store.rows([explained_images.records[row].image_id for row in rows])
    pixels = np.ascontiguousarray(centre_crop(explained_images.store.images[places], spec.size))
    normalise = Normalise(spec.mean, spec.std).to(device)
    images: Tensor = normalise(torch.from_numpy(pixels).permute(0, 3, 1, 2).to(device))
    return images


def _load(explained_images: ExplainedImages, rows: np.ndarray, model: ExplainedModel) -> _Batch:
    images = load_images(explained_images, rows, model)
    labels = torch.from_numpy(explained_images.labels[rows]).to(images.device)
    return _Batch(rows, images, labels, tuple(explained_images.records[row].image_id for row in rows))


def _keep(explanations: Explanations, batch: _Batch, explained: BatchMaps) -> None:
    for name in ("logits", "classes", "maps"):
        getattr(explanations, name)[batch.rows] = getattr(explained, name).cpu().numpy()
    sound = np.isfinite(explanations.logits[batch.rows]).all(1) & np.isfinite(explanations.maps[batch.rows]).all((1, 2, 3))
    if not sound.all():
        name = batch.names[int(np.flatnonzero(~sound)[0])]
        raise ModelError(f"the network gives NaN or infinity for image {name}; its weights are damaged. Train again")


def _of_class(explained: BatchMaps, chosen: Tensor) -> np.ndarray:
    """Maps (n, h, w) of one class for each image."""
    places = (explained.classes == chosen[:, None]).int().argmax(1)
    picked = explained.maps[torch.arange(len(chosen), device=places.device), places]
    return np.asarray(picked.cpu().numpy())


def _of_predicted(explained: BatchMaps) -> np.ndarray:
    return _of_class(explained, explained.logits.argmax(1))


def _localise(
    explanations: Explanations, batch: _Batch, explained: BatchMaps, model: ExplainedModel, explained_images: ExplainedImages
) -> None:
    """Compare the batch's maps, and the controls', with the masks."""
    found = read_masks(
        explained_images.index, [explained_images.records[row] for row in batch.rows], model.spec, explanations.masks
    )
    having = np.array([mask is not None for mask in found])
    if not having.any():
        return
    rows, masks = batch.rows[having], np.stack([mask for mask in found if mask is not None])
    explanations.mask_share[rows] = masks.mean((1, 2))
    for source, alternatives in _map_sources(batch, explained, model).items():
        measured = [_metrics(maps[having], masks) for maps in alternatives]
        for name in METRICS if measured else ():
            explanations.metrics[source][name][rows] = np.mean([each[name] for each in measured], axis=0)
    lesions = explained_images.lesion_ids[batch.rows]
    for values in explanations.metrics["other_image"].values():
        values[batch.rows[lesions == np.roll(lesions, 1)]] = np.nan


def _map_sources(batch: _Batch, explained: BatchMaps, model: ExplainedModel) -> dict[str, list[np.ndarray]]:
    """Maps (n, h, w) by source; there is one alternative for each network with random weights."""
    ours, centre = _of_predicted(explained), centre_map(model.spec.size)
    return {
        "predicted_class": [ours],
        "true_class": [_of_class(explained, batch.labels)],
        "random_weights": [_of_predicted(control.explain(batch.images, batch.labels)) for control in model.controls],
        "centre": [np.broadcast_to(centre, (len(ours), *centre.shape))],
        "other_image": [np.roll(ours, 1, axis=0)],
    }


def _metrics(maps: np.ndarray, masks: np.ndarray) -> dict[str, np.ndarray]:
    height, width = masks.shape[1:]
    return vars(localise(np.stack([enlarge(map_, width, height) for map_ in maps]), masks))


def _follow(
    explanations: Explanations, batch: _Batch, explained: BatchMaps, model: ExplainedModel, extent: Extent, count: int
) -> None:
    """Take curves of the batch's first `count` images, in the map's order and in a random one."""
    if count <= 0:
        return
    size, seed, named = model.spec.size, extent.seed, tuple(zip(_of_predicted(explained), batch.names, strict=True))[:count]
    ranks = (
        np.stack([pixel_ranks(map_, size, name, seed) for map_, name in named]),
        np.stack([random_ranks(map_.shape, size, name, seed) for map_, name in named]),
    )
    images, classes = batch.images[:count], explained.logits.argmax(1)[:count]
    for order, chosen in zip(ORDERS, ranks, strict=True):
        taken = curves(model.network, images, classes, chosen, extent.curve_steps, extent.images_per_pass)
        for name in CURVES:
            explanations.curves[name][order][batch.rows[:count]] = getattr(taken, name)
