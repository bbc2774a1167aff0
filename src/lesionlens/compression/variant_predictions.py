"""What forms say about a part of the split, kept on disk so that nothing is asked twice."""

from __future__ import annotations

from lesionlens.bundle.engines import version_of
from lesionlens.compression import evaluation
from lesionlens.compression.runnable_variant import PYTORCH, Form
from lesionlens.compression.source import Source
from lesionlens.core.artifact import hash_file, hash_value, is_current, write_stamp
from lesionlens.evaluation.predictions import Predictions, read_predictions, write_predictions


def predicted(source: Source, form: Form, part: str) -> Predictions:
    """What a form says about a part; read from disk if it was asked the same before."""
    path = source.out / form.variant / f"{part}.{form.runtime}.{form.precision}.npz"
    made_from = {
        "file": hash_file(form.file),
        "form": hash_value([form.precision, form.dynamic, form.temperature, version_of(library_of(form.runtime))]),
        **source.made_from(),
    }
    if not is_current(path, made_from):
        images = source.images(part)
        with source.reporter.bar(f"{form.name}, {part} part", len(images)) as advance:
            write_predictions(evaluation.predict(form, images, source.settings.batch_size, advance), path)
        write_stamp(path, made_from)
    return read_predictions(path)


def library_of(runtime: str) -> str:
    """The package whose version decides what a runtime computes."""
    return "torch" if runtime == PYTORCH else runtime
