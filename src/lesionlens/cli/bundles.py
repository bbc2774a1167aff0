"""Which bundle a command uses: the named one, or the installed model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import note

INSTALLED = "the installed model if not given"
BundleArgument = Annotated[
    Path | None, typer.Argument(help=f"Bundle that `lesionlens export` wrote; {INSTALLED}.", show_default=False)
]


def bundle_or_installed(bundle: Path | None, why: str = "no bundle is named") -> Path:
    """The named bundle, or the installed model, with a line on which that is.

    Raises:
        BundleError: if none is named and none is installed.
    """
    from lesionlens.bundle.installed import installed_bundle, introduction

    if bundle is not None:
        return bundle
    path = installed_bundle(why)
    note(introduction(path))
    return path
