"""Fetch the runtime of `lesionlens site` into the cache, so that the tests in a browser need no network.

    python tools/fetch_browser_runtime.py

Prints where the file lies; one that is there already is only checked.
"""

from __future__ import annotations

import sys

from lesionlens.core.errors import LesionLensError
from lesionlens.site.browser_runtime import fetch_archive


def main() -> None:
    """Fetch and check the npm package."""
    try:
        print(fetch_archive())
    except LesionLensError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
