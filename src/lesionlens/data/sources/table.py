"""Tables: a CSV as people save it, and an index from any CSV with columns that the user names."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lesionlens.core.errors import DataError
from lesionlens.core.legacy import current_split
from lesionlens.data.files import ImageFiles, scan
from lesionlens.data.index import SOURCE_SPLITS, Index
from lesionlens.data.sources.listing import STRICT, Row, Rules, make_index

DELIMITERS = ",;\t"
ALIASES = {
    "image": ("image_id", "image", "isic_id", "image_name", "img_id", "filename", "file_name", "file", "path"),
    "dx": ("dx", "diagnosis", "label", "class"),
    "lesion": ("lesion_id", "lesion"),
    "age": ("age", "age_approx", "age_approximate"),
    "sex": ("sex", "gender"),
    "site": ("site", "localization", "anatom_site_general", "region"),
    "mask": ("mask", "mask_path"),
    "split": ("split", "part"),
}
NEEDED = ("image", "dx")


@dataclass(frozen=True)
class Columns:
    """Names of columns in a user's table; an empty one is looked for under its usual names.

    Attributes:
        image: id, file name or path of the image.
        dx: the diagnosis.
        lesion: which lesion is shown.
        age: years.
        sex: of the patient.
        site: place on the body.
        mask: lesion mask.
        split: `train`, `validation` or `test`.
    """

    image: str = ""
    dx: str = ""
    lesion: str = ""
    age: str = ""
    sex: str = ""
    site: str = ""
    mask: str = ""
    split: str = ""


USUAL = Columns()


@dataclass(frozen=True)
class Table:
    """A CSV in memory.

    Attributes:
        path: the file.
        columns: names as written, without surrounding blanks.
        rows: line number and cells of each row that is not empty.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]

    def position(self, name: str) -> int | None:
        """Where column `name` stands, whatever its case; None if there is none."""
        lower = [column.lower() for column in self.columns]
        return lower.index(name.lower()) if name.lower() in lower else None

    def need(self, name: str) -> int:
        """Where column `name` stands.

        Raises:
            DataError: if there is none.
        """
        position = self.position(name)
        if position is None:
            raise DataError(f"{self.path} has no column {name!r}; it has {', '.join(self.columns)}. Add it or rename yours")
        return position

    def where(self, line: int) -> str:
        """File and line, for errors."""
        return f"{self.path} line {line}"


def load_table(path: Path) -> Table:
    """Read a CSV separated by commas, semicolons or tabs.

    A byte-order mark, Windows line ends, quoted fields, empty lines and empty trailing columns
    are all fine.

    Raises:
        DataError: if it is missing, empty, not UTF-8 (or UTF-16 with its mark), or a row has more or
            fewer fields than the header.
    """
    text = _text(path)
    delimiter = max(DELIMITERS, key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except csv.Error as error:
        raise DataError(f"{path} line {reader.line_num} is not CSV ({error}); save it again as CSV") from error
    filled = [(number, cells) for number, cells in lines if any(cells)]
    if not filled:
        raise DataError(f"{path} is empty; its first line must name the columns")
    columns = tuple(_without_empty_end(filled[0][1]))
    lower = [column.lower() for column in columns]
    if len(set(lower)) < len(lower):
        raise DataError(f"{path} names a column twice: {', '.join(columns)}; rename one of them")
    return Table(path, columns, tuple((number, _fit(path, number, cells, len(columns))) for number, cells in filled[1:]))


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); give the path of a CSV file") from error
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 (byte {error.start}); save it as 'CSV UTF-8'") from error


def _without_empty_end(cells: list[str]) -> list[str]:
    while cells and not cells[-1]:
        cells = cells[:-1]
    return cells


def _fit(path: Path, number: int, cells: list[str], width: int) -> tuple[str, ...]:
    if len(cells) < width or any(cells[width:]):
        raise DataError(f"{path} line {number} has {len(cells)} fields, the header has {width}; correct the line")
    return tuple(cells[:width])


def resolve_columns(table: Table, columns: Columns) -> dict[str, int]:
    """Positions of the columns that are there, by field name of `Columns`.

    Raises:
        DataError: if a column that the user named, or a needed one, is not there.
    """
    found = {}
    for name in (field.name for field in dataclasses.fields(Columns)):
        if written := getattr(columns, name):
            found[name] = table.need(written)
            continue
        position = next((p for alias in ALIASES[name] if (p := table.position(alias)) is not None), None)
        if position is not None:
            found[name] = position
        elif name in NEEDED:
            raise DataError(
                f"{table.path} has none of the columns {', '.join(ALIASES[name])}; it has {', '.join(table.columns)}. "
                f"Name one with --{name}-column"
            )
    return found


def table_rows(table: Table, columns: Columns, split_name: str = "") -> Iterator[Row]:
    """The rows of a table.

    Args:
        table: read by `load_table`.
        columns: names given by the user.
        split_name: split of every row, where the table has no such column.

    Raises:
        DataError: if a needed column is missing, or a split is unknown.
    """
    positions = resolve_columns(table, columns)
    for line, cells in table.rows:
        values = {name: cells[position] for name, position in positions.items()}
        values["split"] = current_split(values.get("split", split_name).lower())
        if values["split"] not in SOURCE_SPLITS:
            raise DataError(f"{table.where(line)}: split {values['split']!r}; it must be {', '.join(SOURCE_SPLITS[1:])} or empty")
        yield Row(table.where(line), **values)


def read_table(path: Path, columns: Columns, rules: Rules = STRICT, files: ImageFiles | None = None) -> Index:
    """Index any CSV; images are looked for in its folder and below.

    Args:
        path: the CSV.
        columns: names of its columns.
        rules: what to do with missing images.
        files: what lies below the folder of images, if it was searched already or is another one.

    Raises:
        DataError: if a column, an image or a value is missing or wrong.
    """
    table = load_table(path)
    rows = list(table_rows(table, columns))
    return make_index(rows, files or scan(path.parent), "table", None, rules)
