"""The command `inspect`: what is in a bundle, and whether it works here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import emit_text
from lesionlens.cli.options import Json


def inspect(
    bundle: Annotated[Path, typer.Argument(help="Bundle written by `lesionlens export`.")],
    as_json: Json = False,
) -> None:
    """Describe a bundle, check every file, and run the self-test of every variant that runs here."""
    from lesionlens.bundle.inspection import inspect_bundle
    from lesionlens.core.errors import BundleError

    inspection = inspect_bundle(bundle)
    emit_text(inspection.to_json(), as_json, inspection.text())
    if inspection.failed:
        raise BundleError(f"bundle {bundle} fails its self-test: {', '.join(inspection.failed)}; do not use it here")
