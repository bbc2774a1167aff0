"""Pretraining without labels: the stages before it, the images that it may see, and what it made."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from lesionlens.core.errors import RecipeError, TrainingError
from lesionlens.core.recipe import Recipe
from lesionlens.data.dataset import Dataset
from lesionlens.data.image import InputSpec, frame_spec, input_spec
from lesionlens.data.sources.unlabelled import read_unlabelled
from lesionlens.data.statistics import channel_statistics
from lesionlens.data.store import Store
from lesionlens.models.build import check_takes
from lesionlens.pipeline.execution import execute, plan
from lesionlens.pipeline.job import Job, StageResult
from lesionlens.pipeline.stages import STAGES
from lesionlens.training.distributed import World
from lesionlens.training.pretrain import BACKBONE_FILE, HISTORY_FILE, PretrainingImages, pretrain, read_pretraining_history
from lesionlens.training.pretraining_leaks import seen_images
from lesionlens.training.unlabelled import Unlabelled, prepare_unlabelled

LAST_STAGE = "pack"


def labelled_images(job: Job) -> Dataset:
    """The labelled images of a run; the stages up to `pack` are run if they are not up to date.

    So `lesionlens run` in the same folder has the same split.

    Raises:
        LesionLensError: as the stages.
    """
    check_takes(job.recipe.model, job.recipe.input.size)
    for step in execute(STAGES, job, plan(STAGES, job, until=LAST_STAGE, skip=("augment",))):
        job.reporter.note(f"{step.name}: {step.text}" + (f" ({step.seconds:.1f} s)" if step.made else ""))
    return Dataset.of_run(job.run)


def pretrain_run(job: Job, dataset: Dataset | None, unlabelled: Path | None, world: World) -> StageResult:
    """Pretrain the network of a recipe without using a diagnosis.

    Args:
        job: the run; its `restart` starts the pretraining again.
        dataset: labelled images, of which the training split is seen; None if there are none.
        unlabelled: further images, see `data.sources.unlabelled`; None if there are none.
        world: where to compute; one process.

    Raises:
        RecipeError: if there are no images at all.
        TrainingError: with several processes, or if the loss is not finite or the features collapse.
    """
    if world.size > 1:
        raise TrainingError(f"pretraining runs in one process, not in {world.size}; start it without torchrun")
    if dataset is None and unlabelled is None:
        raise RecipeError("there is nothing to pretrain on; give labelled images with --data, or others with --unlabelled")
    more = _unlabelled(job, unlabelled, dataset) if unlabelled is not None else None
    images = _images(dataset, more)
    spec = _spec(job.recipe, images)
    job.reporter.note(sees_text(dataset, more))
    out, settings = job.run.pretraining, job.recipe.pretraining
    with job.reporter.bar("Pretraining", settings.epochs * len(images.ids)) as advance:
        for epoch in pretrain(images, job.recipe, spec, out, world.device, job.restart, advance):
            job.reporter.note(epoch.line(settings.epochs))
    return _result(out, job.recipe, images, more)


def sees_text(dataset: Dataset | None, more: Unlabelled | None) -> str:
    """Which images a pretraining sees, and which it never does, in one line."""
    parts = []
    if dataset is not None:
        held_out = sum(len(dataset.split.ids[name]) for name in ("validation", "test"))
        parts.append(
            f"{len(dataset.ids('train'))} images of the training split, without their diagnoses, and none of the {held_out} "
            "images of validation and test"
        )
    if more is not None:
        parts.append(f"{len(more.ids)} unlabelled images" + ("" if more.screened else ", which were not screened"))
    return f"pretraining sees {', and '.join(parts)}"


def _unlabelled(job: Job, path: Path, dataset: Dataset | None) -> Unlabelled:
    listed = read_unlabelled(path)
    for text in listed.notes:
        job.reporter.note(text)
    with job.reporter.bar("Packing unlabelled images", len(listed)) as advance:
        made = prepare_unlabelled(listed, frame_spec(job.recipe.input), job.run.unlabelled, dataset, advance)
    for text in made.lines():
        job.reporter.note(text)
    return made


def _images(dataset: Dataset | None, more: Unlabelled | None) -> PretrainingImages:
    train = dataset.ids("train") if dataset is not None else ()
    stores: list[Store] = []
    rows: list[np.ndarray] = []
    ids = list(train)
    if dataset is not None:
        rows.append(_numbered(len(stores), dataset.store.rows(train)))
        stores.append(dataset.store)
    if more is not None:
        rows.append(_numbered(len(stores), more.store.rows(more.ids)))
        stores.append(more.store)
        ids += [f"unlabelled/{image_id}" for image_id in more.ids]
    return PretrainingImages(tuple(stores), np.concatenate(rows), tuple(ids), seen_images(dataset, train, more))


def _numbered(store: int, rows: np.ndarray) -> np.ndarray:
    return np.stack([np.full_like(rows, store), rows], axis=1)


def _spec(recipe: Recipe, images: PretrainingImages) -> InputSpec:
    """The recipe's; `normalise = "training"` measures the images of the first store that are seen."""
    if recipe.input.normalise != "training":
        return input_spec(recipe.input)
    return input_spec(recipe.input, *channel_statistics(images.stores[0], images.rows[images.rows[:, 0] == 0, 1]))


def _result(out: Path, recipe: Recipe, images: PretrainingImages, more: Unlabelled | None) -> StageResult:
    history, backbone = read_pretraining_history(out / HISTORY_FILE), out / BACKBONE_FILE
    last = history[-1]
    content: dict[str, Any] = {
        "backbone": str(backbone),
        "images": len(images.ids),
        "unlabelled": more.to_json() if more is not None else None,
        "epochs": [asdict(epoch) for epoch in history],
    }
    line = (
        f"{len(history)} epochs on {len(images.ids)} images, loss {last.loss:.3f}, standard deviation {last.feature_std:.2f} of 1"
    )
    text = f"{backbone}: {line}\nstart from it: lesionlens run {recipe.name} ... --set model.weights={backbone}"
    return StageResult(line, text, content)
