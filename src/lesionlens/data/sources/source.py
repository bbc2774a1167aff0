"""Sources: which reader makes an index from what the user has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from lesionlens.core.errors import DataError, RecipeError
from lesionlens.data.files import ImageFiles, scan
from lesionlens.data.index import Index
from lesionlens.data.sources.folder import read_folder
from lesionlens.data.sources.ham10000 import find_metadata, read_ham10000
from lesionlens.data.sources.isic import find_ground_truths, read_isic
from lesionlens.data.sources.listing import Rules
from lesionlens.data.sources.table import USUAL, Columns, load_table, read_table, resolve_columns

Reader = Callable[[Path, Rules, ImageFiles, Columns], Index]


def read_source(
    root: Path,
    source: str = "auto",
    missing: Literal["error", "drop"] = "error",
    malignant: Sequence[str] = (),
    **columns: str,
) -> Index:
    """Index images, whatever layout they come in.

    Args:
        root: folder of images, or a CSV whose folder holds them.
        source: one of `SOURCES`, or `auto` to recognise it; `Index.source` says which it was.
        missing: images that are listed but not there are an `error`, or `drop` leaves them out.
        malignant: diagnoses of a user's own labels that are malignant.
        columns: names of columns in a user's table: `image`, `dx`, `lesion`, `age`, `sex`, `site`,
            `mask`, `split`.

    Raises:
        DataError: if the source cannot be read.
        RecipeError: if `source` or a column's kind is unknown.
    """
    if source != "auto" and source not in SOURCES:
        raise RecipeError(f"unknown source {source!r}; known are auto, {', '.join(SOURCES)}")
    unknown = columns.keys() - Columns.__dataclass_fields__.keys()
    if unknown:
        raise RecipeError(f"unknown column {sorted(unknown)[0]!r}; known are {', '.join(Columns.__dataclass_fields__)}")
    named = Columns(**columns)
    files = scan(root.parent if root.is_file() else root)
    name = recognise(root, files, named) if source == "auto" else source
    return SOURCES[name](root, Rules(missing, tuple(malignant)), files, named)


def recognise(root: Path, files: ImageFiles, columns: Columns = USUAL) -> str:
    """Name of the source that `root` looks like.

    Raises:
        DataError: if it looks like none.
    """
    if columns != USUAL:
        return "table"
    if root.is_file():
        stem = root.stem.lower()
        if stem == "ham10000_metadata":
            return "ham10000"
        return "isic" if any(truth.path.name == root.name for truth in find_ground_truths(files)) else "table"
    if find_metadata(files) is not None:
        return "ham10000"
    if find_ground_truths(files):
        return "isic"
    if _usable_tables(files):
        return "table"
    return "folder"


def _usable_tables(files: ImageFiles) -> list[Path]:
    """Tables directly in the root that name images and diagnoses in the usual way."""
    usable = []
    for path in files.tables:
        if "/" in path or not path.lower().endswith((".csv", ".tsv")):
            continue
        try:
            resolve_columns(load_table(files.root / path), USUAL)
        except DataError:
            continue
        usable.append(files.root / path)
    return usable


def _only_table(root: Path, files: ImageFiles, columns: Columns) -> Path:
    if root.is_file():
        return root
    tables = [files.root / path for path in files.tables if "/" not in path and path.lower().endswith((".csv", ".tsv"))]
    if len(tables) > 1 and columns == USUAL:
        tables = _usable_tables(files)
    if len(tables) != 1:
        names = ", ".join(path.name for path in tables) or "none"
        raise DataError(f"{root} must hold one CSV that lists its images, found {names}; give the path of the CSV itself")
    return tables[0]


def _ham10000(root: Path, rules: Rules, files: ImageFiles, columns: Columns) -> Index:
    return read_ham10000(files.root, rules, files)


def _isic(root: Path, rules: Rules, files: ImageFiles, columns: Columns) -> Index:
    return read_isic(files.root, rules, files)


def _folder(root: Path, rules: Rules, files: ImageFiles, columns: Columns) -> Index:
    return read_folder(files.root, rules, files)


def _table(root: Path, rules: Rules, files: ImageFiles, columns: Columns) -> Index:
    return read_table(_only_table(root, files, columns), columns, rules, files)


SOURCES: dict[str, Reader] = {"ham10000": _ham10000, "isic": _isic, "folder": _folder, "table": _table}
