"""The page's files, read once at start; no other file is served."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import NamedTuple

from lesionlens.core.artifact import hash_value

ENGLISH = b'<html lang="en">'
CATALOGUE = re.compile(r"language\.(\w+)\.json")
FOLDER = Path(__file__).with_name("page")
WORKER = "service_worker.js"
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
    """The files of the page by name; the service worker knows the others and their hashes.

    Args:
        folder: of the page.
        language: that the page has where a person has chosen none; empty: the browser's.
    """
    paths = [path for path in sorted(folder.glob("*")) if path.suffix in TYPES and path.is_file()]
    data = {path.name: path.read_bytes() for path in paths}
    if language:
        data["index.html"] = data["index.html"].replace(ENGLISH, ENGLISH[:-1] + f' data-language="{language}">'.encode())
    data[WORKER] = _worker(data.pop(WORKER), {name: integrity(each) for name, each in data.items()})
    return {name: PageFile(each, TYPES[Path(name).suffix], f'"{hash_value(each.hex())[:16]}"') for name, each in data.items()}


def integrity(data: bytes) -> str:
    """The hash of a file as browsers check it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(data).digest()).decode()}"


def _worker(source: bytes, files: dict[str, str]) -> bytes:
    """The service worker of these files: equal versions are equal pages."""
    shell = {"version": hash_value({"files": files, "worker": source.decode()})[:16], "files": files}
    return f"const SHELL = {json.dumps(shell)};\n".encode() + source
