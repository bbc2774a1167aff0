"""The command `trim`: a bundle for a small download."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import emit_text
from lesionlens.cli.options import Json


def trim(
    bundle: Annotated[Path, typer.Argument(help="Bundle that `lesionlens export` wrote.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Bundle to write.", show_default=False)],
    variant: Annotated[list[str] | None, typer.Option(help="Variant to keep; the default one if not given. Repeatable.")] = None,
    as_json: Json = False,
) -> None:
    """Copy a bundle with only some of its variants and without the checkpoint, for a small download."""
    from lesionlens.bundle.bundle import read_bundle
    from lesionlens.bundle.variants import keep_variants

    trimmed = keep_variants(bundle, variant or [read_bundle(bundle).default_variant], out)
    size_bytes = sum(int(file["size_bytes"]) for file in trimmed.files.values())
    variants = list(trimmed.variants)
    facts = {"bundle": str(trimmed.path), "id": trimmed.id, "variants": variants, "size_bytes": size_bytes}
    emit_text(
        facts,
        as_json,
        f"wrote {trimmed.path}: {trimmed.name} ({trimmed.id[:12]}), {', '.join(variants)}, {size_bytes / 1e6:.1f} MB",
    )
