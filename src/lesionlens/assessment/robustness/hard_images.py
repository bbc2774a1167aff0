"""Hard images: those on which seeds or views disagree, and those whose label is probably wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lesionlens.assessment.robustness.label_errors import label_errors
from lesionlens.core.errors import DataError
from lesionlens.data.index import Index
from lesionlens.evaluation.calibration import softmax
from lesionlens.evaluation.predictions import Predictions

LISTED = 24  # images with pictures in the report
KINDS = {
    "label": "confident learning (Northcutt, Jiang & Chuang 2021) prefers another diagnosis: a likely label error, or, where "
    "histology made the label, a likely error of the network",
    "seeds": "networks of other seeds give another diagnosis",
    "views": "flips and rotations of the image give another diagnosis",
}


@dataclass(frozen=True)
class HardImage:
    """One hard image.

    Attributes:
        row: of the predictions.
        score: how hard; comparable within a kind only.
        other: class that the label or the first prediction disagrees with.
        count: predictors that give it.
    """

    row: int
    score: float
    other: int
    count: int


def disagreement(probabilities: np.ndarray) -> np.ndarray:
    """Jensen-Shannon divergence of several predictions of the same images, natural logarithm, at least 0, (N,).

    Entropy of the mean minus mean entropy: 0 where all agree in their probabilities (also known as mutual information).

    Args:
        probabilities: of M predictors, (M, N, K).
    """
    return np.asarray(np.maximum(0, _entropy(probabilities.mean(0)) - _entropy(probabilities).mean(0)))


def _entropy(probabilities: np.ndarray) -> np.ndarray:
    return np.asarray(-(probabilities * np.log(np.maximum(probabilities, 1e-300))).sum(-1))


def other_seeds(predictions: Predictions, others: Sequence[Predictions], names: Sequence[str]) -> np.ndarray:
    """Probabilities of all seeds for the same images, (1 + M, N, K).

    Args:
        predictions: of this network.
        others: of networks of other seeds.
        names: of the others' files, for errors.

    Raises:
        DataError: if one has other diagnoses, or lacks an image of these.
    """
    arrays = [predictions.probabilities]
    for other, name in zip(others, names, strict=True):
        row = {image_id: number for number, image_id in enumerate(other.image_ids.tolist())}
        missing = [image_id for image_id in predictions.image_ids.tolist() if image_id not in row]
        if other.codes != predictions.codes or missing:
            what = f"lacks {len(missing)} images, the first is {missing[0]}" if missing else f"knows {' '.join(other.codes)}"
            raise DataError(
                f"{name} {what}; seeds are compared on the same images and diagnoses ({' '.join(predictions.codes)}). "
                "Predict the same split with: lesionlens evaluate CHECKPOINT"
            )
        arrays.append(other.probabilities[[row[image_id] for image_id in predictions.image_ids.tolist()]])
    return np.stack(arrays)


def hard_images(
    predictions: Predictions,
    seeds: np.ndarray | None = None,
    views: np.ndarray | None = None,
    view_ids: Sequence[str] = (),
    listed: int = LISTED,
) -> dict[str, Any]:
    """List hard images of every kind in turn, each lesion once.

    Args:
        predictions: of images not trained on.
        seeds: probabilities of several networks for the same images, (M, N, K); None leaves the kind out.
        views: logits of several views of some images, (V, n, K); likewise.
        view_ids: which images these are.
        listed: most images in the list.

    Returns:
        JSON-ready: `kinds`, `counts` (how many images each kind has in all), `confident_joint`, and `images`.
    """
    errors = label_errors(predictions.probabilities, predictions.labels)
    suspects = zip(errors.rows.tolist(), errors.margin.tolist(), errors.suggested.tolist(), strict=True)
    kinds = {"label": [HardImage(row, margin, other, 1) for row, margin, other in suspects]}
    if seeds is not None and len(seeds) > 1:
        kinds["seeds"] = disagreeing(seeds, np.arange(len(predictions)))
    if views is not None and len(view_ids):
        row_of = {image_id: row for row, image_id in enumerate(predictions.image_ids.tolist())}
        probabilities = np.stack([softmax(logits) for logits in views])
        kinds["views"] = disagreeing(probabilities, np.array([row_of[image_id] for image_id in view_ids]))
    return {
        "kinds": {kind: KINDS[kind] for kind in kinds},
        "counts": {kind: len(images) for kind, images in kinds.items()},
        "confident_joint": errors.joint.tolist(),
        "images": [_described(predictions, kind, image) for kind, image in _in_turn(predictions, kinds, listed)],
    }


def disagreeing(probabilities: np.ndarray, rows: np.ndarray) -> list[HardImage]:
    """Images for which predictors differ in the diagnosis, most divergent first.

    Args:
        probabilities: of M predictors, (M, N, K); the first is this network or the image as it is.
        rows: row of each image in the predictions, (N,).
    """
    predicted, score = probabilities.argmax(2), disagreement(probabilities)
    order = np.lexsort((rows, -score))
    images = []
    for place in order[(predicted != predicted[0]).any(0)[order]].tolist():
        counts = np.bincount(predicted[1:, place][predicted[1:, place] != predicted[0, place]])
        images.append(HardImage(int(rows[place]), float(score[place]), int(counts.argmax()), int(counts.max())))
    return images


def _in_turn(predictions: Predictions, kinds: Mapping[str, list[HardImage]], listed: int) -> list[tuple[str, HardImage]]:
    """The hardest image of each kind in turn, one of each lesion."""
    lesions: set[str] = set()
    images: list[tuple[str, HardImage]] = []
    queues = {kind: iter(of_kind) for kind, of_kind in kinds.items()}
    while queues and len(images) < listed:
        for kind in list(queues):
            image = next((each for each in queues[kind] if predictions.lesion_ids[each.row] not in lesions), None)
            if image is None:
                del queues[kind]
            else:
                lesions.add(predictions.lesion_ids[image.row])
                images.append((kind, image))
    return images[:listed]


def _described(predictions: Predictions, kind: str, image: HardImage) -> dict[str, Any]:
    row, codes = image.row, predictions.codes
    label, called = int(predictions.labels[row]), int(predictions.predicted[row])
    probabilities = softmax(predictions.logits[row : row + 1])[0]
    return {
        "image_id": str(predictions.image_ids[row]),
        "lesion_id": str(predictions.lesion_ids[row]),
        "kind": kind,
        "label": codes[label],
        "called": codes[called],
        "other": codes[image.other],
        "count": image.count,
        "p_label": float(probabilities[label]),
        "p_called": float(probabilities[called]),
        "score": image.score,
    }


def with_ground_truth(hard: dict[str, Any], index: Index) -> dict[str, Any]:
    """The same list with how each label was made (`dx_type`; empty if the index does not know it)."""
    records = index.by_id()
    return {**hard, "images": [{**image, "dx_type": records[image["image_id"]].dx_type} for image in hard["images"]]}
