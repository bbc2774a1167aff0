"""Put a network under stress: repeated photographs, views and corruptions, beside human readers, with its hard images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lesionlens.assessment.robustness.corruption_table import CorruptionTable, against_reference, images_hash
from lesionlens.assessment.robustness.corruptions import select_corruptions
from lesionlens.assessment.robustness.hard_images import hard_images, other_seeds, with_ground_truth
from lesionlens.assessment.robustness.network import StressedNetwork, open_network
from lesionlens.assessment.robustness.published import beside_published
from lesionlens.assessment.robustness.reader_comparison import compare_with_readers
from lesionlens.assessment.robustness.readers import ReaderAnswers, read_readers
from lesionlens.assessment.robustness.repeatability import METHODS, Ratings, repeatability
from lesionlens.assessment.robustness.responses import N_VIEWS, Responses, draw_ids, passes, respond
from lesionlens.assessment.robustness.settings import StressSettings
from lesionlens.core.artifact import read_json
from lesionlens.core.progress import SILENT, Reporter
from lesionlens.data.dataset import Dataset
from lesionlens.evaluation.calibration import softmax
from lesionlens.evaluation.evaluate import with_truth
from lesionlens.evaluation.predictions import Origin, Predictions, read_predictions

FORMAT = 1
NO_PAIRS = "no lesion of this split has two photographs"


@dataclass(frozen=True)
class Comparisons:
    """What a network is compared with, beyond itself.

    Attributes:
        others: predictions.npz of networks of other seeds, for the same split.
        readers: answers of human readers, a CSV; None without.
        reference: robustness.json of another run; None without.
    """

    others: tuple[Path, ...] = ()
    readers: Path | None = None
    reference: Path | None = None


def stress_network(
    path: Path,
    dataset: Dataset,
    settings: StressSettings | None = None,
    comparisons: Comparisons | None = None,
    reporter: Reporter = SILENT,
) -> dict[str, Any]:
    """Measure how far the predictions of a network hold.

    Every image of the split is predicted once, for repeated photographs, readers and likely label errors; those that
    `settings.images` draws are predicted under eight views and every corruption.

    Args:
        path: a checkpoint, or the folder of a bundle.
        dataset: that it was trained with.
        settings: what is done to how many images.
        comparisons: what it is compared with.
        reporter: told of progress.

    Returns:
        The content of robustness.json; docs/robustness.md describes it.

    Raises:
        CheckpointError: if the checkpoint does not belong to the data set, and BundleError for a bundle.
        DataError: if a file of `comparisons` does not fit.
        RecipeError: if a setting is out of range.
    """
    settings, comparisons = settings or StressSettings(), comparisons or Comparisons()
    network, read = open_network(path, dataset, settings), _read_comparisons(comparisons, dataset)
    predictions = _predict(network, dataset, settings, reporter)
    seeds = other_seeds(predictions, read.others, [str(each) for each in comparisons.others]) if read.others else None
    subject = _Subject(predictions, _respond(network, predictions, dataset, settings, reporter), settings)
    return {
        "format": FORMAT,
        "made_from": {**predictions.origin.hashes, **network.hashes},
        "name": network.name,
        "split": settings.split,
        "n_images": len(predictions),
        "n_lesions": len(np.unique(predictions.lesion_ids)),
        "labels": predictions.label_set.to_json(),
        "confidence": settings.confidence,
        "resamples": settings.resamples,
        "seed": settings.seed,
        "methods": METHODS,
        "photographs": subject.photographs(),
        "views": subject.views(),
        "corruptions": subject.corruptions(read.reference, str(comparisons.reference)),
        "hard": with_ground_truth(
            hard_images(predictions, seeds, subject.responses.views, subject.responses.image_ids), dataset.index
        ),
        "n_seeds": 1 + len(read.others),
        "published": beside_published(predictions, settings.resampling),
        "readers": compare_with_readers(predictions, read.readers, settings.resampling) if read.readers else None,
    }


@dataclass(frozen=True)
class _ComparisonData:
    """The files of a `Comparisons`, read before anything is predicted, so that a mistake is noticed at once."""

    others: tuple[Predictions, ...]
    readers: ReaderAnswers | None
    reference: Any


def _read_comparisons(comparisons: Comparisons, dataset: Dataset) -> _ComparisonData:
    return _ComparisonData(
        tuple(read_predictions(path) for path in comparisons.others),
        read_readers(comparisons.readers, dataset.index.labels) if comparisons.readers else None,
        read_json(comparisons.reference) if comparisons.reference else None,
    )


def _origin(network: StressedNetwork, dataset: Dataset, settings: StressSettings) -> Origin:
    split = dataset.split
    return Origin(
        name=network.name,
        seed=network.seed,
        protocol=split.protocol,
        leaks=split.leaks,
        leak_rate=split.leak_rate.get(settings.split),
        split=settings.split,
        precision=network.precision,
        n_dropped=dataset.n_dropped(settings.split),
        hashes={"checkpoint": network.checkpoint_hash, **dataset.hashes},
        n_unknown_lesion=split.n_unknown_lesion(settings.split),
        patient_leak_rate=split.patient_leak_rate(settings.split),
    )


def _predict(network: StressedNetwork, dataset: Dataset, settings: StressSettings, reporter: Reporter) -> Predictions:
    """One view of every image of the split."""
    ids, store = dataset.ids(settings.split), dataset.store
    rows, logits = store.rows(ids), []
    with reporter.bar(f"Predicting {settings.split}", len(ids)) as advance:
        for start in range(0, len(rows), settings.batch_size):
            batch = rows[start : start + settings.batch_size]
            logits.append(network.predict(np.asarray(store.images[batch])))
            advance(len(batch))
    return with_truth(np.concatenate(logits).astype(np.float32), ids, dataset, _origin(network, dataset, settings))


def _respond(
    network: StressedNetwork, predictions: Predictions, dataset: Dataset, settings: StressSettings, reporter: Reporter
) -> Responses:
    """Views and corruptions of the images that the settings draw."""
    n_corruptions = len(select_corruptions(settings.corruptions))
    drawn = draw_ids(predictions.image_ids.tolist(), predictions.lesion_ids, settings.images, settings.seed)
    with reporter.bar("Predicting under stress", passes(len(drawn), n_corruptions)) as advance:
        return respond(network.predict, dataset.store, drawn, network.spec.size, settings, advance)


class _Subject:
    """Predictions of a split, and responses to stress for some of its images."""

    def __init__(self, predictions: Predictions, responses: Responses, settings: StressSettings) -> None:
        self.predictions, self.responses, self.settings = predictions, responses, settings
        row = {image_id: place for place, image_id in enumerate(predictions.image_ids.tolist())}
        self.stressed = predictions.take(np.array([row[image_id] for image_id in responses.image_ids]))
        self.malignant = predictions.label_set.malignant

    def photographs(self) -> Mapping[str, Any]:
        """Agreement over the photographs of each lesion."""
        lesions = self.predictions.lesion_ids
        return self._repeatability(Ratings.of(self.predictions.probabilities, lesions, lesions, self.malignant))

    def views(self) -> Mapping[str, Any]:
        """Agreement over the views of each image."""
        probabilities = np.concatenate([softmax(logits) for logits in self.responses.views])
        images, lesions = (np.tile(ids, N_VIEWS) for ids in (self.stressed.image_ids, self.stressed.lesion_ids))
        return self._repeatability(Ratings.of(probabilities, images, lesions, self.malignant))

    def _repeatability(self, ratings: Ratings | None) -> Mapping[str, Any]:
        if ratings is None:
            return {"reason": NO_PAIRS, "n_units": 0}
        return repeatability(ratings, self.settings.resampling)

    def corruptions(self, reference: Any, where: str) -> dict[str, Any]:
        """The corruption table with what it was made of, and beside that of a reference where there is one."""
        settings = self.settings
        table = CorruptionTable(
            self.responses,
            self.stressed.labels,
            self.stressed.lesion_ids,
            self.stressed.label_set,
            settings.resampling,
        ).to_json()
        images = images_hash(self.responses.image_ids, settings.seed)
        if reference is not None:
            table["reference"] = against_reference(table, images, reference, where)
        counts = {"n_images": len(self.stressed), "n_lesions": len(np.unique(self.stressed.lesion_ids))}
        return {**counts, "images_hash": images, **table}
