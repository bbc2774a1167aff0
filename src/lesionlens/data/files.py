"""Files below a folder: images, masks and tables, by content and name, whatever the layout; what is left out is counted."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from lesionlens.core.errors import DataError
from lesionlens.data.decoded_image import NAMED, first_names
from lesionlens.data.formats import EXTENSIONS, HEAD_BYTES, format_of

TABLE_EXTENSIONS = (".csv", ".tsv", ".tab", ".txt", "")
MASK_FOLDERS = ("mask", "masks", "groundtruth")
MASK_ENDINGS = ("_segmentation", "_mask")
MAC_FOLDER = "__MACOSX"
SYNTHETIC_MARK = "synthetic.json"
"""File that LesionLens writes beside images that it drew; see `synthetic.dataset`."""

IMAGE, MASK, OTHER, HIDDEN, UNREADABLE = "image", "mask", "other", "hidden", "unreadable"
REASONS = {
    MASK: "lesion masks by their name",
    OTHER: "no images in a known format",
    HIDDEN: "hidden",
    UNREADABLE: "not readable",
}
ABSOLUTE = re.compile(r"/|[A-Za-z]:/")


@dataclass
class LeftOut:
    """Counts the files and hidden folders that are not used, by kind, and remembers the first names of each.

    Example:
        >>> left_out = LeftOut()
        >>> left_out.add(OTHER, "notes.txt")
        >>> left_out.lines()
        ['left out 1 file, no images in a known format: notes.txt']
    """

    counts: dict[str, int] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, name: str) -> None:
        """Count one file of a kind in `REASONS`."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        names = self.names.setdefault(kind, [])
        if len(names) < NAMED:
            names.append(name)

    def lines(self) -> list[str]:
        """One line for each kind."""
        return [
            f"left out {count} {'file' if count == 1 else 'files'}, {REASONS[kind]}: {first_names(self.names[kind], count)}"
            for kind, count in sorted(self.counts.items())
        ]


@dataclass
class ImageFiles:
    """What is below `root`; all paths are relative to it, with forward slashes, sorted.

    Attributes:
        root: the folder that was searched.
        images: paths of images by the key of their stem; see `name_key`.
        masks: paths of lesion masks by the key of their id (the stem without `_segmentation` or `_mask`).
        tables: paths of files that may be metadata.
        left_out: the rest.
    """

    root: Path
    images: dict[str, list[str]] = field(default_factory=dict)
    masks: dict[str, list[str]] = field(default_factory=dict)
    tables: list[str] = field(default_factory=list)
    left_out: LeftOut = field(default_factory=LeftOut)

    def __post_init__(self) -> None:
        for path, kind in sorted(_classified(self.root)):
            if kind == IMAGE:
                self.images.setdefault(name_key(stem_of(path)), []).append(path)
            elif kind == MASK:
                self.masks.setdefault(_mask_id(stem_of(path)), []).append(path)
            elif kind == OTHER and PurePosixPath(path).suffix.lower() in TABLE_EXTENSIONS:
                self.tables.append(path)
            elif path != SYNTHETIC_MARK:
                self.left_out.add(kind, path)

    @property
    def paths(self) -> list[str]:
        """Paths of all images."""
        return [path for paths in self.images.values() for path in paths]

    @property
    def notes(self) -> list[str]:
        """What was left out, and which masks belong to no image."""
        unmatched = [path for key, paths in self.masks.items() if key not in self.images for path in paths]
        line = f"{len(unmatched)} lesion masks belong to no image here ({first_names(unmatched, len(unmatched))})"
        return [*self.left_out.lines(), *([line] if unmatched else [])]

    def find_image(self, value: str) -> str | None:
        """Path of the image that a table calls `value`: an id, a file name, or a path here or on another machine.

        An image whose name is that of a lesion mask is found too, since the table says that it is an image.

        Raises:
            DataError: if different files have that name.
        """
        stem = name_key(stem_of(value))
        like_masks = [path for path in self.masks.get(_mask_id(stem), []) if name_key(stem_of(path)) == stem]
        return self._find(value, self.images.get(stem) or like_masks)

    def find_mask(self, value: str) -> str | None:
        """Path of the mask of an image id, or of a mask named by file name or path.

        Raises:
            DataError: if different files have that name.
        """
        return self._find(value, self.masks.get(_mask_id(stem_of(value)), []))

    def _find(self, value: str, paths: list[str]) -> str | None:
        """Which of `paths`, all of the right name, is meant by `value`."""
        value = _posix(value)
        if "/" in value:
            if (self.root / value).is_file():
                return value
            below = [path for path in paths if _ends_with(path, value)]
            elsewhere = [path for path in paths if _ends_with(value, path)] or paths
            paths = below or (elsewhere if ABSOLUTE.match(value) else [])
        return _one_of(self.root, paths) if paths else None


def scan(root: Path) -> ImageFiles:
    """Search `root` and all folders below it, links included.

    Raises:
        DataError: if `root` is missing, is not a folder, or holds no image.
    """
    if not root.is_dir():
        problem = "is not a folder" if root.exists() else "does not exist"
        raise DataError(f"{root} {problem}; give the folder that holds the images")
    files = ImageFiles(root)
    if not files.images and not files.masks:
        rest = "".join(f"; {line}" for line in files.left_out.lines())
        raise DataError(f"no image below {root}; images end in {', '.join(EXTENSIONS)} (unpack zip files first){rest}")
    return files


