"""Which images to look at: files, folders, patterns and lists, one after the other and never all at once."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from pathlib import Path

from lesionlens.data.files import MASK_ENDINGS, walk
from lesionlens.data.image import EXTENSIONS

LIST = "-"


def image_paths(arguments: Iterable[str], listed: Iterable[str] = ()) -> Iterator[Path]:
    """Paths of images, in the order of the arguments.

    A folder gives the images below it, sorted within each folder; hidden files, lesion masks
    (`*_segmentation.png`, `*_mask.png`) and files of other kinds are passed over. A file is given
    as it is, whatever its name, and also if it is not there: whoever opens it will say so.

    Args:
        arguments: files, folders, patterns (`*`, `?`, `[...]`, `**` for all folders below), or `-`.
        listed: what `-` stands for: one of the former in each line, for example standard input.
    """
    for argument in arguments:
        if argument == LIST:
            lines = (line.rstrip("\r\n") for line in listed)
            yield from image_paths(line for line in lines if line and line != LIST)
        elif Path(argument).is_dir():
            yield from _below(Path(argument))
        elif glob.has_magic(argument) and not Path(argument).exists():
            yield from _matching(argument)
        else:
            yield Path(argument)


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
    return (path for path in walk(root) if _is_image(path.name))


def _is_image(name: str) -> bool:
    path = Path(name.lower())
    return path.suffix in EXTENSIONS and not name.startswith(".") and not path.stem.endswith(MASK_ENDINGS)
