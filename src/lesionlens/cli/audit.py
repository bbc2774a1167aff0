"""The command `audit`: what is wrong with the images, before anybody trains on them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import REPORTER, emit
from lesionlens.cli.options import IndexArgument, Json, Pairs


def audit(
    index: IndexArgument = Path("index.csv"),
    out: Annotated[Path, typer.Option(help="Audit to write; its contact sheet lies beside it as .jpg.")] = Path("audit.json"),
    split_file: Annotated[Path | None, typer.Option(help="split.json to check for lesions that cross its splits.")] = None,
    pairs: Pairs = None,
    as_json: Json = False,
) -> None:
    """Find unreadable files, duplicates, missing fields and labels that disagree."""
    from lesionlens.core.run import Run
    from lesionlens.pipeline.data_stages import audit as audit_images

    emit(audit_images(Run.at(out.parent, index=index, audit=out), tuple(pairs or ()), split_file, REPORTER), as_json)
