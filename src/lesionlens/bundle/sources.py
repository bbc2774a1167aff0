"""Which images to look at: files, folders, patterns and lists, one after the other and never all at once."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from lesionlens.core.errors import DataError
from lesionlens.data.files import MASK_ENDINGS, walk
from lesionlens.data.formats import EXTENSIONS

LIST = "-"
IMAGE_STARTS = ("\udcff\udcd8\udcff", "\udc89PNG", "II*\0", "MM\0*", "RIFF")  # as undecodable bytes come through standard input


def image_paths(arguments: Iterable[str], listed: Iterable[str] = ()) -> Iterator[Path]:
    """Paths of images, in the order of the arguments.

    A folder gives the images below it, sorted within each folder; hidden files, lesion masks
    (`*_segmentation.png`, `*_mask.png`) and files of other kinds are passed over. A file is given
    as it is, whatever its name, and also if it is not there: whoever opens it will say so.

    Args:
        arguments: files, folders, patterns (`*`, `?`, `[...]`, `**` for all folders below), or `-`.
        listed: what `-` stands for: one of the former in each line, or with NUL between as `find -print0`
            writes them; for example standard input.

    Raises:
        DataError: if what `-` stands for is an image itself.
    """
    for argument in arguments:
        if argument == LIST:
            lines = (part for line in _no_image(listed) for part in line.rstrip("\r\n").split("\0"))
            yield from image_paths(line for line in lines if line and line != LIST)
        elif os.path.isdir(argument):  # noqa: PTH112  pathlib's raises where a folder on the way may not be read
            yield from _below(Path(argument))
        elif glob.has_magic(argument) and not os.path.exists(argument):  # noqa: PTH110  likewise
            yield from _matching(argument)
        else:
            yield Path(argument)


def _no_image(listed: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(listed):
        if number == 0 and line.startswith(IMAGE_STARTS):
            raise DataError("standard input holds an image where a list of paths is wanted; give the path of the image")
        yield line


def _matching(pattern: str) -> Iterator[Path]:
    found = sorted(Path(name) for name in glob.iglob(pattern, recursive=True))  # noqa: PTH207  pathlib's refuses absolute ones
    for path in found:
        if path.is_dir():
            yield from _below(path)
        elif _is_image(path.name):
            yield path
    if not found:
        yield Path(pattern)


def _below(root: Path) -> Iterator[Path]:
    """Images below a folder, and the folders that cannot be read: whoever opens those will say so."""
    unreadable: list[Path] = []
    for path in walk(root, lambda error: unreadable.append(Path(error.filename))):
        if _is_image(path.name):
            yield path
    yield from unreadable


def _is_image(name: str) -> bool:
    path = Path(name.lower())
    return path.suffix in EXTENSIONS and not name.startswith(".") and not path.stem.endswith(MASK_ENDINGS)
