"""The page's files, read once at start; no other file is served."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from lesionlens.core.artifact import hash_value

ENGLISH = b'<html lang="en">'
CATALOGUE = re.compile(r"language\.(\w+)\.json")
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


def languages(folder: Path = FOLDER) -> tuple[str, ...]:
    """Tags of the languages that the page has a catalogue of."""
    return tuple(sorted(match[1] for path in folder.iterdir() if (match := CATALOGUE.fullmatch(path.name))))


def page_files(folder: Path = FOLDER, language: str = "") -> dict[str, PageFile]:
    """The files of the page by name.

    Args:
        folder: of the page.
        language: that the page has where a person has chosen none; empty: the browser's.
    """
    files = {}
    for path in sorted(folder.glob("*")):
        if path.suffix in TYPES and path.is_file():
            data = path.read_bytes()
            if language and path.name == "index.html":
                data = data.replace(ENGLISH, ENGLISH[:-1] + f' data-language="{language}">'.encode())
            files[path.name] = PageFile(data, TYPES[path.suffix], f'"{hash_value(data.hex())[:16]}"')
    return files
