"""The user's cache: what can be made again at any time, and belongs to this machine alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path

VARIABLE = "LESIONLENS_CACHE"
OFF = "off"


def cache_folder() -> Path | None:
    """Folder of everything that is remembered about this machine; it may not exist yet. None: nothing is remembered.

    `LESIONLENS_CACHE` names another folder, or switches the cache `off`. Otherwise it is where the system keeps caches:
    `$XDG_CACHE_HOME/lesionlens` or `~/.cache/lesionlens`, `~/Library/Caches/lesionlens` on macOS,
    `%LOCALAPPDATA%\\lesionlens\\Cache` on Windows. A user without a home folder has no cache.

    Example:
        >>> os.environ["LESIONLENS_CACHE"] = "off"
        >>> cache_folder() is None
        True
    """
    named = os.environ.get(VARIABLE, "").strip()
    if named.lower() == OFF:
        return None
    try:
        return Path(named).expanduser() if named else _of_system()
    except RuntimeError:  # no home folder
        return None


def _of_system() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "lesionlens" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "lesionlens"
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification: a relative path is invalid and to be ignored.
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "lesionlens"
