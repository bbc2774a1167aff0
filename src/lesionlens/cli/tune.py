"""The command `tune`: find the fastest variant and runtime of a bundle on this machine, and remember it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.bundles import BundleArgument, bundle_or_installed
from lesionlens.cli.console import emit_text, note
from lesionlens.cli.options import Json


def tune(
    bundle: BundleArgument = None,
    seconds: Annotated[float, typer.Option(help="Time for each variant and runtime, seconds.", min=0.01, max=600)] = 1.0,
    as_json: Json = False,
) -> None:
    """Measure which variant and runtime are fastest on this machine, within the allowed loss, and remember it."""
    from lesionlens.bundle.bundle import read_bundle
    from lesionlens.bundle.remembered import tuning_path
    from lesionlens.bundle.tuning import text_of
    from lesionlens.bundle.tuning import tune as tune_bundle
    from lesionlens.core.cache import VARIABLE

    path: Path = bundle_or_installed(bundle)
    tuning = tune_bundle(path, seconds, lambda what: note(f"measuring {what}"))
    place = tuning_path(read_bundle(path))
    if place is None:
        note(f"{VARIABLE} is off, so this is not remembered; name what to run with --variant and --runtime")
    else:
        note(f"remembered in {place}")
    emit_text(tuning.to_json(), as_json, text_of(tuning))
