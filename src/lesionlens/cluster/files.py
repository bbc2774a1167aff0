"""Files on disk and in object stores under one interface, fsspec's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

from lesionlens.core.artifact import atomic_file
from lesionlens.core.errors import ClusterError, DataError, RecipeError, StorageError

SEPARATOR = "://"
S3 = ("s3", "s3a")
ENDPOINT = "AWS_ENDPOINT_URL"


def is_url(name: str) -> bool:
    """Whether a name is that of an object store, such as `s3://bucket/folder`, and not a path."""
    return SEPARATOR in name


def filesystem(url: str) -> tuple[Any, str]:
    """The file system of a URL, with fsspec's interface, and the path in it.

    S3 is read by pyarrow, which needs no further package: keys from the environment, a profile or the machine's role, and
    `AWS_ENDPOINT_URL` for stores that speak S3 elsewhere. Other schemes need what fsspec needs for them.

    Raises:
        RecipeError: if nothing here reads that scheme.
        ClusterError: if fsspec is not installed.
    """
    scheme = url.partition(SEPARATOR)[0]
    try:
        if scheme in S3:
            return _s3(os.environ.get(ENDPOINT, "")), url.partition(SEPARATOR)[2].rstrip("/")
        from fsspec.core import url_to_fs

        system, path = url_to_fs(url)
    except ImportError as error:
        raise ClusterError(f"{url} cannot be read: {error}; install it with: pip install 'lesionlens[ray]'") from error
    except ValueError as error:
        raise RecipeError(f"{url}: {error}; give a path, s3://..., or another scheme that fsspec knows") from error
    return system, str(path).rstrip("/")


@cache
def _s3(endpoint: str) -> Any:
    from fsspec.implementations.arrow import ArrowFSWrapper
    from pyarrow.fs import S3FileSystem

    if not endpoint:
        return ArrowFSWrapper(S3FileSystem())
    scheme, _, host = endpoint.rpartition(SEPARATOR)
    return ArrowFSWrapper(S3FileSystem(endpoint_override=host.rstrip("/"), scheme=scheme or "https"))


@contextmanager
def store_errors(name: str) -> Iterator[None]:
    """Turn what an object store or a disk says into one line.

    Raises:
        DataError: if `name` is not there or may not be read.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{name} does not exist; check the name") from error
    except OSError as error:
        raise DataError(f"{name} cannot be read ({_reason(error)}); check name, keys and network") from error


def _reason(error: OSError) -> str:
    return " ".join(str(error.strerror or error).split())[:200]


@contextmanager
def opened(name: str) -> Iterator[IO[bytes]]:
    """Open a file of a disk or an object store for reading.

    Raises:
        DataError: if it is not there or may not be read.
    """
    with store_errors(name):
        if is_url(name):
            system, path = filesystem(name)
            with system.open(path, "rb") as stream:
                yield stream
        else:
            with Path(name).open("rb") as stream:
                yield stream


@dataclass(frozen=True)
class Folder:
    """A folder of a disk or an object store that results are written to.

    Attributes:
        name: its path or URL.
    """

    name: str

    def path(self, file: str) -> str:
        """The name of a file in it."""
        return f"{self.name.rstrip('/')}/{file}" if is_url(self.name) else str(Path(self.name) / file)

    def write(self, file: str, content: bytes) -> None:
        """Write a file completely or not at all; one that is there is replaced.

        On a disk it is written beside its place and renamed; object stores show an object only when it is complete.

        Raises:
            StorageError: if it cannot be written.
        """
        if not is_url(self.name):
            with atomic_file(Path(self.name) / file) as temporary:
                temporary.write_bytes(content)
            return
        system, path = filesystem(self.path(file))
        try:
            system.pipe_file(path, content)
        except OSError as error:
            raise StorageError(f"{self.path(file)} cannot be written ({_reason(error)}); check name, keys and network") from error

    def read(self, file: str) -> bytes:
        """Content of a file.

        Raises:
            DataError: if it is not there or may not be read.
        """
        with opened(self.path(file)) as stream:
            return stream.read()

    def files(self) -> list[str]:
        """Names of the files directly in it, sorted; none if it is not there.

        Raises:
            DataError: if it may not be read.
            StorageError: if it is a file.
        """
        if not is_url(self.name):
            folder = Path(self.name)
            if folder.exists() and not folder.is_dir():
                raise StorageError(f"{folder} is a file; give a folder with --out")
            with store_errors(self.name):
                return sorted(path.name for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
        system, path = filesystem(self.name)
        with store_errors(self.name):
            if not system.exists(path):
                return []
            return sorted(str(each).rpartition("/")[2] for each in system.ls(path, detail=False))
