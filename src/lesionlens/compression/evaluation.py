"""Predictions, metrics and heat maps of a variant on one split, compared with those of fp32."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lesionlens.bundle.engines import Limits, load_engine
from lesionlens.compression.runnable_variant import RunnableVariant
from lesionlens.compression.table import COLUMNS
from lesionlens.core.artifact import hash_file
from lesionlens.core.errors import ModelError
from lesionlens.data.dataset import Dataset
from lesionlens.data.image import InputSpec, centre_crop
from lesionlens.evaluation.compare import compare
from lesionlens.evaluation.evaluate import with_truth
from lesionlens.evaluation.metric_intervals import metric_intervals
from lesionlens.evaluation.metrics import balanced_accuracy
from lesionlens.evaluation.multiplicity import non_inferiority
from lesionlens.evaluation.predictions import Origin, Predictions
from lesionlens.evaluation.weighted_metrics import WeightedMetrics
from lesionlens.export.gate_images import evenly_spaced

LEAST_PROBABILITY = 1e-30  # a softmax in float32 may give 0, whose logarithm is no number
POINTING_CELLS = 1.5  # a maximum in a neighbouring cell, diagonals included, counts as the same place


@dataclass(frozen=True, eq=False)
class SplitImages(Sequence[np.ndarray]):
    """Images of one split, read on access; each item is uint8 (1, S, S, 3).

    Attributes:
        name: `train`, `validation` or `test`.
        ids: ids of the images that the store contains.
        dataset: index, split and store.
        spec: how they are prepared for the network.
    """

    name: str
    ids: tuple[str, ...]
    dataset: Dataset
    spec: InputSpec

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self.pixels((image_id,)) for image_id in self.ids[number]]
        return self.pixels((self.ids[number],))

    def pixels(self, ids: tuple[str, ...]) -> np.ndarray:
        """Prepared images, uint8 (n, S, S, 3), in memory."""
        store = self.dataset.store
        return np.ascontiguousarray(centre_crop(store.images[store.rows(ids)], self.spec.size))

    def spread(self, count: int) -> tuple[str, ...]:
        """At most `count` ids, spread evenly over the images."""
        return tuple(self.ids[row] for row in evenly_spaced(len(self.ids), count))


def predict(
    runnable: RunnableVariant, images: SplitImages, batch_size: int = 32, progress: Callable[[int], None] | None = None
) -> Predictions:
    """Predictions of a variant for one split, together with the true labels.

    The logits are the logarithms of its probabilities, so they include the temperature.

    Raises:
        ModelError: if the variant cannot be loaded, or gives NaN.
    """
    classify = runnable.load(batch_size=batch_size)
    batches = []
    for start in range(0, len(images.ids), batch_size):
        ids = images.ids[start : start + batch_size]
        batches.append(classify(images.pixels(ids)))
        if progress is not None:
            progress(len(ids))
    probabilities = np.concatenate(batches)
    if not np.isfinite(probabilities).all():
        raise ModelError(f"{runnable.name} gives NaN on the {images.name} split; leave it out of compression.variants")
    logits = np.log(np.maximum(probabilities.astype(np.float64), LEAST_PROBABILITY)).astype(np.float32)
    return with_truth(logits, images.ids, images.dataset, _origin(runnable, images))


def metrics(predictions: Predictions, reference: Predictions, resamples: int, confidence: float) -> dict[str, dict[str, Any]]:
    """The columns of the table.

    Args:
        predictions: of the variant.
        reference: of fp32, on the same images.
        resamples: bootstrap resamples of lesions.
        confidence: level of the intervals.

    Returns:
        For each of `COLUMNS`: `value low high` of the variant alone, and `difference difference_low
        difference_high p` of the variant minus fp32, paired by lesion.
    """
    compared = compare(predictions, reference, resamples, confidence)["metrics"]
    alone = metric_intervals(
        WeightedMetrics.of(predictions.logits, predictions.labels), predictions.lesion_ids, resamples, confidence
    )
    return {
        name: {
            **alone[name][0].to_json(),
            "difference": compared[name]["difference"],
            "difference_low": compared[name]["low"],
            "difference_high": compared[name]["high"],
            "p": compared[name]["p"],
        }
        for name in COLUMNS
    }


def verdict(name: str, row: dict[str, dict[str, Any]], margin: float) -> dict[str, Any]:
    """Non-inferiority of a variant to fp32 in balanced accuracy, JSON-ready.

    Args:
        name: of the variant and its runtime.
        row: its `metrics`.
        margin: the largest loss that is acceptable: the recipe's `compression.default_drop`.
    """
    gap = row["balanced_accuracy"]
    judged = non_inferiority(name, gap["difference_low"], gap["difference_high"], margin, "balanced accuracy")
    return {"metric": "balanced_accuracy", **judged.to_json()}


def balanced_accuracy_of(predictions: Predictions) -> float:
    """Balanced accuracy of the predicted diagnoses, in [0, 1]."""
    return balanced_accuracy(predictions.labels, predictions.predicted, len(predictions.codes))


def agreement(predictions: Predictions, reference: Predictions) -> dict[str, float]:
    """Share of images with the same predicted diagnosis, and the differences between the probabilities."""
    gaps = np.abs(predictions.probabilities - reference.probabilities)
    return {
        "same_first": float((predictions.predicted == reference.predicted).mean()),
        "mean_difference": float(gaps.mean()),
        "p99_difference": float(np.quantile(gaps.max(axis=1), 0.99)),
        "largest_difference": float(gaps.max()),
    }


def map_agreement(runnable: RunnableVariant, reference: RunnableVariant, images: SplitImages, count: int = 200) -> dict[str, Any]:
    """Agreement between the heat maps of two variants, for the predicted diagnosis and over all diagnoses.

    Args:
        runnable: a variant with maps.
        reference: fp32, with maps.
        images: images to process.
        count: how many of them, spread evenly.

    Returns:
        `n_images`; `first`: median and 5th percentile of Pearson's correlation of the map of the
        reference's predicted diagnosis; `all`: the same over the maps of all diagnoses; `same_place`: share
        of images whose hottest cell is the same or a neighbour. Flat maps are left out.
    """
    engines = [load_engine(each.runtime, each.file, each.size, each.precision, Limits()) for each in (runnable, reference)]
    first: list[float] = []
    every: list[float] = []
    near: list[bool] = []
    for image_id in images.spread(count):
        image = images.pixels((image_id,))
        ours, theirs = (engine.run(image) for engine in engines)
        assert ours.maps is not None, "the variant has maps"
        assert theirs.maps is not None, "fp32 has maps"
        predicted = int(theirs.probabilities[0].argmax())
        correlations = [correlation(a, b) for a, b in zip(ours.maps[0], theirs.maps[0], strict=True)]
        first.append(correlations[predicted])
        every += correlations
        near.append(_distance(ours.maps[0, predicted], theirs.maps[0, predicted]) <= POINTING_CELLS)
    return {"n_images": len(near), "first": _spread(first), "all": _spread(every), "same_place": float(np.mean(near))}


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's correlation of two maps (h, w); NaN if one of them is flat."""
    a, b = (values.astype(np.float64).ravel() - float(values.mean()) for values in (one, other))
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else float("nan")


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    """Distance between the hottest cells of two maps (h, w), in cells."""
    places = [np.unravel_index(int(values.argmax()), values.shape) for values in (one, other)]
    return float(np.hypot(*(np.array(places[0]) - np.array(places[1]))))


def _spread(values: list[float]) -> dict[str, float | None]:
    defined = [value for value in values if not np.isnan(value)]
    if not defined:
        return {"median": None, "p05": None}
    return {"median": float(np.median(defined)), "p05": float(np.quantile(defined, 0.05))}


def _origin(runnable: RunnableVariant, images: SplitImages) -> Origin:
    split = images.dataset.split
    return Origin(
        name=runnable.name,
        seed=0,
        protocol=split.protocol,
        leaks=split.leaks,
        leak_rate=split.leak_rate.get(images.name),
        split=images.name,
        precision=runnable.precision,
        n_dropped=images.dataset.n_dropped(images.name),
        hashes={"file": hash_file(runnable.file), **images.dataset.hashes},
        n_unknown_lesion=split.n_unknown_lesion(images.name),
        patient_leak_rate=split.patient_leak_rate(images.name),
    )
