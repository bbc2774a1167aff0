"""The command `inspect`: what is in a bundle, and whether it works here."""

from __future__ import annotations

from lesionlens.cli.bundles import BundleArgument, bundle_or_installed
from lesionlens.cli.console import emit_text
from lesionlens.cli.options import Json


def inspect(
    bundle: BundleArgument = None,
    as_json: Json = False,
) -> None:
    """Describe a bundle, check every file, and run the self-test of every variant that runs here."""
    from lesionlens.bundle.inspection import inspect_bundle
    from lesionlens.core.errors import BundleError

    bundle = bundle_or_installed(bundle)
    inspection = inspect_bundle(bundle)
    emit_text(inspection.to_json(), as_json, inspection.text())
    if inspection.failed:
        raise BundleError(f"bundle {bundle} fails its self-test: {', '.join(inspection.failed)}; do not use it here")
