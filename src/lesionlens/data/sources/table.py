"""Tables: a CSV as people save it, and an index from any CSV with columns that the user names."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lesionlens.core.errors import DataError, RecipeError
from lesionlens.core.legacy import current_split
from lesionlens.data.files import ImageFiles, scan
from lesionlens.data.index import SOURCE_SPLITS, Index
from lesionlens.data.sources.listing import make_index
from lesionlens.data.sources.row import Row
from lesionlens.data.sources.rules import STRICT, Rules

DELIMITERS = ",;\t"
SEPARATOR_LINE = re.compile(r'"?sep=(?P<delimiter>.)"?[,;\s]*', re.IGNORECASE)  # Excel starts a CSV with it
INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad"))
ALIASES = {
    "image": ("image_id", "image", "isic_id", "image_name", "img_id", "filename", "file_name", "file", "path"),
    "dx": ("dx", "diagnosis", "label", "class"),
    "lesion": ("lesion_id", "lesion"),
    "age": ("age", "age_approx", "age_approximate"),
    "sex": ("sex", "gender"),
    "site": ("site", "localization", "anatom_site_general", "anatom_site_general_challenge", "region"),
    "mask": ("mask", "mask_path"),
    "split": ("split", "part"),
    "patient": (
        *("patient_id", "patient", "patient_number", "patient_no", "patient_code"),
        *("subject_id", "subject", "participant_id", "participant", "person_id", "individual_id"),
    ),
    "dx_type": ("dx_type", "diagnosis_confirm_type"),
    "dataset": ("dataset", "attribution"),
    "malignancy": ("benign_malignant", "diagnosis_1"),
}
NEEDED = ("image", "dx")
GROUP_LIKE = re.compile(r"patient|subject|participant|person|individual|case|group|study|visit", re.IGNORECASE)


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
        patient: which patient it is.
        dx_type: how the diagnosis was made.
        dataset: clinic or collection that the image came from.
    """

    image: str = ""
    dx: str = ""
    lesion: str = ""
    age: str = ""
    sex: str = ""
    site: str = ""
    mask: str = ""
    split: str = ""
    patient: str = ""
    dx_type: str = ""
    dataset: str = ""


USUAL = Columns()


@dataclass(frozen=True)
class Table:
    """A CSV in memory.

    Attributes:
        path: the file.
        columns: names as written, without surrounding blanks.
        rows: line number and cells of each row that is not empty.
        notes: what was changed to read it.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    notes: tuple[str, ...] = ()

    def position(self, name: str) -> int | None:
        """Where column `name` is, whatever its case, blanks, hyphens and underscores; None if there is none."""
        for same in (str.lower, _column_key):
            keys = [same(column) for column in self.columns]
            if same(name) in keys:
                return keys.index(same(name))
        return None

    def has(self, *names: str) -> bool:
        """Whether it has all these columns."""
        return all(self.position(name) is not None for name in names)

    def need(self, name: str) -> int:
        """Where column `name` is.

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


def load_table(path: Path, encoding: str = "") -> Table:
    """Read a CSV separated by commas, semicolons or tabs.

    A byte-order mark, Windows line ends, quoted fields, empty lines, empty trailing columns, Excel's line `sep=;` and
    invisible characters are all fine.

    Args:
        path: the file.
        encoding: such as `latin-1`; empty means UTF-8, or UTF-16 with its mark.

    Raises:
        DataError: if it is missing, empty, not in its encoding, or a row has more or fewer fields than the header.
        RecipeError: if the encoding is unknown.
    """
    return parse_table(path, read_text(path, encoding))


