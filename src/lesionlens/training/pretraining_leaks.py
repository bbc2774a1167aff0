"""Pretrained weights must not have seen validation or test images: which images they saw, and the check before a training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lesionlens.bundle.reference import HASH_BYTES
from lesionlens.core.errors import SplitError, WeightsError
from lesionlens.data.dataset import Dataset
from lesionlens.models.build import WEIGHTS_WITHOUT_FILE
from lesionlens.models.weights import images_of_pretraining
from lesionlens.training.unlabelled import Unlabelled, are_alike, held_out_ids, held_out_records, prints_of


def seen_images(dataset: Dataset | None, train: Sequence[str], unlabelled: Unlabelled | None) -> dict[str, Any]:
    """What pretrained weights remember of their images, JSON-ready.

    Args:
        dataset: the labelled images; None if there are none.
        train: ids of its training images.
        unlabelled: the others; None if there are none.
    """
    return {
        "index": dataset.index.hash if dataset is not None else "",
        "split": dataset.split.hash if dataset is not None else "",
        "train": list(train),
        "unlabelled": list(unlabelled.ids) if unlabelled is not None else [],
        "perceptual": unlabelled.prints.perceptual.tobytes().hex() if unlabelled is not None else "",
        "screened": unlabelled.screened if unlabelled is not None else True,
    }


def check_pretraining(weights: str, dataset: Dataset) -> None:
    """Refuse weights that were pretrained on images of the validation or test split, or of their lesions.

    Weights of the same split need no look. Others are compared by the ids of their images, and by the perceptual hashes of
    those that had no diagnosis.

    Args:
        weights: `model.weights` of a recipe: a file, or a folder with one for each part of a composed network.
        dataset: of the run that starts from them.

    Raises:
        SplitError: naming how many images leak.
        WeightsError: if the file is missing or damaged.
    """
    path = Path(weights).expanduser()
    if weights in WEIGHTS_WITHOUT_FILE:
        return
    for each in sorted(path.glob("*.safetensors")) if path.is_dir() else (path,):
        _check_file(each, dataset)


def _check_file(path: Path, dataset: Dataset) -> None:
    seen = images_of_pretraining(path)
    if seen is None:
        return
    try:
        if seen["split"] == dataset.split.hash:
            return
        ids = {*seen["train"], *seen["unlabelled"]}
        perceptual = np.frombuffer(bytes.fromhex(seen["perceptual"]), np.uint8).reshape(-1, HASH_BYTES)
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path} does not say which images it was pretrained on ({error!r}); pretrain again") from error
    leaked = {record.image_id for record in held_out_records(dataset) if record.image_id in ids}
    leaked.update(_alike(dataset, perceptual) if len(perceptual) else ())
    if leaked:
        raise SplitError(
            f"{path} was pretrained on another split: it has seen {len(leaked)} images of lesions that are in validation or test "
            f"here, the first is {min(leaked)}; scores would be too high. Pretrain in the run folder of this split: "
            "`lesionlens pretrain RECIPE --data DATA --run RUN`"
        )


def _alike(dataset: Dataset, perceptual: np.ndarray) -> list[str]:
    """Validation and test images that look like an image that was pretrained on."""
    ids = sorted(held_out_ids(dataset.split) - dataset.store.dropped.keys())
    found = are_alike(prints_of(dataset.store, dataset.store.rows(ids)).perceptual, perceptual)
    return [image_id for image_id, is_alike in zip(ids, found.tolist(), strict=True) if is_alike]
