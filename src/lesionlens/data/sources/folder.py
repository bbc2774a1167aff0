"""A folder for each diagnosis: the name of the folder is the label."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from lesionlens.core.errors import DataError
from lesionlens.data.files import ImageFiles, same_bytes, scan, stem_of
from lesionlens.data.index import Index
from lesionlens.data.sources.listing import make_index
from lesionlens.data.sources.row import Row
from lesionlens.data.sources.rules import STRICT, Rules

SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


def read_folder(root: Path, rules: Rules = STRICT, files: ImageFiles | None = None) -> Index:
    """Index a folder for each diagnosis, or those within folders named train, val and test.

    Args:
        root: holds one folder for each diagnosis.
        rules: which diagnoses are malignant.
        files: what is below `root`, if it was searched already.

    Raises:
        DataError: if images are outside such folders, there are fewer than two diagnoses, or one
            image is in two of them.
    """
    files = files or scan(root)
    outside = [path for path in files.paths if len(PurePosixPath(path).parts) < 2]
    if outside:
        raise DataError(
            f"{len(outside)} images are in {root} itself, the first is {outside[0]}; "
            "each must be in a folder named after its diagnosis, or be listed in a table"
        )
    parted = {PurePosixPath(path).parts[0].lower() for path in files.paths} <= SPLIT_FOLDERS.keys()
    rows = [_row(files.root, path, parted) for path in files.paths]
    kept, copies = _without_copies(files.root, rows)
    notes = [f"{copies} images are there more than once in one diagnosis; the first of each was taken"] if copies else []
    return make_index(kept, files, "folder", None, rules, notes)


def _row(root: Path, path: str, parted: bool) -> Row:
    folders = PurePosixPath(path).parts
    if parted and len(folders) < 3:
        raise DataError(f"{root / path} is in no folder of a diagnosis; below {folders[0]} there must be one for each diagnosis")
    split_name = SPLIT_FOLDERS[folders[0].lower()] if parted else ""
    return Row(str(root / path), path, folders[1 if parted else 0], split=split_name)


def _without_copies(root: Path, rows: list[Row]) -> tuple[list[Row], int]:
    kept: dict[str, list[Row]] = {}
    for row in rows:
        namesakes = kept.setdefault(stem_of(row.image).lower(), [])
        twin = next((other for other in namesakes if same_bytes(root / other.image, root / row.image)), None)
        if twin is None:
            namesakes.append(row)
        elif (twin.dx, twin.split) != (row.dx, row.split):
            raise DataError(
                f"{twin.where} and {row.where} are one image; it can have one diagnosis and one split only, delete one"
            )
    remaining = [row for namesakes in kept.values() for row in namesakes]
    return remaining, len(rows) - len(remaining)
