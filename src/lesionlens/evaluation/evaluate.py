"""Predict a split with a checkpoint, and score the predictions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lesionlens.core.artifact import hash_file, write_json
from lesionlens.core.errors import CheckpointError, RecipeError
from lesionlens.core.metadata import encode
from lesionlens.core.recipe import EvaluationRecipe
from lesionlens.core.run import FILES
from lesionlens.data.dataset import Dataset
from lesionlens.data.groups import groups_of
from lesionlens.data.protocols import SPLITS
from lesionlens.evaluation.predict import predict_logits
from lesionlens.evaluation.predictions import Origin, Predictions, write_predictions
from lesionlens.evaluation.scores import score
from lesionlens.training.checkpoint import CheckpointInfo, load_network
from lesionlens.training.distributed import choose_device
from lesionlens.training.precision import resolve_precision

TEST, VALIDATION = "test", "validation"


@dataclass(frozen=True)
class PredictionSettings:
    """How a split is predicted.

    Attributes:
        split: `train`, `validation` or `test`.
        views: 1 or 8; 0 takes the recipe's value.
        resamples: of the bootstrap; 0 takes the recipe's value.
        confidence: level of the intervals; 0 takes the recipe's value.
        batch_size: images in one pass.
        precision: `fp32`, so that metrics do not depend on the machine, or `bf16`, `fp16`, `auto`.
        device: `auto`, `cpu` or `cuda`.
        metadata: whether a network with a metadata head is told what the index knows of the patients, or nothing.
    """

    split: str = "test"
    views: int = 0
    resamples: int = 0
    confidence: float = 0.0
    batch_size: int = 64
    precision: str = "fp32"
    device: str = "auto"
    metadata: bool = True

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise RecipeError(f"split = {self.split!r}; it must be one of {', '.join(SPLITS)}")
        self.resolved(EvaluationRecipe())
        if not 1 <= self.batch_size <= 100_000:
            raise RecipeError(f"batch size {self.batch_size}; it must be from 1 to 100000")

    def resolved(self, recipe: EvaluationRecipe) -> EvaluationRecipe:
        """Views, resamples and confidence, from the checkpoint's recipe where these settings give none."""
        return recipe.overridden(views=self.views, resamples=self.resamples, confidence=self.confidence)


