"""Files below a folder: images, masks and tables, found by name whatever the layout."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from lesionlens.core.errors import DataError
from lesionlens.data.formats import EXTENSIONS

TABLE_EXTENSIONS = (".csv", ".tsv", ".tab", ".txt", "")
MASK_FOLDERS = ("mask", "masks", "groundtruth")
MASK_ENDINGS = ("_segmentation", "_mask")
PASSED_OVER = "__MACOSX"


@dataclass
class ImageFiles:
    """What lies below `root`; all paths are relative to it, with forward slashes, sorted.

    Attributes:
        root: the folder that was searched.
        images: paths of images by lower-case stem.
        masks: paths of lesion masks by lower-case id (the stem without `_segmentation` or `_mask`).
        tables: paths of files that may be metadata.
    """

    root: Path
    images: dict[str, list[str]] = field(default_factory=dict)
    masks: dict[str, list[str]] = field(default_factory=dict)
    tables: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for path in sorted(found.relative_to(self.root).as_posix() for found in walk(self.root)):
            stem, extension = _split_name(path)
            if extension.lower() not in EXTENSIONS:
                if extension.lower() in TABLE_EXTENSIONS:
                    self.tables.append(path)
            elif _is_mask(path, stem):
                self.masks.setdefault(_mask_id(stem), []).append(path)
            else:
                self.images.setdefault(stem.lower(), []).append(path)

    @property
    def paths(self) -> list[str]:
        """Paths of all images."""
        return [path for paths in self.images.values() for path in paths]

    def find_image(self, value: str) -> str | None:
        """Path of the image that a table calls `value`: an id, a file name, or a path.

        Raises:
            DataError: if different files bear that name.
        """
        return self._find(value, self.images, stem_of(value).lower())

    def find_mask(self, value: str) -> str | None:
        """Path of the mask of an image id, or of a mask named by file name or path.

        Raises:
            DataError: if different files bear that name.
        """
        return self._find(value, self.masks, _mask_id(stem_of(value)))

    def _find(self, value: str, known: dict[str, list[str]], stem: str) -> str | None:
        value = str(PurePosixPath(value.replace("\\", "/")))
        if "/" in value:
            return value if (self.root / value).is_file() else _same_path(value, known.get(stem, []))
        paths = known.get(stem, [])
        return _one_of(self.root, paths) if paths else None


def scan(root: Path) -> ImageFiles:
    """Search `root` and all folders below it, links included.

    Hidden files and the `__MACOSX` folders of zip files are passed over.

    Raises:
        DataError: if `root` is missing, is not a folder, or holds no image.
    """
    if not root.is_dir():
        problem = "is not a folder" if root.exists() else "does not exist"
        raise DataError(f"{root} {problem}; give the folder that holds the images")
    files = ImageFiles(root)
    if not files.images:
        raise DataError(f"no image below {root}; images end in {', '.join(EXTENSIONS)} (unpack zip files first)")
    return files


def walk(root: Path, unreadable: Callable[[OSError], None] | None = None) -> Iterator[Path]:
    """Files below `root`, folder by folder, sorted within each; links are followed, but into no folder twice.

    Hidden files and folders and the `__MACOSX` folders of zip files are passed over.

    Args:
        root: the folder.
        unreadable: told about each folder that cannot be read.

    Raises:
        DataError: at a folder that cannot be read, if nobody is told.
    """
    seen: set[str] = set()
    for folder, folders, names in os.walk(root, onerror=unreadable or _refuse, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != PASSED_OVER)
        yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))


def stem_of(value: str) -> str:
    """File name without folder and image extension: `a/ISIC_1.JPG` gives `ISIC_1`."""
    stem, extension = _split_name(value.replace("\\", "/"))
    return stem if extension.lower() in EXTENSIONS else PurePosixPath(value.replace("\\", "/")).name


def path_id(value: str) -> str:
    """A whole path as an id: `mel/001.jpg` gives `mel_001`."""
    path = PurePosixPath(value.replace("\\", "/"))
    return "_".join([*path.parent.parts, stem_of(path.name)]).strip("/_.")


def same_bytes(first: Path, second: Path) -> bool:
    """Whether two files are equal."""
    return first.stat().st_size == second.stat().st_size and first.read_bytes() == second.read_bytes()


def _refuse(error: OSError) -> None:
    raise DataError(f"folder {error.filename} cannot be read ({error.strerror}); check its permissions") from error


def _split_name(path: str) -> tuple[str, str]:
    name = PurePosixPath(path)
    return name.stem, name.suffix


def _is_mask(path: str, stem: str) -> bool:
    folders = [part.lower() for part in PurePosixPath(path).parts[:-1]]
    in_mask_folder = any("segmentation" in name or name in MASK_FOLDERS for name in folders)
    return in_mask_folder or stem.lower().endswith(MASK_ENDINGS)


def _mask_id(stem: str) -> str:
    stem = stem.lower()
    for ending in MASK_ENDINGS:
        stem = stem.removesuffix(ending)
    return stem


def _same_path(value: str, paths: list[str]) -> str | None:
    return next((path for path in paths if path.lower() == value.lower()), None)


def _one_of(root: Path, paths: list[str]) -> str:
    if len({(root / path).stat().st_size for path in paths}) > 1:
        raise DataError(
            f"different files bear one name: {root / paths[0]} and {paths[1]}; "
            "keep one of them, or index a folder that holds only one"
        )
    return paths[0]
