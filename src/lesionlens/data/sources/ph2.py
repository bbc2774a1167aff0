"""PH2: 200 images of common nevi, atypical nevi and melanomas.

Mendonça et al., EMBC 2013; https://www.fc.up.pt/addi/ph2%20database.html. The table is PH2_dataset.txt, whose columns are
separated by `||` and whose diagnosis is a number, or PH2_dataset.xlsx saved as CSV, with an X in one of three columns.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lesionlens.core.errors import DataError
from lesionlens.core.labels import PH2
from lesionlens.data.files import ImageFiles, scan
from lesionlens.data.index import Index
from lesionlens.data.sources.isic import one_file
from lesionlens.data.sources.listing import make_index
from lesionlens.data.sources.row import Row
from lesionlens.data.sources.rules import STRICT, Rules
from lesionlens.data.sources.table import parse_table, read_text

NAME = "ph2_dataset"
DIAGNOSES = {"0": "common nevus", "1": "atypical nevus", "2": "melanoma"}
MARKS = {"Common Nevus": "common nevus", "Atypical Nevus": "atypical nevus", "Melanoma": "melanoma"}


def find_ph2_table(files: ImageFiles) -> Path | None:
    """PH2_dataset.txt or .csv below the root; None if there is none.

    Raises:
        DataError: if there are different ones.
    """
    paths = [files.root / path for path in files.tables if Path(path).stem.lower() == NAME]
    return one_file(paths) if paths else None


def read_ph2(root: Path, rules: Rules = STRICT, files: ImageFiles | None = None) -> Index:
    """Index PH2.

    Args:
        root: folder that holds the table and the images, at any depth.
        rules: what to do with missing images and labels.
        files: what is below `root`, if it was searched already.

    Raises:
        DataError: if the table is missing or has no diagnosis in a row.
    """
    files = files or scan(root)
    path = find_ph2_table(files)
    if path is None:
        raise DataError(f"no PH2_dataset.txt below {root}; it comes with the images of PH2")
    text = read_text(path, rules.encoding)
    rows = _rows_of_text(path, text) if "||" in text else _rows_of_table(path, text)
    notes = ["of the table of PH2 only name and diagnosis are used"]
    return make_index([_with_mask(row, files) for row in rows], files, "ph2", PH2, rules, notes)


def _rows_of_text(path: Path, text: str) -> list[Row]:
    rows = []
    name, diagnosis = -1, -1
    for number, line in enumerate(text.splitlines(), 1):
        cells = [cell.strip() for cell in line.split("||")]
        if "Clinical Diagnosis" in cells and "Name" in cells:
            name, diagnosis = cells.index("Name"), cells.index("Clinical Diagnosis")
        elif name >= 0 and len(cells) > max(name, diagnosis):
            if cells[diagnosis] not in DIAGNOSES:
                raise DataError(
                    f"{path} line {number}: diagnosis {cells[diagnosis]!r}; it must be 0, 1 or 2. Use the official file"
                )
            rows.append(Row(f"{path} line {number}", cells[name], DIAGNOSES[cells[diagnosis]]))
    if not rows:
        raise DataError(f"{path} has no line with Name and Clinical Diagnosis; use the official file")
    return rows


def _rows_of_table(path: Path, text: str) -> list[Row]:
    """Rows of the spreadsheet saved as CSV: its first lines are a title, so the header is looked for."""
    lines = text.splitlines()
    start = next((n for n, line in enumerate(lines) if "image name" in line.lower()), 0)
    table = parse_table(path, "\n".join(lines[start:]))
    image = table.need("Image Name")
    rows = []
    for line, cells in table.rows:
        marked = [name for column, name in MARKS.items() if cells[table.need(column)].strip().lower() == "x"]
        where = f"{path} line {start + line}"
        if len(marked) != 1:
            raise DataError(f"{where}: {len(marked)} of {', '.join(MARKS)} are marked X; exactly one must be")
        rows.append(Row(where, cells[image], marked[0]))
    return rows


def _with_mask(row: Row, files: ImageFiles) -> Row:
    mask = f"{row.image}_lesion"
    return replace(row, mask=mask) if files.find_image(mask) else row