def image_files(root: Path, left_out: LeftOut, unreadable: Callable[[OSError], None] | None = None) -> Iterator[Path]:
    """Images below a folder, sorted within each folder.

    Args:
        root: the folder.
        left_out: counts the other files.
        unreadable: told about each folder that cannot be read.

    Raises:
        DataError: at a folder that cannot be read, if nobody is told.
    """
    for path, kind in _classified(root, unreadable):
        if kind == IMAGE:
            yield root / path
        else:
            left_out.add(kind, str(root / path))


def walk(root: Path, unreadable: Callable[[OSError], None] | None = None) -> Iterator[Path]:
    """Files below `root`, folder by folder, sorted within each; links are followed, but into no folder twice.

    A hidden folder, or one that is called `__MACOSX` as in zip files, is given itself and not searched.

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
        names += [name for name in folders if _is_hidden(name)]
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        yield from (Path(folder, name) for name in sorted(names))


def kind_of(path: Path, folders: tuple[str, ...] = ()) -> str:
    """What a file is: an image by its extension or else its content, a lesion mask by its name, or another file.

    Args:
        path: the file.
        folders: names of the folders below the root that it is in.
    """
    if path.suffix.lower() not in EXTENSIONS:
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                return OTHER
            with path.open("rb") as stream:
                if not format_of(stream.read(HEAD_BYTES)):
                    return OTHER
        except OSError:
            return UNREADABLE
    return MASK if _is_mask(folders, stem_of(path.name)) else IMAGE


def kind_by_name(name: str) -> str:
    """What a file is by its name alone, for files that cannot be looked into one by one, such as members of a tar.

    Args:
        name: path below the root, with forward slashes.

    Example:
        >>> [kind_by_name(name) for name in ("a/1.jpg", "a/1_mask.png", "a/.1.jpg", "a/notes.txt")]
        ['image', 'mask', 'hidden', 'other']
    """
    path = PurePosixPath(name)
    if any(_is_hidden(part) for part in path.parts):
        return HIDDEN
    if path.suffix.lower() not in EXTENSIONS:
        return OTHER
    return MASK if _is_mask(path.parts[:-1], path.stem) else IMAGE


def name_key(name: str) -> str:
    """A name for comparison: the same for upper and lower case, and for composed and decomposed letters.

    Example:
        >>> name_key("L\\u00c4SION") == name_key("la\\u0308sion")
        True
    """
    return unicodedata.normalize("NFC", name).lower()


def stem_of(value: str) -> str:
    """File name without folder and image extension: `a/ISIC_1.JPG` gives `ISIC_1`."""
    name = PurePosixPath(_posix(value))
    return name.stem if name.suffix.lower() in EXTENSIONS else name.name


def path_id(value: str) -> str:
    r"""A whole path as an id: `mel/001.jpg` gives `mel_001`, and so does `C:\mel\001.jpg`."""
    path = PurePosixPath(re.sub(r"^[A-Za-z]:/", "/", _posix(value)))
    return "_".join([*path.parent.parts, stem_of(path.name)]).strip("/_.")


def same_bytes(first: Path, second: Path) -> bool:
    """Whether two files are equal."""
    return first.stat().st_size == second.stat().st_size and first.read_bytes() == second.read_bytes()


def _classified(root: Path, unreadable: Callable[[OSError], None] | None = None) -> Iterator[tuple[str, str]]:
    """Each file and hidden folder below `root`, relative to it, and its kind."""
    for path in walk(root, unreadable):
        relative = path.relative_to(root)
        yield relative.as_posix(), HIDDEN if _is_hidden(path.name) else kind_of(path, relative.parts[:-1])


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == MAC_FOLDER


def _refuse(error: OSError) -> None:
    raise DataError(f"folder {error.filename} cannot be read ({error.strerror}); check its permissions") from error


def _posix(path: str) -> str:
    return str(PurePosixPath(path.replace("\\", "/")))


def _is_mask(folders: tuple[str, ...], stem: str) -> bool:
    names = [name.lower() for name in folders]
    return any("segmentation" in name or name in MASK_FOLDERS for name in names) or stem.lower().endswith(MASK_ENDINGS)


def _mask_id(stem: str) -> str:
    stem = name_key(stem)
    for ending in MASK_ENDINGS:
        stem = stem.removesuffix(ending)
    return stem


def _ends_with(path: str, end: str) -> bool:
    """Whether the last parts of a path are those of another."""
    parts, last = (PurePosixPath(name_key(value)).parts for value in (path, end))
    return parts[-len(last) :] == last


def _one_of(root: Path, paths: list[str]) -> str:
    if len({(root / path).stat().st_size for path in paths}) > 1:
        raise DataError(
            f"different files have one name: {root / paths[0]} and {paths[1]}; "
            "keep one of them, or index a folder that holds only one"
        )
    return paths[0]