def evaluate(
    checkpoint: Path,
    dataset: Dataset,
    out: Path,
    settings: PredictionSettings | None = None,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Predict one split, score it, and write `predictions.npz` and `scores.json` into `out`.

    Where the test split is scored, the validation split is predicted too, in the same way, and written as `validation.npz`:
    what is chosen (temperature, thresholds, conformal sets) is chosen there and reported on the test split. A data set without
    validation images gets no such file.

    See `predict_split` for the arguments and errors.

    Returns:
        The content of scores.json; see `scores.score`.
    """
    settings = settings or PredictionSettings()
    trained = _Trained(checkpoint, *load_network(checkpoint))
    predicted = {
        name: _predict(trained, dataset, replace(settings, split=name), progress) for name in splits_to_predict(dataset, settings)
    }
    recipe = settings.resolved(trained.info.recipe.evaluation)
    scores = score(predicted[settings.split], recipe.resamples, recipe.confidence)
    write_predictions(predicted[settings.split], out / FILES["predictions"])
    if settings.split == TEST and VALIDATION in predicted:
        write_predictions(predicted[VALIDATION], out / FILES["validation_predictions"])
    write_json(out / FILES["scores"], scores)
    return scores


def splits_to_predict(dataset: Dataset, settings: PredictionSettings) -> tuple[str, ...]:
    """The scored split, and the validation split beside the test split if it has images."""
    beside = (VALIDATION,) if settings.split == TEST and dataset.split.ids[VALIDATION] else ()
    return (settings.split, *beside)


def predict_split(
    checkpoint: Path,
    dataset: Dataset,
    settings: PredictionSettings | None = None,
    progress: Callable[[int], None] | None = None,
) -> Predictions:
    """Predict one split, after a check that checkpoint and data match.

    Images that the store leaves out on request are left out here too, and counted.

    Args:
        checkpoint: best.safetensors of a run.
        dataset: the data set that the checkpoint was trained with.
        settings: split, views, batch size, precision, device.
        progress: called with the number of images of each batch.

    Raises:
        CheckpointError: if the checkpoint is damaged, or was trained with another split, other
            pixels or other diagnoses; then the test images might have been trained on, or
            not be prepared as the network expects.
        ArtifactError: if an image is not in the store.
        ModelError: if a logit is NaN.
    """
    trained = _Trained(checkpoint, *load_network(checkpoint))
    return _predict(trained, dataset, settings or PredictionSettings(), progress)


@dataclass(frozen=True)
class _Trained:
    checkpoint: Path
    network: nn.Module
    info: CheckpointInfo


def _predict(
    trained: _Trained,
    dataset: Dataset,
    settings: PredictionSettings,
    progress: Callable[[int], None] | None,
) -> Predictions:
    info = trained.info
    check_belongs(trained.checkpoint, info, dataset)
    ids, split = dataset.ids(settings.split), dataset.split
    fields = info.recipe.model.metadata
    device = choose_device(settings.device)
    views = settings.resolved(info.recipe.evaluation).views
    precision = resolve_precision(settings.precision, device)
    logits = predict_logits(
        trained.network.to(device=device, memory_format=torch.channels_last),  # type: ignore[call-overload]
        dataset.store.images,
        info.spec,
        rows=dataset.store.rows(ids),
        views=views,
        batch_size=settings.batch_size,
        precision=precision,
        progress=progress,
        metadata=encode(dataset.records(settings.split), fields) if fields and settings.metadata else None,
    )
    origin = Origin(
        name=info.recipe.name,
        seed=info.recipe.seed,
        protocol=split.protocol,
        leaks=split.leaks,
        leak_rate=split.leak_rate.get(settings.split),
        split=settings.split,
        views=views,
        precision=precision,
        n_dropped=dataset.n_dropped(settings.split),
        hashes={"checkpoint": hash_file(trained.checkpoint), **dataset.hashes},
        n_unknown_lesion=split.n_unknown_lesion(settings.split),
        patient_leak_rate=split.patient_leak_rate(settings.split),
        metadata=fields if settings.metadata else (),
    )
    return with_truth(logits, ids, dataset, origin)


def check_belongs(checkpoint: Path, info: CheckpointInfo, dataset: Dataset) -> None:
    """Refuse a checkpoint that was not trained with this split, these pixels and these diagnoses.

    Raises:
        CheckpointError: naming which of them differs, and the remedy.
    """
    index, split, store = dataset.index, dataset.split, dataset.store
    if info.split_hash != split.hash:
        raise CheckpointError(
            f"{checkpoint} was trained with another split (hash {info.split_hash[:12]}, not {split.hash[:12]}); the images of "
            "this one's test split may have been trained on. Give the split.json of its own run with --split-file"
        )
    if info.spec.frame_hash != store.frame_hash:
        raise CheckpointError(
            f"{checkpoint} expects frames of {info.spec.frame} pixels, resize {info.spec.resize}; store {store.path} has "
            "others. Pack it again with the checkpoint's recipe: lesionlens pack INDEX --recipe RECIPE"
        )
    if info.labels.codes != index.labels.codes:
        raise CheckpointError(
            f"{checkpoint} knows {' '.join(info.labels.codes)}, the index has {' '.join(index.labels.codes)}; "
            "the diagnoses must be the same. Train on this index first"
        )


def with_truth(logits: np.ndarray, ids: tuple[str, ...], dataset: Dataset, origin: Origin) -> Predictions:
    """Join logits (N, K) of the images `ids` with labels and metadata of the index.

    Lesions that the split's pairs join share one id, the smallest of theirs.
    """
    index, split = dataset.index, dataset.split
    names: dict[int, str] = {}
    groups = dict(zip(index.ids, groups_of(index, split.pairs).tolist(), strict=True))
    for record in index.records:
        group = groups[record.image_id]
        names[group] = min(names.get(group, record.lesion_id), record.lesion_id)
    by_id = index.by_id()
    records = [by_id[image_id] for image_id in ids]
    return Predictions(
        image_ids=np.array(ids, dtype=np.str_),
        lesion_ids=np.array([names[groups[image_id]] for image_id in ids], dtype=np.str_),
        labels=np.array([index.labels.index(record.dx) for record in records], dtype=np.int64),
        logits=logits,
        label_set=index.labels,
        age=np.array([np.nan if record.age is None else record.age for record in records], dtype=np.float32),
        sex=np.array([record.sex for record in records], dtype=np.str_),
        site=np.array([record.site for record in records], dtype=np.str_),
        origin=origin,
    )
