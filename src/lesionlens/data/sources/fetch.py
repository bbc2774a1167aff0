"""Fetch one file over HTTP: resumed, retried, checked, and put in place only when it is whole."""

from __future__ import annotations

import hashlib
import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

from lesionlens import __version__
from lesionlens.core.artifact import storage_errors
from lesionlens.core.errors import DownloadError, StorageError

# Harvard Dataverse answers 403 to Python's own name.
USER_AGENT = f"lesionlens/{__version__} (research software; python urllib)"
BLOCK_BYTES = 1 << 18
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
REMEDIES = {
    401: "the server wants a login; fetch it with a browser and put it there",
    403: "the server refuses; open the address in a browser (it may ask you to accept its terms) and put the file there",
    404: "the file is not there any more; look for its new address on the data set's page",
    410: "the file is not there any more; look for its new address on the data set's page",
    416: "the server does not have the rest of the file; delete the .part file beside it and try again",
}

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class Patience:
    """How long to try.

    Attributes:
        attempts: tries without a single new byte before giving up.
        wait_s: pause after the first such try; doubled after each further one.
        longest_wait_s: the longest pause, also where the server asks for a longer one.
        timeout_s: silence of the server that counts as broken off.
    """

    attempts: int = 6
    wait_s: float = 1.0
    longest_wait_s: float = 120.0
    timeout_s: float = 60.0


class MissingFileError(DownloadError):
    """The server does not hold the file, or gives it to nobody; another server may."""


class _BrokenOffError(Exception):
    """The connection failed in a way that a later try may not."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


def fetch(
    url: str,
    path: Path,
    md5: str = "",
    size_bytes: int | None = None,
    progress: Progress | None = None,
    patience: Patience | None = None,
) -> None:
    """Fetch `url` to `path`.

    Bytes go to `path` + `.part`, which is kept when the connection breaks off and continued by the
    next try or the next call. A complete file at `path` is left alone.

    Args:
        url: http or https.
        path: where the file belongs; its folder is made.
        md5: expected checksum, hexadecimal; empty if unknown.
        size_bytes: expected size; None if unknown.
        progress: called with (file name, bytes so far, bytes in all or None).
        patience: how long to try.

    Raises:
        MissingFileError: if the server answers 401, 403, 404 or 410.
        DownloadError: if the server keeps failing, or twice sends other bytes than announced.
        StorageError: if the disk is full or may not be written.
    """
    patience = patience or Patience()
    if path.is_file() and _problem(path, md5, size_bytes) is None:
        return
    part = path.with_name(path.name + ".part")
    problem = ""
    with storage_errors(path):
        _make_folder(path.parent)
        for _ in range(2):
            _fetch_part(url, part, size_bytes, progress, patience)
            problem = _problem(part, md5, size_bytes) or ""
            if not problem:
                part.replace(path)
                return
            part.unlink()
    raise DownloadError(
        f"{url} sent wrong bytes twice ({problem}); the file was deleted. Try again later, or fetch it from a mirror"
    )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise StorageError(f"{folder} cannot be a folder, a file is in its way; choose another folder with --root") from error


def _problem(path: Path, md5: str, size_bytes: int | None) -> str | None:
    """What is wrong with a file that should be whole; None if nothing is."""
    size = path.stat().st_size
    if size_bytes is not None and size != size_bytes:
        return f"{size} bytes, not {size_bytes}"
    if md5:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if found != md5:
            return f"MD5 {found}, not {md5}"
    return None


def _fetch_part(url: str, part: Path, size_bytes: int | None, progress: Progress | None, patience: Patience) -> None:
    """Continue `part` until the server says that it is whole."""
    idle = 0
    while True:
        before = _size(part)
        try:
            _stream(url, part, size_bytes, progress, patience.timeout_s)
            return
        except _BrokenOffError as broken:
            idle = 0 if _size(part) > before else idle + 1
            if idle >= patience.attempts:
                raise DownloadError(
                    f"{url} broke off {idle} times without a new byte ({broken}); {_size(part)} bytes are kept. "
                    "Check the connection and run the same command again to resume"
                ) from broken
            asked = broken.retry_after_s
            wait_s = patience.wait_s * 2 ** max(idle - 1, 0) if asked is None else asked
            time.sleep(min(wait_s, patience.longest_wait_s))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _stream(url: str, part: Path, size_bytes: int | None, progress: Progress | None, timeout_s: float) -> None:
    """One request: append what the server sends to `part`.

    Raises:
        _BrokenOffError: if it stopped early, or may answer later.
    """
    have = _size(part)
    if size_bytes is not None and have == size_bytes:
        return
    if size_bytes is not None and have > size_bytes:
        part.unlink()
        have = 0
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout_s) as response:
            start, total = _extent(response, have, url)
            _append(response, part, start, total, progress)
    except urllib.error.HTTPError as error:
        with error:
            _refused(error, url, part, have)
    except urllib.error.URLError as error:
        raise _BrokenOffError(str(error.reason)) from error
    except (http.client.HTTPException, TimeoutError, ConnectionError) as error:  # while the answer's head was read
        raise _BrokenOffError(repr(error)) from error


def _extent(response: http.client.HTTPResponse, have: int, url: str) -> tuple[int, int | None]:
    """Where the body starts in the file, and the size of the whole file (None if the server does not say)."""
    length = response.headers.get("Content-Length")
    if response.status != 206:
        return 0, int(length) if length and length.isdigit() else None
    stated = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    if not stated or int(stated[1]) != have:
        raise DownloadError(
            f"{url} answered with another range than asked for ({response.headers.get('Content-Range')!r}, not from {have}); "
            "delete the .part file and try again"
        )
    return have, None if stated[3] == "*" else int(stated[3])


def _append(response: http.client.HTTPResponse, part: Path, start: int, total: int | None, progress: Progress | None) -> None:
    done = start
    with part.open("r+b" if start else "wb") as stream:
        stream.seek(start)
        while block := _read(response):
            stream.write(block)
            done += len(block)
            if progress is not None:
                progress(part.name.removesuffix(".part"), done, total)
        stream.truncate()
    if total is not None and done < total:
        raise _BrokenOffError(f"the connection ended after {done} of {total} bytes")


def _read(response: http.client.HTTPResponse) -> bytes:
    # Only what the network does may be tried again; an error in writing must come through.
    try:
        return response.read(BLOCK_BYTES)
    except (http.client.HTTPException, OSError) as error:
        raise _BrokenOffError(repr(error)) from error


def _refused(error: urllib.error.HTTPError, url: str, part: Path, have: int) -> None:
    """Turn an HTTP error into a later try, a fresh start, or an error with its remedy."""
    if error.code == 416 and have:
        stated = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", "").strip())
        if stated and int(stated[1]) == have:
            return  # nothing is left to send: the part is whole
        part.unlink()
        raise _BrokenOffError("the part did not fit the server's file and was deleted", 0.0) from error
    if error.code in TRANSIENT:
        raise _BrokenOffError(f"HTTP {error.code}", _retry_after(error.headers.get("Retry-After"))) from error
    target = str(part).removesuffix(".part")
    remedy = REMEDIES.get(error.code, "open the address in a browser to see why, and put the file there")
    kind = MissingFileError if error.code in (401, 403, 404, 410) else DownloadError
    raise kind(f"{url} cannot be had: HTTP {error.code}; {remedy} ({target})") from error


def _retry_after(value: str | None) -> float | None:
    """Seconds that a Retry-After header asks for: a number, or a date."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
