"""Explain images batch by batch, and measure the explanations."""

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
from lesionlens.explanation.explanations import CURVES, ORDERS, ExplainedImages, ExplainedModel, Explanations
from lesionlens.explanation.localisation import METRICS, localise
from lesionlens.explanation.masks import read_masks
from lesionlens.explanation.settings import ExplainSettings
from lesionlens.models.build import Normalise


@dataclass(frozen=True)
class _Batch:
    rows: np.ndarray  # of the explained images, (n,)
    pixels: Tensor  # normalised, (n, 3, S, S)
    labels: Tensor  # (n,)
    names: tuple[str, ...]
    maps: BatchMaps

    @property
    def predicted(self) -> Tensor:
        """Predicted class of each image, (n,)."""
        return self.maps.logits.argmax(1)


def explain_images(
    model: ExplainedModel, images: ExplainedImages, settings: ExplainSettings, progress: Callable[[int], None] | None = None
) -> Explanations:
    """Explain images in a random order, and measure the explanations.

    Args:
        model: network, explainer and controls.
        images: the images, at least one.
        settings: what to measure, and the size of a batch.
        progress: called with the number of images of each batch.

    Raises:
        ModelError: if a logit or a map is NaN or infinite.
    """
    order = random_order(len(images), settings.seed)
    explanations: Explanations | None = None
    for start in range(0, len(images), settings.images_per_pass):
        batch = _explain_batch(model, images, order[start : start + settings.images_per_pass])
        if explanations is None:
            shape = tuple(batch.maps.maps.shape[1:])
            explanations = Explanations.blank(len(images), batch.maps.logits.shape[1], shape, settings.curve_steps)
        _store_maps(explanations, batch)
        if settings.masks:
            _measure_localisation(explanations, batch, model, images)
        _measure_curves(explanations, batch, model, settings, count=settings.curve_images - start)
        if progress is not None:
            progress(len(batch.rows))
    assert explanations is not None, "a split holds at least one image"
    return explanations


def random_order(n_images: int, seed: int) -> np.ndarray:
    """Rows in the order in which `explain_images` processes them; curves are measured on the first ones."""
    return generator("explained order", seed).permutation(n_images)


def load_images(images: ExplainedImages, rows: np.ndarray, model: ExplainedModel) -> Tensor:
    """Normalised images (n, 3, size, size) of these `rows`, on the network's device."""
    spec, device = model.spec, next(model.network.parameters()).device
    places = images.store.rows([images.records[row].image_id for row in rows])
    frames = np.ascontiguousarray(centre_crop(images.store.images[places], spec.size))
    normalise = Normalise(spec.mean, spec.std).to(device)
    pixels: Tensor = normalise(torch.from_numpy(frames).permute(0, 3, 1, 2).to(device))
    return pixels


def _explain_batch(model: ExplainedModel, images: ExplainedImages, rows: np.ndarray) -> _Batch:
    pixels = load_images(images, rows, model)
    labels = torch.from_numpy(images.labels[rows]).to(pixels.device)
    names = tuple(images.records[row].image_id for row in rows)
    return _Batch(rows, pixels, labels, names, model.explainer.explain(pixels, labels))


def _store_maps(explanations: Explanations, batch: _Batch) -> None:
    for name in ("logits", "classes", "maps"):
        getattr(explanations, name)[batch.rows] = getattr(batch.maps, name).cpu().numpy()
    finite = np.isfinite(explanations.logits[batch.rows]).all(1) & np.isfinite(explanations.maps[batch.rows]).all((1, 2, 3))
    if not finite.all():
        name = batch.names[int(np.flatnonzero(~finite)[0])]
        raise ModelError(f"the network gives NaN or infinity for image {name}; its weights are damaged. Train again")


def _maps_of(batch_maps: BatchMaps, classes: Tensor) -> np.ndarray:
    """Maps (n, h, w) of one class for each image."""
    places = (batch_maps.classes == classes[:, None]).int().argmax(1)
    maps = batch_maps.maps[torch.arange(len(classes), device=places.device), places]
    return np.asarray(maps.cpu().numpy())


def _measure_localisation(explanations: Explanations, batch: _Batch, model: ExplainedModel, images: ExplainedImages) -> None:
    """Compare the maps of a batch, and those of the controls, with the masks."""
    records = [images.records[row] for row in batch.rows]
    masks = read_masks(images.index, records, model.spec, explanations.masks)
    usable = np.array([mask is not None for mask in masks])
    if not usable.any():
        return
    rows, stacked = batch.rows[usable], np.stack([mask for mask in masks if mask is not None])
    explanations.mask_share[rows] = stacked.mean((1, 2))
    for source, alternatives in _maps_by_source(batch, model).items():
        results = [_localisation_metrics(maps[usable], stacked) for maps in alternatives]
        for name in METRICS if results else ():
            explanations.metrics[source][name][rows] = np.mean([result[name] for result in results], axis=0)
    lesions = images.lesion_ids[batch.rows]
    for values in explanations.metrics["other_image"].values():
        values[batch.rows[lesions == np.roll(lesions, 1)]] = np.nan


def _maps_by_source(batch: _Batch, model: ExplainedModel) -> dict[str, list[np.ndarray]]:
    """Maps (n, h, w) by source; there is one alternative for each network with random weights."""
    predicted, centre = _maps_of(batch.maps, batch.predicted), centre_map(model.spec.size)
    controls = [control.explain(batch.pixels, batch.labels) for control in model.controls]
    return {
        "predicted_class": [predicted],
        "true_class": [_maps_of(batch.maps, batch.labels)],
        "random_weights": [_maps_of(maps, maps.logits.argmax(1)) for maps in controls],
        "centre": [np.broadcast_to(centre, (len(predicted), *centre.shape))],
        "other_image": [np.roll(predicted, 1, axis=0)],
    }


def _localisation_metrics(maps: np.ndarray, masks: np.ndarray) -> dict[str, np.ndarray]:
    height, width = masks.shape[1:]
    return vars(localise(np.stack([enlarge(map_, width, height) for map_ in maps]), masks))


def _measure_curves(
    explanations: Explanations, batch: _Batch, model: ExplainedModel, settings: ExplainSettings, count: int
) -> None:
    """Measure curves of the first `count` images of a batch, in the map's order and in a random one."""
    if count <= 0:
        return
    size, seed, classes = model.spec.size, settings.seed, batch.predicted
    named_maps = tuple(zip(_maps_of(batch.maps, classes), batch.names, strict=True))[:count]
    ranks = (
        np.stack([pixel_ranks(map_, size, name, seed) for map_, name in named_maps]),
        np.stack([random_ranks(map_.shape, size, name, seed) for map_, name in named_maps]),
    )
    for order, pixel_order in zip(ORDERS, ranks, strict=True):
        measured = curves(
            model.network, batch.pixels[:count], classes[:count], pixel_order, settings.curve_steps, settings.images_per_pass
        )
        for name in CURVES:
            explanations.curves[name][order][batch.rows[:count]] = getattr(measured, name)
