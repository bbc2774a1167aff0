"""The page's files, read once at start; no other file is served."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from lesionlens.core.artifact import hash_value

FOLDER = Path(__file__).with_name("page")
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
    ".json": "application/json",
}


class PageFile(NamedTuple):
    """One file of the page, its media type, and a tag that changes with its content."""

    data: bytes
    media_type: str
    tag: str


def page_files(folder: Path = FOLDER) -> dict[str, PageFile]:
    """The files of the page by name."""
    files = {}
    for path in sorted(folder.glob("*")):
        if path.suffix in TYPES and path.is_file():
            data = path.read_bytes()
            files[path.name] = PageFile(data, TYPES[path.suffix], f'"{hash_value(data.hex())[:16]}"')
    return files
