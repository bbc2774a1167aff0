"""The command `predict`: a bundle looks at images."""

from __future__ import annotations

import gc
import sys
import threading
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lesionlens.cli.bundles import INSTALLED, bundle_or_installed
from lesionlens.cli.console import REPORTER, note, put
from lesionlens.cli.options import CLUSTER_PANEL, Address, On, Runtime, RuntimeOption, VariantOption, Where
from lesionlens.cli.patients import Told, patients_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lesionlens.bundle.archive import Drawing
    from lesionlens.bundle.prediction import Failure, Prediction
    from lesionlens.bundle.results import Lines
    from lesionlens.bundle.runtime import Predictor
    from lesionlens.data.decoded_image import NoteTally

NOTE_EVERY = 1000
KEPT: dict[str, Predictor] = {}  # until the process ends: taking a graph apart takes 0.07 s
MANY = 200  # images before which it pays to measure: measuring takes the time of about a hundred


def predict(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[BUNDLE] IMAGES...",
            help=f"A bundle ({INSTALLED}), then files, folders, patterns, or - for a list on standard input.",
        ),
    ],
    out: Annotated[str, typer.Option(help="File of results; goes on with one that was interrupted.", show_default=False)] = "",
    form: Annotated[str, typer.Option("--format", help="jsonl, csv, table, or auto: by --out, else a table.")] = "auto",
    overlays: Annotated[Path | None, typer.Option(help="Folder for heat maps over the images.")] = None,
    overlay_class: Annotated[str, typer.Option(help="Diagnosis to show; the most probable one if not given.")] = "",
    dicom_sr: Annotated[
        Path | None, typer.Option("--dicom-sr", help="Folder for DICOM reports and heat maps of DICOM images.")
    ] = None,
    runtime: RuntimeOption = Runtime.auto,
    variant: VariantOption = "auto",
    tune: Annotated[
        bool, typer.Option("--tune/--no-tune", help=f"Before {MANY} images or more, measure what is fastest here, once.")
    ] = True,
    threads: Annotated[int, typer.Option(help="Threads of computation; 0: as measured, or as the runtime takes.")] = 0,
    batch_size: Annotated[int, typer.Option(help="Images in one pass.")] = 1,
    workers: Annotated[int, typer.Option(help="Threads that read images ahead.")] = 1,
    age: Annotated[str, typer.Option(help="Years, of the patient of all images, if the bundle takes it.")] = "",
    sex: Annotated[str, typer.Option(help="female or male, likewise.")] = "",
    site: Annotated[str, typer.Option(help="Place on the body, likewise.")] = "",
    metadata: Annotated[
        Path | None, typer.Option(help="CSV with columns image, age, sex, site; empty cells are unknown.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines: the same as --format jsonl.")] = False,
    on: Where = On.here,
    address: Address = "",
    shard_size: Annotated[int, typer.Option(help="Images in one file of results.", rich_help_panel=CLUSTER_PANEL)] = 1000,
    processes: Annotated[
        int, typer.Option(help="Number of processes; 0 takes as many as there are CPUs.", rich_help_panel=CLUSTER_PANEL)
    ] = 0,
) -> None:
    """Predict images: probabilities, malignant share, heat maps. Broken images are named and give exit code 3.

    With --on ray the images are spread over a cluster: --out is a folder of Parquet files, and images, tars and the folder may
    be URLs such as s3://bucket/folder.
    """
    from lesionlens.bundle.installed import split_arguments
    from lesionlens.core.errors import DataError

    named, images = split_arguments(arguments)
    if not images:
        raise DataError(f"no image is named after the bundle {named}; give files, folders, patterns, or -")
    settings: dict[str, Any] = {"runtime": runtime, "variant": variant, "threads": threads}
    settings |= {"batch_size": batch_size, "workers": workers}
    told = {"age": age, "sex": sex, "site": site}
    if on is On.ray:
        _check_ray(out, form, overlays or dicom_sr, as_json, any(told.values()) or metadata is not None)
        bundle = bundle_or_installed(named, f"{images[0]} is not a bundle")
        _score(bundle, images, out, {**settings, "threads": max(1, threads)}, (shard_size, processes), address)
    else:
        path = Path(out) if out else None
        form = _format("jsonl" if as_json else form, path)
        bundle = bundle_or_installed(named, f"{images[0]} is not a bundle")
        _predict(bundle, images, settings, (path, form), (overlays, overlay_class, dicom_sr), (told, metadata), tune)


def _predict(
    bundle: Path,
    images: list[str],
    settings: dict[str, Any],
    output: tuple[Path | None, str],
    drawing: tuple[Path | None, str, Path | None],
    told: tuple[dict[str, str], Path | None],
    tune: bool,
) -> None:
    """Predict images in this process; `output` is a file and a format, `drawing` what to write beside
    each result, `told` what the options and a table say of patients."""
    from lesionlens.bundle.results import LINES
    from lesionlens.bundle.runtime import Predictor
    from lesionlens.bundle.sources import image_paths
    from lesionlens.core.errors import DataError
    from lesionlens.data.files import LeftOut

    out, form = output
    left_out = LeftOut()
    paths: Iterable[Path] = image_paths(images, sys.stdin, left_out)
    if tune and "-" not in images:  # names from a pipe may come slowly, and their results are waited for
        first, paths = _first(paths, MANY)
        if len(first) == MANY:
            from lesionlens.bundle.tuning import tune_if_new

            tune_if_new(bundle, settings["runtime"], settings["variant"], note)
    threading.Thread(target=_import_the_rest, daemon=True).start()
    predictor = KEPT["predictor"] = Predictor(bundle, **settings, selftest="once")
    gc.enable()  # `program` has disabled it; the errors of broken images hold their pixels
    for text in predictor.notes:
        note(text)
    drawn = _drawings(predictor, *drawing)
    lines = LINES[form](predictor.bundle.labels, predictor.metadata.fields if predictor.metadata else ())
    patients = patients_of(predictor, *told)
    if out is None:
        done, failed = _print_all(predictor, paths, lines, drawn, patients)
    else:
        done, failed = _write_all(predictor, paths, lines, drawn, patients, out)
    for line in (*left_out.lines(), *patients.lines()):
        note(line)
    if not done + failed:
        raise DataError(f"no image in {', '.join(images)}; give files, or folders that hold some")
    if failed:
        raise DataError(f"{failed} of {done + failed} images could not be used and are named above; the rest is done")


