"""Which images to predict: files, folders, patterns and lists, one after the other and never all at once."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from lesionlens.core.errors import DataError
from lesionlens.data.files import IMAGE, LeftOut, image_files, kind_of

LIST = "-"
IMAGE_STARTS = ("\udcff\udcd8\udcff", "\udc89PNG", "II*\0", "MM\0*", "RIFF")  # as undecodable bytes come through standard input


def image_paths(arguments: Iterable[str], listed: Iterable[str] = (), left_out: LeftOut | None = None) -> Iterator[Path]:
    """Paths of images, in the order of the arguments.

    A folder gives the images below it, by extension or content, sorted within each folder; hidden files, lesion
    masks (`*_segmentation.png`, `*_mask.png`, folders of masks) and files of other kinds are counted in `left_out`.
    A file is given as it is, whatever its name, and also if it is not there: whoever opens it reports that.

    Args:
        arguments: files, folders, patterns (`*`, `?`, `[...]`, `**` for all folders below), or `-`.
        listed: what `-` stands for: one of the former in each line, or with NUL between as `find -print0`
            writes them; for example standard input.
        left_out: counts what is not used.

    Raises:
        DataError: if what `-` stands for is an image itself.
    """
    left_out = LeftOut() if left_out is None else left_out
    for argument in arguments:
        if argument == LIST:
            lines = (part for line in _no_image(listed) for part in line.rstrip("\r\n").split("\0"))
            yield from image_paths((line for line in lines if line and line != LIST), (), left_out)
        elif os.path.isdir(argument):  # noqa: PTH112  pathlib's raises where a folder on the way may not be read
            yield from _below(Path(argument), left_out)
        elif glob.has_magic(argument) and not os.path.exists(argument):  # noqa: PTH110  likewise
            yield from _matching(argument, left_out)
        else:
            yield Path(argument)


def _no_image(listed: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(listed):
        if number == 0 and line.startswith(IMAGE_STARTS):
            raise DataError("standard input holds an image, not a list of paths; give the path of the image")
        yield line


def _matching(pattern: str, left_out: LeftOut) -> Iterator[Path]:
    matches = sorted(Path(name) for name in glob.iglob(pattern, recursive=True))  # noqa: PTH207  pathlib's refuses absolute ones
    for path in matches:
        if path.is_dir():
            yield from _below(path, left_out)
        elif (kind := kind_of(path)) == IMAGE:
            yield path
        else:
            left_out.add(kind, str(path))
    if not matches:
        yield Path(pattern)


def _below(root: Path, left_out: LeftOut) -> Iterator[Path]:
    """Images below a folder, and the folders that cannot be read: whoever opens those reports them."""
    unreadable: list[Path] = []
    yield from image_files(root, left_out, lambda error: unreadable.append(Path(error.filename)))
    yield from unreadable
