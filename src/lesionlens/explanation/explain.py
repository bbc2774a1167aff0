"""The stage `explain`: explain one split of a checkpoint's data by maps, faithfulness.json and a gallery."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lesionlens.core.artifact import atomic_file, hash_file, write_json
from lesionlens.core.progress import SILENT, Reporter
from lesionlens.core.seeds import generator
from lesionlens.data.dataset import Dataset
from lesionlens.data.groups import groups_of
from lesionlens.data.index import select
from lesionlens.evaluation.evaluate import check_belongs
from lesionlens.explanation.attribution import Explainer, build_explainer
from lesionlens.explanation.control import random_network
from lesionlens.explanation.explain_images import explain_images, load_images, random_order
from lesionlens.explanation.explanations import ExplainedImages, ExplainedModel, Explanations
from lesionlens.explanation.faithfulness import Summary
from lesionlens.explanation.gallery import GalleryData, gallery
from lesionlens.explanation.limit import limited, occlusion_limit
from lesionlens.explanation.localisation import METRICS
from lesionlens.explanation.masks import check_any_mask, check_any_used
from lesionlens.explanation.settings import ExplainSettings
from lesionlens.training.checkpoint import CheckpointInfo, load_network
from lesionlens.training.distributed import choose_device

ALONE = "maps explain what the network sees in the image alone"
MAPS_FILE, METRICS_FILE, GALLERY_FILE = "maps.npz", "faithfulness.json", "gallery.png"


def explain(
    checkpoint: Path,
    dataset: Dataset,
    out: Path,
    settings: ExplainSettings | None = None,
    reporter: Reporter = SILENT,
) -> dict[str, Any]:
    """Explain one split and write `maps.npz`, `faithfulness.json` and `gallery.png` into `out`.

    Args:
        checkpoint: best.safetensors of a run.
        dataset: the data set that the checkpoint was trained on.
        out: output folder.
        settings: what to explain and to measure.
        reporter: told of progress, and of the limit of occlusion.

    Returns:
        The content of faithfulness.json.

    Raises:
        CheckpointError: if the checkpoint is damaged, or does not belong to this split and store.
        DataError: if `settings.masks` is set and no image of the split has a usable mask.
        ModelError: if the method cannot be used with this network, or it gives NaN.
    """
    settings = settings or ExplainSettings()
    network, info = load_network(checkpoint)
    check_belongs(checkpoint, info, dataset)
    explainer = build_explainer(
        network.to(choose_device(settings.device)), info.spec.size, settings.method, settings.images_per_pass
    )
    if info.recipe.model.metadata:
        reporter.note(f"{ALONE}: {', '.join(info.recipe.model.metadata)} count as unknown")
    settings = limited(settings, info.recipe.explanation, explainer)
    images = images_to_explain(dataset, settings)
    if settings.masks:
        check_any_mask(dataset.index, images.records)
    n_split = len(dataset.ids(settings.split))
    limit = occlusion_limit(network, explainer, settings, info.spec.size, len(images), n_split)
    if limit is not None:
        reporter.note(str(limit))
    model = build_model(network, info, images, settings)
    with reporter.bar(f"Explaining {settings.split}", len(images)) as advance:
        explanations = explain_images(model, images, settings, advance)
    if settings.masks:
        check_any_used(explanations.masks)
    report = _report(explanations, images, model, info, dataset, settings)
    if info.recipe.model.metadata:
        report["metadata"] = "unknown"
    if limit is not None:
        report["occlusion_limit"] = limit.to_json()
    report["made_from"] = {"checkpoint": hash_file(checkpoint), **dataset.hashes}
    _write_maps(explanations, images, out / MAPS_FILE)
    picture = gallery(GalleryData(explanations, images, info.spec, info.labels), settings.cases, settings.seed)
    with atomic_file(out / GALLERY_FILE) as temporary:
        picture.save(temporary, format="PNG")
    write_json(out / METRICS_FILE, report)
    return report


def images_to_explain(dataset: Dataset, settings: ExplainSettings) -> ExplainedImages:
    """The images to explain: those of the split that the store contains, or `limit` of them drawn at random.

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
    network: torch.nn.Module, info: CheckpointInfo, images: ExplainedImages, settings: ExplainSettings
) -> ExplainedModel:
    """Bind the method to the network, and to networks with random weights if maps are compared with masks."""

    def explainer(each: torch.nn.Module) -> Explainer:
        return build_explainer(each, info.spec.size, settings.method, settings.images_per_pass)

    model = ExplainedModel(network, explainer(network), info.spec)
    if not settings.masks or not settings.random_networks:
        return model
    pixels = load_images(images, random_order(len(images), settings.seed)[: settings.images_per_pass], model)
    seeds = range(settings.seed, settings.seed + settings.random_networks)
    controls = [random_network(info.recipe.model, len(info.labels), info.spec.size, pixels, seed) for seed in seeds]
    return replace(model, controls=tuple(explainer(each) for each in controls))


def _report(
    explanations: Explanations,
    images: ExplainedImages,
    model: ExplainedModel,
    info: CheckpointInfo,
    dataset: Dataset,
    settings: ExplainSettings,
) -> dict[str, Any]:
    recipe = info.recipe
    evaluation = recipe.evaluation.overridden(resamples=settings.resamples)
    summary = Summary(explanations, images.labels, images.lesion_ids, evaluation.resamples, evaluation.confidence)
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
        "resamples": evaluation.resamples,
        "confidence": evaluation.confidence,
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
    """The main metrics of faithfulness.json as text."""
    lines = [f"{report['method']}: {report['n_images']} images of the {report['split']} split, {report['n_lesions']} lesions"]
    if "occlusion_limit" in report:
        lines[0] += f" ({report['occlusion_limit']['n_split']} images in the split)"
    localisation = report["localisation"]
    if localisation is not None:
        lines.append(
            f"lesion masks used: {report['masks']['used']}; mean share of the image: {_text(localisation['metrics']['chance'])}"
        )
        lines.append(f"{'':16}" + "".join(f"{name.replace('_', ' '):>26}" for name in METRICS))
        rows = {"this network": localisation["metrics"], **{k.replace("_", " "): v for k, v in localisation["controls"].items()}}
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
