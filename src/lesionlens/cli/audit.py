"""The command `audit`: what is wrong with the images, before anybody trains on them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import emit, note, progress_bar


def audit(
    index: Annotated[Path, typer.Argument(help="index.csv, as `lesionlens index` wrote it.")] = Path("index.csv"),
    out: Annotated[Path, typer.Option(help="Audit to write; its contact sheet lies beside it as .jpg.")] = Path("audit.json"),
    split: Annotated[Path | None, typer.Option(help="split.json whose splits to check for lesions that cross them.")] = None,
    pairs: Annotated[list[Path] | None, typer.Option(help="CSV with known pairs to compare with; repeatable.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Find unreadable files, duplicates, missing fields and labels that disagree."""
    from lesionlens.data.audit.audit import audit_index, read_pairs, write_audit
    from lesionlens.data.audit.corrections import listed_pairs
    from lesionlens.data.index import read_index
    from lesionlens.data.split import read_split

    known = read_index(index)
    splits = read_split(split) if split else None
    listed = [*listed_pairs(known), *(pair for path in pairs or () for pair in read_pairs(path))]
    with progress_bar("Auditing", len(known)) as advance:
        found = audit_index(known, listed, splits, advance)
    write_audit(found, known, out)
    for problem in found.unreadable:
        note(f"unreadable: {problem['reason']}")
    facts = {
        "audit": str(out),
        "images": found.n_images,
        "lesions": found.n_lesions,
        "unreadable": len(found.unreadable),
        "pairs": len(found.pairs),
        "certain": sum(pair.certain for pair in found.pairs),
        "exact": sum(pair.kind == "exact" for pair in found.pairs),
        "known": found.known,
        "missing": found.missing,
        "disagreeing": len(found.disagreeing),
        "crossing": len(found.crossing),
    }
    emit(facts, as_json, f"{found.summary()}\n{out}, {out.with_suffix('.jpg')}")
