"""The stages that prepare images, without torch: index, audit, split, pack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lesionlens.core.progress import SILENT, Reporter
from lesionlens.core.recipe import Recipe, SplitRecipe
from lesionlens.core.run import Run
from lesionlens.data.audit.audit import audit_index, read_pairs, write_audit
from lesionlens.data.audit.broken import find_broken, without_broken
from lesionlens.data.audit.corrections import listed_pairs
from lesionlens.data.decoded_image import NoteTally, note_line
from lesionlens.data.image import frame_spec
from lesionlens.data.index import Index, read_index, write_index
from lesionlens.data.sources.source import read_source
from lesionlens.data.split import Pair, Split, make_split, read_split, write_split
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
    images = read_source(root, source.layout, "drop" if source.allow_missing else "error", source.malignant, **source.columns)
    if source.skip_broken:
        with reporter.bar("Checking images", len(images)) as advance:
            tally = NoteTally()
            images = without_broken(images, find_broken(images, progress=advance, tally=tally))
            images = replace(images, notes=(*images.notes, *tally.lines()))
    write_index(images, run.index)
    for text in images.notes:
        reporter.note(text)
    summary = images.summary()
    line = f"{summary['images']} images of {summary['lesions']} lesions, {summary['masks']} masks ({images.source})"
    counts = ", ".join(f"{code} {count}" for code, count in summary["by_dx"].items())
    text = f"{summary['images']} images of {summary['lesions']} lesions ({images.source}); {counts}; {summary['masks']} masks"
    return StageResult(line, f"{run.index}: {text}", {"index": str(run.index), **summary})


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


def split(run: Run, recipe: SplitRecipe, pairs: Sequence[Path] = (), reporter: Reporter = SILENT) -> StageResult:
    """Split the images into train, validation and test; images of one lesion stay together.

    Args:
        run: its index is split.
        recipe: protocol, shares and seed.
        pairs: audit.json or CSV files with images of one lesion under two ids.
        reporter: told of pairs that do not count.
    """
    images = read_index(run.index)
    together = [*listed_pairs(images), *(pair for path in pairs for pair in _pairs_in_index(path, images, reporter))]
    made = make_split(images, recipe, together)
    write_split(made, run.split)
    content = {
        "split": str(run.split),
        "protocol": made.protocol,
        "seed": made.seed,
        "leaks": made.leaks,
        "leak_rate": made.leak_rate,
        "counts": {name: len(ids) for name, ids in made.ids.items()},
        "pairs": len(made.pairs),
        "hash": made.hash,
    }
    counts = ", ".join(f"{name} {len(ids)}" for name, ids in made.ids.items())
    return StageResult(f"{made.protocol}: {counts}; {leak_line(made)}", split_table(made, images, run.split), content)


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
    lines.append(row("lesions", [made.leak_rate["groups_by_split"][name] for name in counts]))
    if made.leak_rate["left_out"]:
        lines.append(f"{made.leak_rate['left_out']} images are in no split")
    return "\n".join([*lines, leak_line(made), f"{path}: protocol {made.protocol}, seed {made.seed}"])


def leak_line(made: Split) -> str:
    """Which images show a lesion that is also in training, in one line."""
    rates = [
        f"{100 * made.leak_rate[name]:.1f} % of {name} images"
        for name in ("test", "validation")
        if made.leak_rate[name] is not None
    ]
    line = f"{' and '.join(rates)} show a lesion that is also in training"
    if not made.leaks:
        return line
    worst = [f"{code} {100 * rate:.1f} %" for code, rate in made.leak_rate["by_class"].items() if rate is not None]
    return f"LEAKING: {line} (test: {', '.join(worst)}); scores on it are too high and are marked so wherever they appear"


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
