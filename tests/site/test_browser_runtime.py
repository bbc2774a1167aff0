"""The npm package: fetched once, checked by its hash, a few files copied with the licence."""

from __future__ import annotations

import base64
import functools
import hashlib
import http.server
import io
import tarfile
import threading
from pathlib import Path

import pytest

from lesionlens.core.errors import DownloadError
from lesionlens.data.sources.fetch import Patience
from lesionlens.site import browser_runtime
from lesionlens.site.browser_runtime import ARCHIVE, BUILDS, INTEGRITY, check_archive, copy_runtime, fetch_archive


def package(names: list[str]) -> bytes:
    """A small archive in the layout of npm's."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in names:
            info = tarfile.TarInfo(f"package/dist/{name}")
            info.size = len(name)
            archive.addfile(info, io.BytesIO(name.encode()))
    return buffer.getvalue()


ALL = [file for build in BUILDS.values() for file in vars(build).values()]


@pytest.fixture
def small_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An archive of small files that counts as the pinned one, in the place where a registry has it."""
    data = package([*ALL, "ort.all.js"])
    monkeypatch.setattr(browser_runtime, "INTEGRITY", "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode())
    monkeypatch.setattr(browser_runtime, "SIZE_BYTES", len(data))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "registry" / "onnxruntime-web" / "-" / ARCHIVE
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    return path


def test_the_pin_is_a_hash_of_sha512():
    name, _, digest = INTEGRITY.partition("-")
    assert name == "sha512"
    assert len(base64.b64decode(digest)) == 64


def test_only_the_files_of_the_builds_are_copied(small_package: Path, tmp_path: Path):
    site = tmp_path / "site"
    site.mkdir()
    copy_runtime(small_package, ("wasm",), site)
    names = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert names == {
        "onnxruntime/LICENCE.txt",
        "onnxruntime/ort.wasm.min.js",
        "onnxruntime/ort-wasm-simd-threaded.js",
        "onnxruntime/ort-wasm-simd-threaded.wasm",
    }
    assert (site / "onnxruntime" / "ort.wasm.min.js").read_text() == "ort.wasm.min.mjs"
    assert "MIT License" in (site / "onnxruntime" / "LICENCE.txt").read_text()


def test_another_file_is_refused_before_anything_is_copied(tmp_path: Path):
    path = tmp_path / ARCHIVE
    path.write_bytes(package(ALL))
    site = tmp_path / "site"
    site.mkdir()
    with pytest.raises(DownloadError, match=r"is not onnxruntime-web .*npm pack onnxruntime-web@"):
        copy_runtime(path, ("wasm",), site)
    assert not any(site.iterdir())


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(DownloadError, match=r"absent\.tgz cannot be read"):
        check_archive(tmp_path / "absent.tgz")


def test_a_package_without_the_files_is_refused(small_package: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    data = package(["ort.all.js"])
    small_package.write_bytes(data)
    monkeypatch.setattr(browser_runtime, "INTEGRITY", "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode())
    with pytest.raises(DownloadError, match=r"holds no package/dist/ort\.wasm\.min\.mjs"):
        copy_runtime(small_package, ("wasm",), tmp_path)


def test_it_is_fetched_once_and_then_taken_from_the_cache(small_package: Path):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(small_package.parents[2])))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    registry = f"http://127.0.0.1:{server.server_address[1]}"
    first = fetch_archive(registry=registry)
    server.shutdown()
    server.server_close()
    thread.join()
    assert fetch_archive(registry=registry) == first  # nobody answers any more
    assert first.read_bytes() == small_package.read_bytes()


def test_without_a_connection_the_error_says_what_to_do(small_package: Path):
    with pytest.raises(DownloadError, match=r"npm pack onnxruntime-web@.*--runtime-archive"):
        fetch_archive(registry="http://127.0.0.1:9", patience=Patience(attempts=1, wait_s=0))
