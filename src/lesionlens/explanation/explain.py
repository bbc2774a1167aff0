"""The stage `explain`: one split of a checkpoint's data becomes maps, faithfulness.json and a gallery."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lesionlens.core.artifact import atomic_file, hash_file, write_json
from lesionlens.core.errors import RecipeError
from lesionlens.core.seeds import generator
from lesionlens.data.dataset import Dataset
from lesionlens.data.index import select
from lesionlens.data.protocols import SPLITS
from lesionlens.data.split import groups_of
from lesionlens.evaluation.evaluate import check_belongs
from lesionlens.explanation.attribution import build_explainer
from lesionlens.explanation.control import random_network
from lesionlens.explanation.explain_images import explain_images, load_images, random_order
from lesionlens.explanation.explanations import ExplainedImages, ExplainedModel, Explanations, Extent
from lesionlens.explanation.faithfulness import Summary
from lesionlens.explanation.gallery import GalleryData, gallery
from lesionlens.explanation.localisation import METRICS
from lesionlens.explanation.masks import check_any_mask, check_any_used
from lesionlens.training.checkpoint import CheckpointInfo, load_network
from lesionlens.training.distributed import choose_device

MAPS_FILE, METRICS_FILE, GALLERY_FILE = "maps.npz", "faithfulness.json", "gallery.png"


@dataclass(frozen=True)
class ExplainSettings:
    """What is explained, and how thoroughly.

    Attributes:
        split: `train`, `validation` or `test`.
        method: `auto`, `grad-cam`, `integrated-gradients` or `occlusion`; see `build_explainer`.
        limit: images, drawn by seed; 0 takes all of the split.
        masks: whether agreement with lesion masks is measured.
        random_networks: networks with random weights to compare with.
        curve_images: images whose deletion and insertion curves are taken; each costs 4 * (steps + 1) passes.
        curve_steps: steps of each curve.
        resamples: of the bootstrap; 0 takes what the checkpoint's recipe says.
        images_per_pass: most images in the network at once.
        cases: cases on each side of the gallery.
        device: `auto`, `cpu` or `cuda`.
        seed: of all draws.
    """

    split: str = "test"
    method: str = "grad-cam"
    limit: int = 0
    masks: bool = True
    random_networks: int = 3
    curve_images: int = 200
    curve_steps: int = 10
    resamples: int = 0
    images_per_pass: int = 32
    cases: int = 4
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise RecipeError(f"split = {self.split!r}; it must be one of {', '.join(SPLITS)}")
        if self.resamples and not 100 <= self.resamples <= 100_000:
            raise RecipeError(f"resamples = {self.resamples}; it must be from 100 to 100000, or 0 for the recipe's number")
        bounds = {"limit": 0, "random_networks": 0, "curve_images": 0, "curve_steps": 1, "images_per_pass": 1, "cases": 0}
        for name, least in bounds.items():
            if not least <= getattr(self, name) <= 1_000_000:
                raise RecipeError(f"{name.replace('_', ' ')} = {getattr(self, name)}; it must be from {least} to 1000000")


def explain(
    checkpoint: Path,
    dataset: Dataset,
    out: Path,
    settings: ExplainSettings | None = None,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Explain one split and write `maps.npz`, `faithfulness.json` and `gallery.png` into `out`.

    Args:
        checkpoint: best.safetensors of a run.
        dataset: what the checkpoint was trained with.
        out: folder.
        settings: what, and how thoroughly.
        progress: told how many images each batch finished.

    Returns:
        The content of faithfulness.json.

    Raises:
        CheckpointError: if the checkpoint is damaged, or does not belong to this split and store.
        DataError: if masks are wanted and no image of the split has a usable one.
        ModelError: if the method cannot be used with this network, or it gives NaN.
    """
    settings = settings or ExplainSettings()
    network, info = load_network(checkpoint)
    check_belongs(checkpoint, info, dataset)
    images = images_to_explain(dataset, settings)
    if settings.masks:
        check_any_mask(dataset.index, images.records)
    extent = Extent(settings.images_per_pass, settings.masks, settings.curve_images, settings.curve_steps, settings.seed)
    model = build_model(network.to(choose_device(settings.device)), info, images, extent, settings)
    explanations = explain_images(model, images, extent, progress)
    if settings.masks:
        check_any_used(explanations.masks)
    report = _report(explanations, images, model, info, dataset, settings)
    report["made_from"] = {"checkpoint": hash_file(checkpoint), **dataset.hashes}
    _write_maps(explanations, images, out / MAPS_FILE)
    picture = gallery(GalleryData(explanations, images, info.spec, info.labels), settings.cases, settings.seed)
    with atomic_file(out / GALLERY_FILE) as temporary:
        picture.save(temporary, format="PNG")
    write_json(out / METRICS_FILE, report)
    return report


