"""Sources: which reader makes an index from what the user has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from lesionlens.core.artifact import stamp_path
from lesionlens.core.errors import DataError, RecipeError
from lesionlens.data.files import ImageFiles, scan
from lesionlens.data.groups import ISIC_PAIR_COLUMNS, PAIR_COLUMNS
from lesionlens.data.index import Index, read_index
from lesionlens.data.sources.derm7pt import SPLIT_FILES, find_derm7pt_table, read_derm7pt
from lesionlens.data.sources.folder import read_folder
from lesionlens.data.sources.ham10000 import METADATA, find_metadata, read_ham10000
from lesionlens.data.sources.isic import find_ground_truths, is_challenge_table, read_isic
from lesionlens.data.sources.medmnist import find_npz, read_medmnist
from lesionlens.data.sources.ph2 import NAME as PH2_NAME
from lesionlens.data.sources.ph2 import find_ph2_table, read_ph2
from lesionlens.data.sources.rules import STRICT, Rules
from lesionlens.data.sources.table import USUAL, Columns, Table, load_table, read_table, resolve_columns

TABLE_ENDINGS = (".csv", ".tsv")
ARCHIVE_LEVELS = ("diagnosis_3", "diagnosis_2", "diagnosis_1", "diagnosis")


@dataclass(frozen=True)
class Place:
    """Where the images are.

    Attributes:
        root: what the user gave: a folder, or a file whose folder holds the images.
        files: what is below the folder.
    """

    root: Path
    files: ImageFiles


Reader = Callable[[Place, Rules, Columns], Index]


def read_source(root: Path, source: str = "auto", rules: Rules = STRICT, columns: Columns = USUAL) -> Index:
    """Index images, whatever layout they come in.

    Args:
        root: folder of images; a CSV whose folder holds them; an .npz of MedMNIST; or an index.csv made before.
        source: one of `SOURCES`, or `auto` to recognise it; `Index.source` says which it was.
        rules: what to do with missing images and labels, and which labels are malignant.
        columns: names of columns in a user's own table.

    Raises:
        DataError: if the source cannot be read.
        RecipeError: if `source` is unknown, or an index is given with rules or columns, which it has already.
    """
    if source != "auto" and source not in SOURCES:
        raise RecipeError(f"unknown source {source!r}; known are auto, {', '.join(SOURCES)}")
    if source == "index" or (source == "auto" and is_index(root)):
        return _made_before(root, rules, columns)
    if source == "medmnist" or (source == "auto" and _is_medmnist(root)):
        return read_medmnist(root, rules)
    place = Place(root, scan(root.parent if root.is_file() else root))
    name = recognise(place, columns, rules) if source == "auto" else source
    index = READERS[name](place, rules, columns)
    return replace(index, notes=(*index.notes, *_unread_tables(place, name, columns, rules)))


def is_index(root: Path) -> bool:
    """Whether it is an index.csv with its stamp."""
    return root.is_file() and root.suffix.lower() == ".csv" and stamp_path(root).is_file()


def _made_before(path: Path, rules: Rules, columns: Columns) -> Index:
    if columns != USUAL or replace(rules, unpack_to=None) != STRICT:
        raise RecipeError(
            f"{path} is an index already, with its labels, their malignancy and its columns; give the images or their own table "
            "to change these"
        )
    return read_index(path)


def _is_medmnist(root: Path) -> bool:
    if root.is_file():
        return root.suffix.lower() == ".npz"
    return find_npz(root) is not None and not ImageFiles(root).images


def recognise(place: Place, columns: Columns = USUAL, rules: Rules = STRICT) -> str:
    """Name of the source that a place looks like, a key of `READERS`."""
    files, root = place.files, place.root
    if columns != USUAL:
        return _table_kind(load_table(_only_table(place, columns, rules), rules.encoding))
    if root.is_file():
        return _recognise_file(root, files, rules)
    for name, find in FINDERS.items():
        if find(files):
            return name
    usable = _usable_tables(files, rules)
    return _table_kind(usable[0]) if usable else "folder"


def _recognise_file(path: Path, files: ImageFiles, rules: Rules) -> str:
    if path.stem.lower() == METADATA:
        return "ham10000"
    if any(truth.path.name == path.name for truth in find_ground_truths(files)):
        return "isic"
    if find_ph2_table(files) == path:
        return "ph2"
    if find_derm7pt_table(files) == path:
        return "derm7pt"
    return _table_kind(load_table(path, rules.encoding))


def _table_kind(table: Table) -> str:
    if table.has("image_name", "benign_malignant", "target"):
        return "isic2020"
    return "isic-archive" if table.has("isic_id") and any(table.has(level) for level in ARCHIVE_LEVELS) else "table"


def _usable_tables(files: ImageFiles, rules: Rules) -> list[Table]:
    """Tables directly in the root that name images and diagnoses in the usual way."""
    usable = []
    for path in _tables_in_root(files):
        try:
            table = load_table(path, rules.encoding)
            if _table_kind(table) == "table":
                resolve_columns(table, USUAL)
        except DataError:
            continue
        usable.append(table)
    return usable


def _tables_in_root(files: ImageFiles) -> list[Path]:
    return [files.root / path for path in files.tables if "/" not in path and path.lower().endswith(TABLE_ENDINGS)]


def _only_table(place: Place, columns: Columns, rules: Rules) -> Path:
    if place.root.is_file():
        return place.root
    tables = _tables_in_root(place.files)
    if len(tables) > 1 and columns == USUAL:
        tables = [table.path for table in _usable_tables(place.files, rules)]
    if len(tables) != 1:
        names = ", ".join(path.name for path in tables) or "none"
        raise DataError(f"{place.root} must hold one CSV that lists its images, found {names}; give the path of the CSV itself")
    return tables[0]


def _unread_tables(place: Place, name: str, columns: Columns, rules: Rules) -> list[str]:
    """Notes about tables in the root that the reader `name` does not read."""
    tables = _tables_in_root(place.files)
    if name in TABLE_KINDS:
        read = {_only_table(place, columns, rules)}
    else:
        read = {path for path in tables if path.stem.lower() in READ_STEMS or is_challenge_table(path)}
    notes = []
    for path in sorted(set(tables) - read):
        try:
            lists_pairs = any(load_table(path, rules.encoding).has(*names) for names in (PAIR_COLUMNS, ISIC_PAIR_COLUMNS))
        except DataError:
            lists_pairs = False
        advice = "; it lists pairs of images, so give it to `audit` and `split` with --pairs" if lists_pairs else ""
        notes.append(f"{path.name} is not used{advice}")
    return notes


def _read_table(place: Place, rules: Rules, columns: Columns) -> Index:
    return read_table(_only_table(place, columns, rules), columns, rules, place.files)


def _read_isic2020(place: Place, rules: Rules, columns: Columns) -> Index:
    """The challenge of 2020: its label is benign or malignant, because most images have no diagnosis."""
    path, challenge = _only_table(place, columns, rules), replace(columns, dx=columns.dx or "benign_malignant")
    index = read_table(path, challenge, rules, place.files, "isic2020")
    if challenge.dx != "benign_malignant":
        return index
    note = "the labels are benign and malignant, as in the challenge; most images have no other, see --dx-column diagnosis"
    return replace(index, notes=(note, *index.notes))


def _read_archive(place: Place, rules: Rules, columns: Columns) -> Index:
    """metadata.csv of the ISIC Archive, as isic-cli writes it: diagnoses on nested levels, each column only if it is filled."""
    path = _only_table(place, columns, rules)
    table = load_table(path, rules.encoding)
    level = columns.dx or next(level for level in ARCHIVE_LEVELS if table.has(level))
    index = read_table(path, replace(columns, dx=level), rules, place.files, "isic-archive")
    notes = [f"the labels are those of column {level}; name another level with --dx-column"]
    kind = table.position("image_type")
    others = [cells for _, cells in table.rows if kind is not None and cells[kind].lower() not in ("", "dermoscopic")]
    if others:
        notes.append(f"{len(others)} images are not dermoscopic by column image_type, and are indexed all the same")
    return replace(index, notes=(*notes, *index.notes))


FINDERS: dict[str, Callable[[ImageFiles], object]] = {
    "ham10000": find_metadata,
    "isic": find_ground_truths,
    "ph2": find_ph2_table,
    "derm7pt": find_derm7pt_table,
}
READERS: dict[str, Reader] = {
    "ham10000": lambda place, rules, columns: read_ham10000(place.files.root, rules, place.files),
    "isic": lambda place, rules, columns: read_isic(place.files.root, rules, place.files),
    "isic2020": _read_isic2020,
    "isic-archive": _read_archive,
    "ph2": lambda place, rules, columns: read_ph2(place.files.root, rules, place.files),
    "derm7pt": lambda place, rules, columns: read_derm7pt(place.files.root, rules, place.files),
    "folder": lambda place, rules, columns: read_folder(place.files.root, rules, place.files),
    "table": _read_table,
}
SOURCES = (*READERS, "medmnist", "index")
TABLE_KINDS = ("isic2020", "isic-archive", "table")
READ_STEMS = (METADATA, PH2_NAME, "meta", *SPLIT_FILES)
