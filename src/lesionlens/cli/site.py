"""The command `site`: a bundle as a static site that predicts in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import emit, note
from lesionlens.cli.options import Json


def site(
    bundle: Annotated[Path, typer.Argument(help="Bundle that `lesionlens export` wrote.")],
    out: Annotated[Path, typer.Option(help="Folder to write; a former site there is replaced.")] = Path("site"),
    variant: Annotated[str, typer.Option(help="Variant of the bundle; auto is fp32.")] = "auto",
    runtime_archive: Annotated[
        Path | None, typer.Option(help="npm package onnxruntime-web, for a machine without a connection.")
    ] = None,
    webgpu: Annotated[
        bool, typer.Option("--webgpu/--no-webgpu", help="Copy the runtime for graphics processors as well.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Write a static site that predicts in the browser: no server, and no image leaves the device."""
    from lesionlens.site.browser_runtime import ARCHIVE, SIZE_BYTES, cached_archive
    from lesionlens.site.build import SiteSettings, build_site

    if runtime_archive is None and not cached_archive().is_file():
        note(f"fetching {ARCHIVE} ({SIZE_BYTES / 1e6:.0f} MB) from npm, once, into {cached_archive().parent}")
    emit(build_site(SiteSettings(bundle, out, variant, runtime_archive, webgpu)), as_json)
