"""The scores of external images in four views: by image and by lesion, over all classes of the model and those present."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from lesionlens.assessment.external.binary import Cases
from lesionlens.core.labels import LabelSet
from lesionlens.data.index import Record
from lesionlens.evaluation.predictions import Origin, Predictions
from lesionlens.evaluation.scores import score

SMALLEST_PROBABILITY = 1e-38  # of float32; its logarithm stays finite
FULL = "every class of the model; a first choice that the data lack is an error"
RESTRICTED = "only the classes that the data have; their probabilities are divided by their sum"


def closed_set(cases: Cases, records: tuple[Record, ...], origin: Origin) -> Predictions:
    """Predictions of the images whose diagnosis is a class of the model; logits are logarithms of calibrated probabilities.

    Args:
        cases: N images.
        records: of the same images.
        origin: where the predictions come from.
    """
    rows = np.flatnonzero(cases.labels >= 0)
    scored = [records[row] for row in rows]
    return Predictions(
        image_ids=np.array([record.image_id for record in scored], dtype=np.str_),
        lesion_ids=cases.clusters[rows],
        labels=cases.labels[rows],
        logits=np.log(np.maximum(cases.probabilities[rows], SMALLEST_PROBABILITY)).astype(np.float32),
        label_set=cases.label_set,
        age=np.array([np.nan if record.age is None else record.age for record in scored], dtype=np.float32),
        sex=np.array([record.sex for record in scored], dtype=np.str_),
        site=np.array([record.site for record in scored], dtype=np.str_),
        origin=origin,
    )


def restricted(predictions: Predictions) -> Predictions | None:
    """The same predictions over the classes that have images, renormalised; None if fewer than two have any."""
    present = np.unique(predictions.labels)
    if len(present) < 2:
        return None
    label_set = LabelSet(f"{predictions.label_set.name}-restricted", tuple(predictions.label_set.diagnoses[k] for k in present))
    labels = np.searchsorted(present, predictions.labels)
    return dataclasses.replace(predictions, labels=labels, logits=predictions.logits[:, present], label_set=label_set)


def view_scores(predictions: Predictions, resamples: int, confidence: float) -> dict[str, Any]:
    """The scores of predictions over all classes of the model, and over the classes present.

    Returns:
        `full` and `restricted`, each the content of scores.json with a `view` in words; `restricted` is a `reason` where fewer
        than two classes have images, or all of them have.
    """
    scores = {"full": {"view": FULL, **score(predictions, resamples, confidence)}}
    fewer = restricted(predictions)
    if fewer is None:
        scores["restricted"] = {"reason": "fewer than two classes of the model have images"}
    elif len(fewer.label_set) == len(predictions.label_set):
        scores["restricted"] = {"reason": "every class of the model has images, so there is nothing to restrict"}
    else:
        scores["restricted"] = {"view": RESTRICTED, **score(fewer, resamples, confidence)}
    return scores


def by_lesion(cases: Cases, lesions: np.ndarray) -> tuple[Cases, np.ndarray, int]:
    """One case for each lesion: the mean of the calibrated probabilities of its photographs.

    Args:
        cases: N images.
        lesions: lesion of each, text (N,).

    Returns:
        The cases of M lesions, sorted by name; the image that stands for each, int64 (M,); and how many lesions were left out,
        as their images carry several diagnoses.
    """
    names, first, member = np.unique(lesions, return_index=True, return_inverse=True)
    counts = np.bincount(member)
    sums = np.zeros((len(names), cases.probabilities.shape[1]))
    np.add.at(sums, member, cases.probabilities.astype(np.float64))
    one = cases.take(first)
    kinds = np.stack([cases.labels, cases.malignant, cases.watched])
    differs = np.zeros(len(names), bool)
    np.logical_or.at(differs, member, (kinds != kinds[:, first][:, member]).any(axis=0))
    rows = np.flatnonzero(~differs)
    lesion_cases = dataclasses.replace(one, probabilities=sums / counts[:, None]).take(rows)
    return lesion_cases, first[rows], int(differs.sum())
