"""The stages that prepare images, without torch: index, audit, split, pack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lesionlens.core.progress import SILENT, Reporter
from lesionlens.core.recipe import Recipe, SplitRecipe
from lesionlens.core.run import Run
from lesionlens.data.audit.audit import audit_index, read_pairs, write_audit
from lesionlens.data.audit.broken import find_broken, without_broken
from lesionlens.data.audit.corrections import listed_pairs, united_pairs
from lesionlens.data.decoded_image import NoteTally, note_line
from lesionlens.data.groups import Pair, pairs_in
from lesionlens.data.image import frame_spec
from lesionlens.data.index import Index, read_index, write_index
from lesionlens.data.leaks import has_unknown, leak_sentences, leaking_images
from lesionlens.data.sources.source import read_source
from lesionlens.data.sources.table import Columns
from lesionlens.data.split import Split, make_split, read_split, write_split
from lesionlens.data.store import pack as pack_images
from lesionlens.pipeline.job import ImageSource, StageResult
from lesionlens.synthetic.dataset import write_synthetic

SYNTHETIC_IMAGES = 1200


def index(run: Run, source: ImageSource, seed: int = 0, reporter: Reporter = SILENT) -> StageResult:
    """List the images; draw the embedded data set first if there are none.

    Raises:
        DataError: if the source cannot be read.
    """
    root = source.root
    if root is None:
        root = run.images
        with reporter.bar("Drawing", SYNTHETIC_IMAGES) as advance:
            write_synthetic(root, n_images=SYNTHETIC_IMAGES, seed=seed, progress=advance)
    rules = replace(source.rules, unpack_to=source.rules.unpack_to or run.images)
    images = read_source(root, source.layout, rules, Columns(**source.columns))
    if source.skip_broken:
        with reporter.bar("Checking images", len(images)) as advance:
            tally = NoteTally()
            images = without_broken(images, find_broken(images, progress=advance, tally=tally))
            images = replace(images, notes=(*images.notes, *tally.lines()))
    write_index(images, run.index)
    for text in images.notes:
        reporter.note(text)
    summary = images.summary()
    of = lesions_text(summary)
    line = f"{summary['images']} images of {of}, {summary['masks']} masks ({images.source})"
    counts = ", ".join(f"{code} {count}" for code, count in summary["by_dx"].items())
    malignant = ", ".join(summary["malignant"]) or "none"
    text = f"{summary['images']} images of {of} ({images.source}); {counts}; malignant: {malignant}; {summary['masks']} masks"
    return StageResult(line, f"{run.index}: {text}", {"index": str(run.index), **summary})


def lesions_text(summary: Mapping[str, Any]) -> str:
    """How many lesions and patients an index has, as far as the images have ids.

    >>> lesions_text({"images": 9, "lesions": 9, "without_lesion_id": 9, "patients": 4, "without_patient_id": 1})
    'unknown lesions, of 4 patients (1 image without patient id)'
    """
    unknown, without = summary["without_lesion_id"], summary["without_patient_id"]
    lesions = f"{summary['lesions'] - unknown} lesions" if unknown < summary["images"] else "unknown lesions"
    rest = f" ({plural(unknown, 'image')} without lesion id)" if 0 < unknown < summary["images"] else ""
    missing = f" ({plural(without, 'image')} without patient id)" if without else ""
    patients = f", of {plural(summary['patients'], 'patient')}{missing}" if summary["patients"] else ""
    return f"{lesions}{rest}{patients}"


def plural(count: int, noun: str) -> str:
    """A count and its noun.

    >>> plural(1, "image"), plural(2, "image")
    ('1 image', '2 images')
    """
    return f"{count} {noun}" + ("" if count == 1 else "s")


def audit(run: Run, pairs: Sequence[Path] = (), split: Path | None = None, reporter: Reporter = SILENT) -> StageResult:
    """Find unusable files, duplicates, missing fields and labels that disagree.

    Args:
        run: its index is audited.
        pairs: CSV files with known pairs of images to compare with.
        split: a split.json to check for lesions that cross its splits.
        reporter: told of progress.
    """
    images = read_index(run.index)
    known = [*listed_pairs(images), *(pair for path in pairs for pair in read_pairs(path))]
    with reporter.bar("Auditing", len(images)) as advance:
        report = audit_index(images, known, read_split(split) if split else None, advance)
    write_audit(report, images, run.audit)
    for problem in report.unreadable:
        reporter.note(f"unreadable: {problem['reason']}")
    content = {
        "audit": str(run.audit),
        "images": report.n_images,
        "lesions": report.n_lesions,
        "unreadable": len(report.unreadable),
        "pairs": len(report.pairs),
        "certain": sum(pair.certain for pair in report.pairs),
        "exact": sum(pair.kind == "exact" for pair in report.pairs),
        "known": report.known,
        "missing": report.missing,
        "disagreeing": len(report.disagreeing),
        "crossing": len(report.crossing),
    }
    return StageResult(report.summary(), f"{report.summary()}\n{run.audit}, {run.audit.with_suffix('.jpg')}", content)


def split(
    run: Run, recipe: SplitRecipe, pairs: Sequence[Path] = (), reporter: Reporter = SILENT, unite_all: bool = False
) -> StageResult:
    """Split the images into train, validation and test; images of one lesion or patient stay together.

    Args:
        run: its index is split.
        recipe: protocol, shares and seed.
        pairs: audit.json or CSV files with images of one lesion under two ids.
        reporter: told of pairs that do not count.
        unite_all: unite every pair that an audit is certain of, even where the groups of a data set are fixed.
    """
    images = read_index(run.index)
    together, apart = _pairs(images, pairs, unite_all, reporter)
    made = make_split(images, recipe, together)
    if apart:
        made = replace(made, notes=(*made.notes, _apart_note(images, made, apart)))
    write_split(made, run.split)
    for text in made.notes:
        reporter.note(text)
    content = {
        "split": str(run.split),
        "protocol": made.protocol,
        "seed": made.seed,
        "leaks": made.leaks,
        "leak_rate": made.leak_rate,
        "counts": {name: len(ids) for name, ids in made.ids.items()},
        "pairs": len(made.pairs),
        "pairs_apart": len(apart),
        "notes": list(made.notes),
        "hash": made.hash,
    }
    counts = ", ".join(f"{name} {len(ids)}" for name, ids in made.ids.items())
    return StageResult(f"{made.protocol}: {counts}; {leak_line(made)}", split_table(made, images, run.split), content)


def _pairs(
    images: Index, paths: Sequence[Path], unite_all: bool, reporter: Reporter
) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """Pairs that a split unites, and pairs that an audit is certain of and that stay apart."""
    audits = [path for path in paths if path.suffix.lower() == ".json"]
    listed = [pair for path in paths if path not in audits for pair in _pairs_in_index(path, images, reporter)]
    if not audits:
        return pairs_in(images, (*listed_pairs(images), *listed)), ()
    certain = [pair for path in audits for pair in _pairs_in_index(path, images, reporter)]
    together, apart = united_pairs(images, certain, unite_all)
    together = pairs_in(images, (*together, *listed))
    return together, tuple(pair for pair in apart if pair not in together)


def _apart_note(images: Index, made: Split, apart: Sequence[Pair]) -> str:
    leaking = plural(len(leaking_images(made.ids, apart)), "test image")
    return (
        f"{plural(len(apart), 'pair')} that the audit is certain of stay apart, because the groups of {images.source} are "
        f"fixed so that its splits can be compared; through them {leaking} show a lesion that is also in training. Unite "
        "them with: lesionlens split --unite-all --pairs audit.json"
    )


def _pairs_in_index(path: Path, images: Index, reporter: Reporter) -> list[Pair]:
    pairs, ids = read_pairs(path), set(images.ids)
    known = [pair for pair in pairs if ids.issuperset(pair)]
    if len(known) < len(pairs):
        ignored = len(pairs) - len(known)
        reporter.note(f"{path}: {ignored} of {len(pairs)} pairs name images that are not in the index; they do not count")
    return known


def split_table(made: Split, images: Index, path: Path) -> str:
    """Counts by diagnosis and split, and the leak rate, for people."""
    dx_of = {record.image_id: record.dx for record in images.records}
    counts = {name: Counter(dx_of[image_id] for image_id in ids) for name, ids in made.ids.items()}
    width = max(9, *(len(code) for code in images.labels.codes))

    def row(label: str, values: Sequence[object]) -> str:
        return f"{label:{width}}" + "".join(f"{value:>12}" for value in values)

    present = [code for code in images.labels.codes if any(counter[code] for counter in counts.values())]
    lines = [row("", list(counts)), *(row(code, [counter[code] for counter in counts.values()]) for code in present)]
    lines.append(row("images", [len(ids) for ids in made.ids.values()]))
    kind = "groups" if has_unknown(images) else "lesions"
    lines.append(row(kind, [made.leak_rate["groups_by_split"][name] for name in counts]))
    if made.leak_rate["left_out"]:
        lines.append(f"{made.leak_rate['left_out']} images are in no split")
    return "\n".join([*lines, leak_line(made), f"{path}: protocol {made.protocol}, seed {made.seed}"])


def leak_line(made: Split) -> str:
    """Which images show a lesion, or are of a patient, that is also in training, in one line."""
    line = "; ".join(leak_sentences(made.leak_rate, {name: len(ids) for name, ids in made.ids.items()}))
    if not made.leaks:
        return line
    worst = [f"{code} {100 * rate:.1f} %" for code, rate in made.leak_rate["by_class"].items() if rate is not None]
    classes = f" (test: {', '.join(worst)})" if worst else ""
    return f"LEAKING: {line}{classes}; scores on it are too high and are marked so wherever they appear"


def pack(run: Run, recipe: Recipe, workers: int = 0, skip_broken: bool = False, reporter: Reporter = SILENT) -> StageResult:
    """Decode and scale all images of the index into one memory-mapped file.

    Args:
        run: its index is read, its store written.
        recipe: [input] says how pixels are prepared.
        workers: threads that decode; 0 means one for each core.
        skip_broken: leave unusable images out of the store and name them.
        reporter: told of progress and of what was left out.
    """
    images = read_index(run.index)
    with reporter.bar("Packing", len(images)) as advance:
        store = pack_images(images, frame_spec(recipe.input), run.store, None, workers, advance, skip_broken)
    for reason in store.dropped.values():
        reporter.note(f"left out: {reason}")
    for text, ids in store.notes.items():
        reporter.note(note_line(text, len(ids), ids))
    side, size_bytes = store.images.shape[1], store.images.nbytes
    content = {
        "store": str(run.store),
        "images": len(store),
        "dropped": len(store.dropped),
        "notes": {text: len(ids) for text, ids in store.notes.items()},
        "frame": side,
        "size_bytes": size_bytes,
        "hash": store.hash,
    }
    line = f"{len(store)} images of {side}x{side} pixels, {size_bytes / 1e6:.0f} MB"
    return StageResult(line, f"{run.store}: {line}", content)
