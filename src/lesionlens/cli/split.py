"""The command `split`: split the images of an index into training, validation and test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lesionlens.cli.console import emit, note

if TYPE_CHECKING:
    from lesionlens.data.index import Index
    from lesionlens.data.split import Split


def split(
    index: Annotated[Path, typer.Argument(help="index.csv, as `lesionlens index` wrote it.")] = Path("index.csv"),
    protocol: Annotated[str, typer.Option(help="lesion, lesion-kfold, paper (leaks) or official.")] = "lesion",
    seed: Annotated[int, typer.Option(help="Seed of the split.")] = 0,
    validation: Annotated[float, typer.Option(help="Share of the validation split.")] = 0.1,
    test: Annotated[float, typer.Option(help="Share of the test split (lesion).")] = 0.2,
    folds: Annotated[int, typer.Option(help="Number of folds (lesion-kfold).")] = 5,
    fold: Annotated[int, typer.Option(help="Which fold is the test split, from 0 (lesion-kfold).")] = 0,
    pairs: Annotated[
        list[Path] | None, typer.Option(help="audit.json or CSV with images of one lesion under two ids; repeatable.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Split to write.")] = Path("split.json"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Split the images of an index, so that images of one lesion stay together."""
    from lesionlens.core.recipe_file import recipe_from
    from lesionlens.data.audit.audit import read_pairs
    from lesionlens.data.audit.corrections import listed_pairs
    from lesionlens.data.index import read_index
    from lesionlens.data.split import make_split, write_split

    settings = {"protocol": protocol, "seed": seed, "validation": validation, "test": test, "folds": folds, "fold": fold}
    recipe = recipe_from({"split": settings}, where="options").split
    known = read_index(index)
    united = list(listed_pairs(known))
    ids = set(known.ids)
    for path in pairs or ():
        found = read_pairs(path)
        here = [pair for pair in found if ids.issuperset(pair)]
        if len(here) < len(found):
            note(
                f"{path}: {len(found) - len(here)} of {len(found)} pairs name images that are not in the index; they do not count"
            )
        united += here
    made = make_split(known, recipe, united)
    write_split(made, out)
    emit(_facts(made, out), as_json, _table(made, known, out))


def _facts(made: Split, out: Path) -> dict[str, object]:
    return {
        "split": str(out),
        "protocol": made.protocol,
        "seed": made.seed,
        "leaks": made.leaks,
        "leak_rate": made.leak_rate,
        "counts": {split_name: len(ids) for split_name, ids in made.ids.items()},
        "pairs": len(made.pairs),
        "hash": made.hash,
    }


def _table(made: Split, index: Index, out: Path) -> str:
    from collections import Counter

    dx_of = {record.image_id: record.dx for record in index.records}
    counts = {split_name: Counter(dx_of[image_id] for image_id in ids) for split_name, ids in made.ids.items()}
    width = max(9, *(len(code) for code in index.labels.codes))
    lines = [f"{'':{width}}" + "".join(f"{split_name:>12}" for split_name in counts)]
    lines += [
        f"{code:{width}}" + "".join(f"{counts[split_name][code]:>12}" for split_name in counts)
        for code in index.labels.codes
        if any(counts[split_name][code] for split_name in counts)
    ]
    lines.append(f"{'images':{width}}" + "".join(f"{len(made.ids[split_name]):>12}" for split_name in counts))
    lines.append(
        f"{'lesions':{width}}" + "".join(f"{made.leak_rate['groups_by_split'][split_name]:>12}" for split_name in counts)
    )
    if made.leak_rate["left_out"]:
        lines.append(f"{made.leak_rate['left_out']} images are in no split")
    return "\n".join([*lines, _leak_line(made), f"{out}: protocol {made.protocol}, seed {made.seed}"])


def _leak_line(made: Split) -> str:
    rates = [
        f"{100 * made.leak_rate[split_name]:.1f} % of {split_name} images"
        for split_name in ("test", "validation")
        if made.leak_rate[split_name] is not None
    ]
    line = f"{' and '.join(rates)} show a lesion that is also in training"
    if not made.leaks:
        return line
    worst = [f"{code} {100 * rate:.1f} %" for code, rate in made.leak_rate["by_class"].items() if rate is not None]
    return f"LEAKING: {line} (test: {', '.join(worst)}); scores on it are too high and are marked so wherever they appear"