def images_to_explain(dataset: Dataset, settings: ExplainSettings) -> ExplainedImages:
    """The images to explain: those of the split that the store holds, or `limit` of them drawn by seed.

    Raises:
        RecipeError: if there are none.
    """
    ids = dataset.ids(settings.split)
    if 0 < settings.limit < len(ids):
        drawn = generator("explained images", settings.seed).choice(len(ids), settings.limit, replace=False)
        ids = tuple(ids[number] for number in sorted(drawn))
    index = dataset.index
    groups = dict(zip(index.ids, groups_of(index, dataset.split.pairs).tolist(), strict=True))
    records = select(index, ids)
    labels = np.array([index.labels.index(record.dx) for record in records], dtype=np.int64)
    return ExplainedImages(index, dataset.store, records, labels, np.array([groups[image_id] for image_id in ids]))


def build_model(
    network: torch.nn.Module, info: CheckpointInfo, images: ExplainedImages, extent: Extent, settings: ExplainSettings
) -> ExplainedModel:
    """Bind the method to the network, and to networks with random weights if there are masks to compare with."""

    def bound(each: torch.nn.Module) -> Any:
        return build_explainer(each, info.spec.size, settings.method, settings.images_per_pass)

    model = ExplainedModel(network, bound(network), info.spec)
    if not settings.masks or not settings.random_networks:
        return model
    pixels = load_images(images, random_order(images, extent)[: settings.images_per_pass], model)
    seeds = range(settings.seed, settings.seed + settings.random_networks)
    strangers = [random_network(info.recipe.model, len(info.labels), info.spec.size, pixels, seed) for seed in seeds]
    return ExplainedModel(network, model.explainer, info.spec, tuple(bound(each) for each in strangers))


def _report(
    explanations: Explanations,
    images: ExplainedImages,
    model: ExplainedModel,
    info: CheckpointInfo,
    dataset: Dataset,
    settings: ExplainSettings,
) -> dict[str, Any]:
    recipe = info.recipe
    resamples, confidence = settings.resamples or recipe.evaluation.resamples, recipe.evaluation.confidence
    summary = Summary(explanations, images.labels, images.lesion_ids, resamples, confidence)
    return {
        "name": recipe.name,
        "seed": recipe.seed,
        "protocol": dataset.split.protocol,
        "leaks": dataset.split.leaks,
        "split": settings.split,
        "method": model.explainer.name,
        "map_shape": list(explanations.maps.shape[2:]),
        "n_images": len(images),
        "n_lesions": len(np.unique(images.lesion_ids)),
        "n_left_out": len(dataset.split.ids[settings.split]) - len(images),
        "accuracy": float((explanations.predicted == images.labels).mean()),
        "empty_maps": explanations.empty_maps(),
        "random_networks": len(model.controls),
        "draw_seed": settings.seed,
        "resamples": resamples,
        "confidence": confidence,
        "labels": info.labels.to_json(),
        "masks": explanations.masks.to_json() if settings.masks else None,
        "localisation": summary.localisation(info.labels) if settings.masks else None,
        "curves": summary.curves() if settings.curve_images else None,
    }


def _write_maps(explanations: Explanations, images: ExplainedImages, path: Path) -> None:
    arrays = {
        "image_ids": np.array([record.image_id for record in images.records], dtype=np.str_),
        "labels": images.labels,
        "logits": explanations.logits,
        "classes": explanations.classes,
        "maps": explanations.maps,
        "mask_share": explanations.mask_share,
        **{name: explanations.metrics["predicted_class"][name] for name in METRICS},
    }
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)


def faithfulness_table(report: dict[str, Any]) -> str:
    """The main metrics of faithfulness.json, for people."""
    lines = [f"{report['method']}: {report['n_images']} images of the {report['split']} split, {report['n_lesions']} lesions"]
    located = report["localisation"]
    if located is not None:
        lines.append(
            f"lesion masks used: {report['masks']['used']}; mean share of the image: {_text(located['metrics']['chance'])}"
        )
        lines.append(f"{'':16}" + "".join(f"{name.replace('_', ' '):>26}" for name in METRICS))
        rows = {"this network": located["metrics"], **{k.replace("_", " "): v for k, v in located["controls"].items()}}
        for title, row in rows.items():
            lines.append(f"{title:16}" + "".join(f"{_text(row[name]):>26}" for name in METRICS))
    if report["curves"] is not None:
        for name in ("deletion", "insertion"):
            row = report["curves"][name]
            lines.append(f"{name} area {_text(row['area'])}; in random order {_text(row['random_order_area'])}")
    return "\n".join(lines)


def _text(metric: dict[str, float | None]) -> str:
    value, low, high = (math.nan if metric[key] is None else metric[key] for key in ("value", "low", "high"))
    return f"{value:.3f} ({low:.3f} to {high:.3f})"
