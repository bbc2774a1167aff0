"""What makes the site installable: every file with its hash, a service worker that holds them, the policy of the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lesionlens.core.artifact import hash_value
from lesionlens.serving.page_files import integrity

WORKER = "sw.js"
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'"
)
# A page that is isolated from others may use threads (SharedArrayBuffer).
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def file_facts(folder: Path, leave_out: tuple[str, ...] = ()) -> dict[str, dict[str, Any]]:
    """`integrity` (as browsers check it) and `size_bytes` of every file of a folder, by path relative to it."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    return {name: _facts(path.read_bytes()) for name, path in names.items() if name not in leave_out}


def write_worker(folder: Path, source: str, files: dict[str, dict[str, Any]], optional: tuple[str, ...]) -> str:
    """Write the service worker of a finished site.

    Args:
        folder: root of the site.
        source: code of the worker; it reads the constant `SITE`.
        files: as from `file_facts`: what the worker may respond with.
        optional: files that are stored only when a page first uses them.

    Returns:
        The site's version: a hash of every file's content and of the worker. Equal versions are equal sites.
    """
    version = hash_value({"files": files, "worker": source, "headers": HEADERS, "optional": optional})[:16]
    hashes = {name: facts["integrity"] for name, facts in files.items()}
    site = {"version": version, "headers": HEADERS, "optional": list(optional), "files": hashes}
    (folder / WORKER).write_text(f"const SITE = {json.dumps(site)};\n{source}", encoding="utf-8")
    return version


def _facts(data: bytes) -> dict[str, Any]:
    return {"integrity": integrity(data), "size_bytes": len(data)}
