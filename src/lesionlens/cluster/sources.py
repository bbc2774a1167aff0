"""What an archive consists of: images and tars of images, on disks and in object stores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lesionlens.bundle.sources import image_paths
from lesionlens.cluster.files import filesystem, is_url, store_errors
from lesionlens.core.errors import DataError
from lesionlens.data.files import IMAGE, OTHER, LeftOut, kind_by_name

TAR_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
PATTERN = "*?["


def is_tar(name: str) -> bool:
    """Whether a name is that of a tar, compressed or not.

    Example:
        >>> is_tar("s3://bucket/00017.tar"), is_tar("a/ISIC_1.jpg")
        (True, False)
    """
    return name.lower().endswith(TAR_ENDINGS)


class _TarsAside(LeftOut):
    """Counts what is no image, and keeps the tars."""

    def __init__(self, rest: LeftOut) -> None:
        super().__init__()
        self.rest, self.tars = rest, list[str]()

    def add(self, kind: str, name: str) -> None:
        if kind == OTHER and is_tar(name):
            self.tars.append(name)
        else:
            self.rest.add(kind, name)


def archive_sources(arguments: Iterable[str], listed: Iterable[str] = (), left_out: LeftOut | None = None) -> Iterator[str]:
    """Names of all images and tars, each once, in the order of the arguments; the tars of an argument come after its images.

    Args:
        arguments: as for `image_paths`; also URLs of files, folders and patterns, such as `s3://bucket/2024/*.tar`. Below
            folders in object stores files are known by their names alone.
        listed: what `-` stands for.
        left_out: counts what is not used.

    Raises:
        DataError: if a URL does not exist.
    """
    left_out = LeftOut() if left_out is None else left_out
    seen: set[str] = set()
    for argument in arguments:
        names = _in_store(argument, left_out) if is_url(argument) else _on_disk(argument, listed, left_out)
        for name in names:
            if name not in seen:
                seen.add(name)
                yield name


def _on_disk(argument: str, listed: Iterable[str], left_out: LeftOut) -> Iterator[str]:
    aside = _TarsAside(left_out)
    yield from map(str, image_paths([argument], listed, aside))
    yield from aside.tars


def _in_store(url: str, left_out: LeftOut) -> Iterator[str]:
    system, path = filesystem(url)
    root = url[: len(url.rstrip("/")) - len(path)]  # the scheme, and what else stands before the path
    with store_errors(url):
        if any(letter in path for letter in PATTERN):
            below, base = sorted(system.glob(path)), _fixed_part(path)
        elif system.isfile(path):
            yield url
            return
        elif system.isdir(path):
            below, base = sorted(system.find(path)), f"{path}/"
        else:
            raise DataError(f"{url} does not exist; check the name, and the keys that may read it")
    if not below:
        raise DataError(f"{url} matches nothing; check the name")
    tars = []
    for name in map(str, below):
        kind = kind_by_name(name.removeprefix(base))
        if kind == OTHER and is_tar(name):
            tars.append(f"{root}{name}")
        elif kind == IMAGE:
            yield f"{root}{name}"
        else:
            left_out.add(kind, f"{root}{name}")
    yield from tars


def _fixed_part(pattern: str) -> str:
    """The folders of a pattern before its first wildcard, with the slash at their end."""
    first = min(pattern.find(letter) for letter in PATTERN if letter in pattern)
    return pattern[: pattern.rfind("/", 0, first) + 1]