def _import_the_rest() -> None:
    """Import what the first image needs, while the runtime loads the graph and leaves Python alone: it saves 0.1 s."""
    from PIL import Image

    import lesionlens.bundle.archive  # noqa: F401

    Image.preinit()


def _drawings(predictor: Predictor, overlays: Path | None, overlay_class: str, dicom_sr: Path | None) -> Drawing | None:
    """What is written beside each result; checked, so that nothing fails after the first image that could have before."""
    from lesionlens.bundle.archive import Drawings, Overlays

    each: list[Drawing] = []
    if overlays is not None:
        heat_maps = Overlays(overlays, overlay_class)
        heat_maps.check(predictor.bundle)
        each.append(heat_maps)
    if dicom_sr is not None:
        from lesionlens.interop.result_files import ResultFiles

        files = ResultFiles(dicom_sr)
        files.check()
        each.append(files)
    return Drawings(tuple(each)) if each else None


def _check_ray(out: str, form: str, overlays: Path | None, as_json: bool, told: bool) -> None:
    """Refuse what a cluster does not do.

    Raises:
        RecipeError: naming the option.
    """
    from lesionlens.core.errors import RecipeError

    if not out:
        raise RecipeError("--on ray writes a folder of Parquet files; name it with --out, a path that every node sees or a URL")
    if as_json or form != "auto":
        raise RecipeError("--on ray writes Parquet only; leave out --format and --json, or leave out --on ray")
    if overlays is not None:
        raise RecipeError("--on ray draws no heat maps; leave out --overlays and --dicom-sr, or leave out --on ray")
    if told:
        raise RecipeError("--on ray takes no metadata; leave out --age, --sex, --site and --metadata, or leave out --on ray")


def _score(bundle: Path, images: list[str], out: str, settings: dict[str, Any], cut: tuple[int, int], address: str) -> None:
    """Score images on a cluster; `cut` is the size of a shard and the number of processes."""
    from lesionlens.cluster.archive import Scoring, score_archive
    from lesionlens.cluster.workers import Settings
    from lesionlens.core.errors import DataError

    gc.enable()  # `program` has disabled it
    summary = score_archive(bundle, images, out, Scoring(Settings(**settings), *cut), address, sys.stdin, REPORTER)
    for line in (*summary["notes_in_this_call"], *summary["left_out"]):
        note(line)
    lost, failed, n_images = summary["shards_lost"], summary["images_failed"], summary["images"]
    note(f"wrote {out}: {n_images - failed:,} images in {summary['shards_done']:,} of {summary['shards']:,} shards")
    if lost:
        first, reason = next(iter(lost.items()))
        raise DataError(f"{len(lost)} shards are not done, the first begins with {first}: {reason}; run the same command again")
    if failed:
        raise DataError(f"{failed} of {n_images} images could not be used; the column `error` says why, and the rest is done")


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


def _print_all(
    predictor: Predictor, paths: Iterable[Path], lines: Lines, drawn: Drawing | None, patients: Told
) -> tuple[int, int]:
    """Print every result; how many images were done and how many failed."""
    from lesionlens.bundle.archive import predict_archive
    from lesionlens.bundle.prediction import Failure
    from lesionlens.bundle.results import row_of
    from lesionlens.data.decoded_image import NoteTally

    counts = [0, 0]
    tally = NoteTally()
    for result in predict_archive(predictor, paths, drawn, _report, patients.of):
        patients.count(result)
        _count_notes(tally, result)
        if not sum(counts) and lines.header():
            put(lines.header())
        counts[isinstance(result, Failure)] += 1
        put(lines.line(row_of(result, predictor.bundle_variant)))
    _print_notes(tally)
    return counts[0], counts[1]


def _report(failure: Failure) -> None:
    note(f"lesionlens: {failure.error}")


def _count_notes(tally: NoteTally, result: Prediction | Failure) -> None:
    from lesionlens.bundle.prediction import Prediction

    if isinstance(result, Prediction):
        tally.add(result.source, result.notes)


def _print_notes(tally: NoteTally) -> None:
    for line in tally.lines():
        note(line)


def _write_all(
    predictor: Predictor, paths: Iterable[Path], lines: Lines, drawn: Drawing | None, patients: Told, out: Path
) -> tuple[int, int]:
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
        for count, result in enumerate(predict_archive(predictor, left, drawn, _report, patients.of), start=1):
            patients.count(result)
            file.write(row_of(result, predictor.bundle_variant))
            failed += isinstance(result, Failure)
            _count_notes(tally, result)
            if count % NOTE_EVERY == 0:
                note(f"{before + count} images")
    _print_notes(tally)
    note(f"wrote {out}: {before + count - failed} images")
    return before + count - failed, failed
