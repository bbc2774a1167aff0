"""What a form of a network says about one split, and how far it is from fp32."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lesionlens.bundle.engines import Limits, load_engine
from lesionlens.compression.runnable_variant import Form
from lesionlens.compression.table import COLUMNS
from lesionlens.core.artifact import hash_file
from lesionlens.core.errors import ModelError
from lesionlens.data.dataset import Dataset
from lesionlens.data.image import InputSpec, centre_crop
from lesionlens.evaluation.cases import Cases
from lesionlens.evaluation.compare import compare
from lesionlens.evaluation.evaluate import with_truth
from lesionlens.evaluation.intervals import lesion_bootstrap
from lesionlens.evaluation.metrics import balanced_accuracy
from lesionlens.evaluation.predictions import Origin, Predictions

LEAST_PROBABILITY = 1e-30  # a softmax in float32 may give 0, whose logarithm is no number
POINTING_CELLS = 1.5  # a maximum that moved by a diagonal neighbour is still the same place


@dataclass(frozen=True, eq=False)
class SplitImages(Sequence[np.ndarray]):
    """Images of one split, read only when they are asked for; each item is uint8 (1, S, S, 3).

    Attributes:
        name: `train`, `validation` or `test`.
        ids: image ids; those that the store dropped are left out.
        dataset: index, split and store.
        spec: how the network sees them.
    """

    name: str
    ids: tuple[str, ...]
    dataset: Dataset
    spec: InputSpec

    @classmethod
    def of(cls, name: str, dataset: Dataset, spec: InputSpec) -> SplitImages:
        """One split.

        Raises:
            RecipeError: if it holds no images.
        """
        return cls(name, dataset.ids(name), dataset, spec)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, number: Any) -> Any:
        chosen = self.ids[number]
        return [self.pixels((name,)) for name in chosen] if isinstance(number, slice) else self.pixels((chosen,))

    def pixels(self, ids: tuple[str, ...]) -> np.ndarray:
        """Prepared images, uint8 (n, S, S, 3), in memory."""
        store = self.dataset.store
        return np.ascontiguousarray(centre_crop(store.images[store.rows(ids)], self.spec.size))

    def spread(self, count: int) -> tuple[str, ...]:
        """At most `count` ids, spread evenly over the images."""
        chosen = np.unique(np.linspace(0, len(self.ids) - 1, min(count, len(self.ids))).round().astype(int))
        return tuple(self.ids[number] for number in chosen)


def predict(form: Form, images: SplitImages, batch_size: int = 32, progress: Callable[[int], None] | None = None) -> Predictions:
    """What a form says about a split, with the truth beside it.

    Logits are the logarithms of its probabilities, so they hold the temperature already.

    Raises:
        ModelError: if it cannot be loaded, or gives NaN.
    """
    call = form.load(batch_size=batch_size)
    found = []
    for start in range(0, len(images.ids), batch_size):
        ids = images.ids[start : start + batch_size]
        found.append(call(images.pixels(ids)))
        if progress is not None:
            progress(len(ids))
    probabilities = np.concatenate(found)
    if not np.isfinite(probabilities).all():
        raise ModelError(f"{form.name} gives NaN on the {images.name} split; leave it out of compression.variants")
    logits = np.log(np.maximum(probabilities.astype(np.float64), LEAST_PROBABILITY)).astype(np.float32)
    return with_truth(logits, images.ids, images.dataset, _origin(form, images))


def metrics(found: Predictions, reference: Predictions, resamples: int, confidence: float) -> dict[str, dict[str, float | None]]:
    """The columns of the table.

    Args:
        found: of the form.
        reference: of fp32, on the same images.
        resamples: of lesions.
        confidence: level of the intervals.

    Returns:
        For each of `COLUMNS`: `value low high` of the form by itself, and `difference difference_low
        difference_high p` of form minus fp32, from the same resamples of lesions.
    """
    compared = compare(found, reference, resamples, confidence)["metrics"]
    alone = lesion_bootstrap(Cases.of(found.logits, found.labels), found.lesion_ids, resamples, confidence)
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


def balanced_accuracy_of(predictions: Predictions) -> float:
    """Balanced accuracy of the first choices, in [0, 1]."""
    return balanced_accuracy(predictions.labels, predictions.predicted, len(predictions.codes))


def agreement(found: Predictions, reference: Predictions) -> dict[str, float]:
    """How alike two forms answer: the share of the same first choices, and how far probabilities lie apart."""
    apart = np.abs(found.probabilities - reference.probabilities)
    return {
        "same_first": float((found.predicted == reference.predicted).mean()),
        "mean_difference": float(apart.mean()),
        "p99_difference": float(np.quantile(apart.max(axis=1), 0.99)),
        "largest_difference": float(apart.max()),
    }


def map_agreement(form: Form, reference: Form, images: SplitImages, count: int = 200) -> dict[str, Any]:
    """How alike the heat maps of two forms are, for the first choice of the reference and over all diagnoses.

    Args:
        form: with maps.
        reference: fp32, with maps.
        part: images to look at.
        count: how many of them, spread evenly.

    Returns:
        `n_images`; `first`: median and 5th percentile of Pearson's correlation of the map of the
        reference's first choice; `all`: the same over the maps of all diagnoses; `same_place`: share
        of images whose hottest cell is the same or a neighbour. Maps that are flat are left out.
    """
    engines = [load_engine(each.runtime, each.file, each.size, each.precision, Limits()) for each in (form, reference)]
    first, every, near = [], [], []
    for image_id in images.spread(count):
        image = images.pixels((image_id,))
        one, other = (engine.run(image) for engine in engines)
        assert one.maps is not None, "the form has maps"
        assert other.maps is not None, "fp32 has maps"
        chosen = int(other.probabilities[0].argmax())
        pairs = [correlation(a, b) for a, b in zip(one.maps[0], other.maps[0], strict=True)]
        first.append(pairs[chosen])
        every += pairs
        near.append(_distance(one.maps[0, chosen], other.maps[0, chosen]) <= POINTING_CELLS)
    return {"n_images": len(near), "first": _spread(first), "all": _spread(every), "same_place": float(np.mean(near))}


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's correlation of two maps (h, w); NaN if one of them is flat."""
    a, b = (values.astype(np.float64).ravel() - float(values.mean()) for values in (one, other))
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else float("nan")


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    """Between the hottest cells of two maps (h, w), in cells."""
    places = [np.unravel_index(int(values.argmax()), values.shape) for values in (one, other)]
    return float(np.hypot(*(np.array(places[0]) - np.array(places[1]))))


def _spread(values: list[float]) -> dict[str, float | None]:
    defined = [value for value in values if not np.isnan(value)]
    if not defined:
        return {"median": None, "p05": None}
    return {"median": float(np.median(defined)), "p05": float(np.quantile(defined, 0.05))}


def _origin(form: Form, images: SplitImages) -> Origin:
    split, store, index = images.dataset.split, images.dataset.store, images.dataset.index
    return Origin(
        name=form.name,
        seed=0,
        protocol=split.protocol,
        leaks=split.leaks,
        leak_rate=split.leak_rate.get(images.name),
        split=images.name,
        precision=form.precision,
        n_dropped=images.dataset.n_dropped(images.name),
        hashes={"file": hash_file(Path(form.file)), "split": split.hash, "store": store.hash, "index": index.hash},
    )
