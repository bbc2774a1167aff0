"""Predictions of runnable variants, cached on disk so that no split is processed twice."""

from __future__ import annotations

from lesionlens.compression import evaluation
from lesionlens.compression.runnable_variant import RunnableVariant
from lesionlens.compression.source import Source
from lesionlens.core.artifact import hash_file, hash_value, is_current, write_stamp
from lesionlens.evaluation.predictions import Predictions, read_predictions, write_predictions


def split_predictions(source: Source, runnable: RunnableVariant, split: str) -> Predictions:
    """Predictions of a variant for one split, read from disk if they are current.

    Raises:
        ModelError: if the variant cannot be loaded, or gives NaN.
        RecipeError: if the split holds no images.
    """
    path = source.out / runnable.variant / f"{split}.{runnable.runtime}.{runnable.precision}.npz"
    made_from = {
        "file": hash_file(runnable.file),
        "form": hash_value([runnable.precision, runnable.dynamic, runnable.temperature, runnable.runtime_version]),
        **source.made_from(),
    }
    if not is_current(path, made_from):
        images = source.images(split)
        with source.reporter.bar(f"{runnable.name}, {split} split", len(images)) as advance:
            write_predictions(evaluation.predict(runnable, images, source.settings.batch_size, advance), path)
        write_stamp(path, made_from)
    return read_predictions(path)
