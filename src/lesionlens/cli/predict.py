"""The command `predict`: a bundle looks at images."""

from __future__ import annotations

import sys
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lesionlens.cli.bundles import INSTALLED, bundle_or_installed
from lesionlens.cli.console import note, put
from lesionlens.cli.options import VariantOption

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lesionlens.bundle.archive import Overlays
    from lesionlens.bundle.prediction import Failure, Prediction
    from lesionlens.bundle.results import Lines
    from lesionlens.bundle.runtime import Predictor
    from lesionlens.data.decoded_image import NoteTally

NOTE_EVERY = 1000
MANY = 200  # images before which it pays to measure: measuring takes the time of about a hundred


def predict(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[BUNDLE] IMAGES...",
            help=f"A bundle ({INSTALLED}), then files, folders, patterns, or - for a list on standard input.",
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="File of results; goes on with one that was interrupted.")] = None,
    form: Annotated[str, typer.Option("--format", help="jsonl, csv, table, or auto: by --out, else a table.")] = "auto",
    overlays: Annotated[Path | None, typer.Option(help="Folder for heat maps over the images.")] = None,
    overlay_class: Annotated[str, typer.Option(help="Diagnosis to show; the most probable one if not given.")] = "",
    runtime: Annotated[str, typer.Option(help="auto, openvino or onnxruntime.")] = "auto",
    variant: VariantOption = "auto",
    tune: Annotated[
        bool, typer.Option("--tune/--no-tune", help=f"Before {MANY} images or more, measure what is fastest here, once.")
    ] = True,
    threads: Annotated[int, typer.Option(help="Threads of computation; 0: as measured, or as the runtime takes.")] = 0,
    batch_size: Annotated[int, typer.Option(help="Images in one pass.")] = 1,
    workers: Annotated[int, typer.Option(help="Threads that read images ahead.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines: the same as --format jsonl.")] = False,
) -> None:
    """Predict images: probabilities, malignant share, heat maps. Broken images are named and give exit code 3."""
    from lesionlens.bundle.archive import Overlays
    from lesionlens.bundle.installed import split_arguments
    from lesionlens.bundle.results import LINES
    from lesionlens.bundle.runtime import Predictor
    from lesionlens.bundle.sources import image_paths
    from lesionlens.core.errors import DataError
    from lesionlens.data.files import LeftOut

    form = _format("jsonl" if as_json else form, out)
    named, images = split_arguments(arguments)
    if not images:
        raise DataError(f"no image is named after the bundle {named}; give files, folders, patterns, or -")
    bundle = bundle_or_installed(named, f"{images[0]} is not a bundle")
    left_out = LeftOut()
    paths: Iterable[Path] = image_paths(images, sys.stdin, left_out)
    if tune and "-" not in images:  # names from a pipe may come slowly, and their results are waited for
        first, paths = _first(paths, MANY)
        if len(first) == MANY:
            from lesionlens.bundle.tuning import tune_if_new

            tune_if_new(bundle, runtime, variant, note)
    predictor = Predictor(bundle, runtime=runtime, variant=variant, threads=threads, batch_size=batch_size, workers=workers)
    for text in predictor.notes:
        note(text)
    drawn = None if overlays is None else Overlays(overlays, overlay_class)
    if drawn is not None:
        drawn.check(predictor.bundle)
    lines = LINES[form](predictor.bundle.labels)
    if out is None:
        done, failed = _print_all(predictor, paths, lines, drawn)
    else:
        done, failed = _write_all(predictor, paths, lines, drawn, out)
    for line in left_out.lines():
        note(line)
    if not done + failed:
        raise DataError(f"no image in {', '.join(images)}; give files, or folders that hold some")
    if failed:
        raise DataError(f"{failed} of {done + failed} images could not be used and are named above; the rest is done")


def _first(paths: Iterable[Path], count: int) -> tuple[list[Path], Iterable[Path]]:
    """At most `count` of the first paths, and all of them."""
    left = iter(paths)
    first = list(islice(left, count))
    return first, chain(first, left)


def _format(form: str, out: Path | None) -> str:
    from lesionlens.bundle.results import LINES
    from lesionlens.core.errors import RecipeError

    if form == "auto":
        form = "table" if out is None else "csv" if out.suffix.lower() == ".csv" else "jsonl"
    if form not in LINES:
        raise RecipeError(f"format {form!r}; it must be auto, {', '.join(LINES)}")
    if form == "table" and out is not None:
        raise RecipeError("a table cannot be gone on with; write --format jsonl or csv to --out")
    return form


def _print_all(predictor: Predictor, paths: Iterable[Path], lines: Lines, drawn: Overlays | None) -> tuple[int, int]:
    """Print every result; how many images were done and how many failed."""
    from lesionlens.bundle.archive import predict_archive
    from lesionlens.bundle.prediction import Failure
    from lesionlens.bundle.results import row_of
    from lesionlens.data.decoded_image import NoteTally

    counts = [0, 0]
    tally = NoteTally()
    for result in predict_archive(predictor, paths, drawn, lambda failure: note(f"lesionlens: {failure.error}")):
        _count_notes(tally, result)
        if not sum(counts) and lines.header():
            put(lines.header())
        counts[isinstance(result, Failure)] += 1
        put(lines.line(row_of(result, predictor.bundle_variant)))
    _print_notes(tally)
    return counts[0], counts[1]


def _count_notes(tally: NoteTally, result: Prediction | Failure) -> None:
    from lesionlens.bundle.prediction import Prediction

    if isinstance(result, Prediction):
        tally.add(result.source, result.notes)


def _print_notes(tally: NoteTally) -> None:
    for line in tally.lines():
        note(line)


def _write_all(predictor: Predictor, paths: Iterable[Path], lines: Lines, drawn: Overlays | None, out: Path) -> tuple[int, int]:
    """Write what is not written yet; how many images are done in all and how many failed."""
    from lesionlens.bundle.archive import predict_archive
    from lesionlens.bundle.prediction import Failure
    from lesionlens.bundle.results import ResultFile, row_of
    from lesionlens.data.decoded_image import NoteTally

    failed = 0
    tally = NoteTally()
    with ResultFile(out, lines, predictor.bundle.id) as file:
        before = len(file.finished)
        if before:
            note(f"going on with {out}: {before} images are finished")
        left = (path for path in paths if str(path) not in file.finished)
        count = 0
        for count, result in enumerate(
            predict_archive(predictor, left, drawn, lambda failure: note(f"lesionlens: {failure.error}")), start=1
        ):
            file.write(row_of(result, predictor.bundle_variant))
            failed += isinstance(result, Failure)
            _count_notes(tally, result)
            if count % NOTE_EVERY == 0:
                note(f"{before + count} images")
    _print_notes(tally)
    note(f"wrote {out}: {before + count - failed} images")
    return before + count - failed, failed
