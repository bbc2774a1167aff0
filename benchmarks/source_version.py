"""The commit that a benchmark measures."""

from __future__ import annotations

import subprocess


def commit(*options: str) -> str:
    """Short hash of the checked-out commit; `options` go to `git describe --always`."""
    command = ["git", "describe", "--always", *(options or ("--exclude=*",))]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