def read_text(path: Path, encoding: str = "") -> str:
    """The text of a table; raises as `load_table`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); give the path of a CSV file") from error
    usual = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return content.decode(encoding or usual).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        advice = (
            "name another --encoding" if encoding else "save it as 'CSV UTF-8' or name its encoding, such as --encoding latin-1"
        )
        raise DataError(f"{path} is not {encoding or 'UTF-8'} (byte {error.start}); {advice}") from error
    except LookupError as error:
        raise RecipeError(f"unknown encoding {encoding!r}; known are utf-8, latin-1, cp1252 and the others of Python") from error


def parse_table(path: Path, text: str) -> Table:
    """The table in a text; `path` is for errors. Raises as `load_table`."""
    visible = text.translate(INVISIBLE)
    notes = (f"{path.name}: {len(text) - len(visible)} invisible characters were removed",) if len(visible) < len(text) else ()
    before, delimiter = _delimiter(visible)
    reader = csv.reader(io.StringIO(visible, newline=""), delimiter=delimiter, strict=True)
    try:
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except csv.Error as error:
        raise DataError(f"{path} line {reader.line_num} is not CSV ({error}); save it again as CSV") from error
    filled = [(number, cells) for number, cells in lines[before:] if any(cells)]
    if not filled:
        raise DataError(f"{path} is empty; its first line must name the columns")
    columns = tuple(_without_empty_end(filled[0][1]))
    if len({column.lower() for column in columns}) < len(columns):
        raise DataError(f"{path} names a column twice: {', '.join(columns)}; rename one of them")
    return Table(path, columns, tuple((number, _fit(path, number, cells, len(columns))) for number, cells in filled[1:]), notes)


def _delimiter(text: str) -> tuple[int, str]:
    """How many lines come before the header, and what separates fields."""
    lines = text.splitlines()
    stated = SEPARATOR_LINE.fullmatch(lines[0]) if lines else None
    if stated:
        return 1, stated["delimiter"]
    header = next((line for line in lines if line.strip()), "")
    return 0, max(DELIMITERS, key=header.count)


def _column_key(name: str) -> str:
    return re.sub(r"[\s_\-]+", "", name).lower()


def _without_empty_end(cells: list[str]) -> list[str]:
    while cells and not cells[-1]:
        cells = cells[:-1]
    return cells


def _fit(path: Path, number: int, cells: list[str], width: int) -> tuple[str, ...]:
    if len(cells) < width or any(cells[width:]):
        raise DataError(f"{path} line {number} has {len(cells)} fields, the header has {width}; correct the line")
    return tuple(cells[:width])


def resolve_columns(table: Table, columns: Columns) -> dict[str, int]:
    """Positions of the columns that are there, by field name of `Columns`, and of `malignancy`.

    Raises:
        DataError: if a column that the user named, or a needed one, is not there.
    """
    positions: dict[str, int] = {}
    for name, aliases in ALIASES.items():
        if written := getattr(columns, name, ""):
            positions[name] = table.need(written)
            continue
        position = next((p for alias in aliases if (p := table.position(alias)) is not None), None)
        if position is not None:
            positions[name] = position
        elif name in NEEDED:
            raise DataError(
                f"{table.path} has none of the columns {', '.join(aliases)}; it has {', '.join(table.columns)}. "
                f"Name one with --{name}-column"
            )
    if positions.get("malignancy") == positions["dx"]:
        del positions["malignancy"]
    return positions


def column_notes(table: Table, columns: Columns) -> list[str]:
    """Which column tells patients apart without the user having said so, and which columns are not used."""
    used, notes = resolve_columns(table, columns), list(table.notes)
    if "patient" in used and not columns.patient:
        notes.append(f"patients are told apart by column {table.columns[used['patient']]!r}; their images stay together")
    unused = [name for number, name in enumerate(table.columns) if number not in used.values() and name]
    for name in unused:
        if GROUP_LIKE.search(name):
            notes.append(
                f"column {name!r} looks like the id of a patient, case or group and is not used; if its images must stay "
                f"together, name it with --patient-column {name}"
            )
    if unused:
        notes.append(f"columns of {table.path.name} that are not used: {', '.join(unused)}")
    return notes


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


def read_table(
    path: Path, columns: Columns, rules: Rules = STRICT, files: ImageFiles | None = None, source: str = "table"
) -> Index:
    """Index any CSV; images are looked for in its folder and below.

    Args:
        path: the CSV.
        columns: names of its columns.
        rules: what to do with missing images and labels.
        files: what is below the folder of images, if it was searched already or is another one.
        source: name of the source that it is.

    Raises:
        DataError: if a column, an image or a value is missing or wrong.
    """
    table = load_table(path, rules.encoding)
    rows = list(table_rows(table, columns))
    return make_index(rows, files or scan(path.parent), source, None, rules, column_notes(table, columns))
