"""How far external images are from the training images: the gate's distance, the shares of diagnoses, colour, files."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from lesionlens.assessment.external.image_set import ImageSet
from lesionlens.assessment.external.prior_shift import estimated_prior, total_variation
from lesionlens.bundle.gate import CHECKS, DISTANCE, Gate, GateResult
from lesionlens.bundle.reference import COLOURS, Reference
from lesionlens.core.labels import LabelSet
from lesionlens.evaluation.ranking import auc

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
NO_REFERENCE = "nothing is known of the training images"


def distance_shift(results: list[GateResult], gate: Gate | None, reference: Reference | None) -> dict[str, Any]:
    """The gate's distances of the external images beside those of validation images.

    Args:
        results: of the gate, for each image.
        gate: None if the model has none.
        reference: None if it is not known.

    Returns:
        `external` and `validation` (number and `quantiles` of the distances), `threshold`, `share_beyond` it, `auc`: the
        chance that an external image is farther away than a validation image (0.5: no shift), `refused` by check; or a
        `reason` why there are no distances.
    """
    if gate is None:
        return {"reason": "the model has no gate"}
    distances = np.array([result.measures[DISTANCE] for result in results])
    threshold = gate.thresholds["not_dermoscopic"]
    refused = Counter(code for result in results for code in result.reasons)
    shift = {
        "external": _quantiles(distances),
        "threshold": threshold,
        "share_beyond": float((distances > threshold).mean()),
        "refused": {code: refused[code] for code in CHECKS if refused[code]},
    }
    if reference is None or not len(reference.distances):
        return {**shift, "validation": None, "auc": None, "auc_reason": "the distances of validation images are not known"}
    is_external = np.repeat([False, True], [len(reference.distances), len(distances)])
    value = auc(is_external, np.concatenate([reference.distances, distances]))
    return {**shift, "validation": _quantiles(reference.distances), "auc": value}


def prior_shift(
    probabilities: np.ndarray, labels: np.ndarray, label_set: LabelSet, reference: Reference | None
) -> dict[str, Any]:
    """Shares of the diagnoses in training, as observed here, and as estimated without the labels.

    Args:
        probabilities: calibrated, of images of the model's classes, (N, K).
        labels: class of each, (N,).
        label_set: the model's diagnoses.
        reference: None if it is not known.

    Returns:
        `shares`: by code `training`, `observed` and `estimated`; total variation distances `observed_from_training` and
        `estimated_from_observed`, in [0, 1]. Without a reference the first and the last are None, with a `reason`.
    """
    observed = np.bincount(labels, minlength=len(label_set)) / len(labels)
    if reference is None or not reference.class_counts.sum():
        shares = {code: {"training": None, "observed": float(o), "estimated": None} for code, o in _by(label_set, observed)}
        return {"shares": shares, "observed_from_training": None, "estimated_from_observed": None, "reason": NO_REFERENCE}
    training = reference.class_counts / reference.class_counts.sum()
    estimated = estimated_prior(probabilities, training)
    rows = zip(label_set.codes, training.tolist(), observed.tolist(), estimated.tolist(), strict=True)
    return {
        "shares": {code: {"training": t, "observed": o, "estimated": e} for code, t, o, e in rows},
        "observed_from_training": total_variation(observed, training),
        "estimated_from_observed": total_variation(estimated, observed),
    }


def colour_shift(colours: np.ndarray, reference: Reference | None) -> dict[str, Any]:
    """Colour of the images beside that of the training images.

    Args:
        colours: `COLOURS` of each image, (N, 6).
        reference: None if it is not known.

    Returns:
        `statistics`: by name the mean and SD over the external images, those over the training images, and their
        `difference` in SDs of the training images (None without a reference, with a `reason`).
    """
    statistics: dict[str, dict[str, float | None]] = {}
    for number, name in enumerate(COLOURS):
        mean, spread = float(colours[:, number].mean()), float(colours[:, number].std())
        row: dict[str, float | None] = {
            "mean": mean,
            "sd": spread,
            "training_mean": None,
            "training_sd": None,
            "difference": None,
        }
        if reference is not None:
            centre, width = float(reference.colour_mean[number]), float(reference.colour_sd[number])
            row |= {"training_mean": centre, "training_sd": width, "difference": (mean - centre) / width if width > 0 else None}
        statistics[name] = row
    return {"statistics": statistics, **({} if reference is not None else {"reason": NO_REFERENCE})}


def file_facts(images: ImageSet) -> dict[str, Any]:
    """Sizes and formats of the files, and what decoding converted or assumed."""
    shorter = images.sizes.min(axis=1)
    commonest = Counter(map(tuple, images.sizes.tolist())).most_common(3)
    return {
        "formats": dict(Counter(images.formats).most_common()),
        "shorter_side_px": {"smallest": int(shorter.min()), "median": float(np.median(shorter)), "largest": int(shorter.max())},
        "commonest_sizes": [{"width": width, "height": height, "n_images": count} for (width, height), count in commonest],
        "decoding": images.notes,
    }


def _quantiles(values: np.ndarray) -> dict[str, Any]:
    points = np.quantile(values, QUANTILES)
    return {"n_images": len(values), "quantiles": {f"{q:g}": float(v) for q, v in zip(QUANTILES, points, strict=True)}}


def _by(label_set: LabelSet, values: np.ndarray) -> list[tuple[str, float]]:
    return list(zip(label_set.codes, values.tolist(), strict=True))
