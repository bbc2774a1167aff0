"""The command `inspect`: what is in a bundle, and does it work here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import emit_text


def inspect(
    bundle: Annotated[Path, typer.Argument(help="Bundle that `lesionlens export` wrote.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what is in a bundle, check every file, and run the whole self-test of every variant that runs here."""
    from lesionlens.bundle.inspection import inspect_bundle
    from lesionlens.core.errors import BundleError

    found = inspect_bundle(bundle)
    emit_text(found.to_json(), as_json, found.text())
    if found.failed:
        raise BundleError(f"bundle {bundle} fails its self-test: {', '.join(found.failed)}; do not use it here")
