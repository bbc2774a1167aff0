"""Derm7pt, the seven-point checklist data set: cases with a clinical and a dermoscopic photograph; the latter is read.

Kawahara et al., IEEE J. Biomed. Health Inform. 23:538 (2019); https://derm.cs.sfu.ca. The table is meta.csv; train_indexes.csv,
valid_indexes.csv and test_indexes.csv name its rows, from 0, by split.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lesionlens.core.errors import DataError
from lesionlens.data.files import ImageFiles, scan
from lesionlens.data.index import Index
from lesionlens.data.sources.listing import make_index
from lesionlens.data.sources.rules import STRICT, Rules
from lesionlens.data.sources.table import Columns, Table, column_notes, load_table, table_rows

NEEDED = ("case_num", "diagnosis", "derm")
COLUMNS = Columns(image="derm", dx="diagnosis", lesion="case_num", sex="sex", site="location")
SPLIT_FILES = {"train_indexes": "train", "valid_indexes": "validation", "test_indexes": "test"}


def find_derm7pt_table(files: ImageFiles) -> Path | None:
    """The table with the columns of Derm7pt below the root; None if there is none."""
    for path in files.tables:
        if Path(path).name.lower() == "meta.csv":
            try:
                table = load_table(files.root / path)
            except DataError:
                continue
            if table.has(*NEEDED):
                return table.path
    return None


def read_derm7pt(root: Path, rules: Rules = STRICT, files: ImageFiles | None = None) -> Index:
    """Index Derm7pt.

    Args:
        root: folder that holds meta.csv and the images, at any depth.
        rules: what to do with missing images and labels.
        files: what is below `root`, if it was searched already.

    Raises:
        DataError: if the table is missing or lacks a column, or a split names a row that it does not have.
    """
    files = files or scan(root)
    path = find_derm7pt_table(files)
    if path is None:
        raise DataError(f"no meta.csv with the columns {', '.join(NEEDED)} below {root}; it comes with the images of Derm7pt")
    table = load_table(path, rules.encoding)
    columns = replace(COLUMNS, **{name: "" for name in ("sex", "site") if not table.has(getattr(COLUMNS, name))})
    splits = _splits(path.parent, table)
    rows = [
        replace(row, lesion=f"case {row.lesion}", split=splits.get(number, ""))
        for number, row in enumerate(table_rows(table, columns))
    ]
    notes = ["each case is a lesion, so case_num is its id", *column_notes(table, columns)]
    return make_index(rows, files, "derm7pt", None, rules, notes)


def _splits(folder: Path, table: Table) -> dict[int, str]:
    """Split of each row that one of the lists beside the table names."""
    splits: dict[int, str] = {}
    for stem, split_name in SPLIT_FILES.items():
        path = folder / f"{stem}.csv"
        if not path.is_file():
            continue
        listed = load_table(path)
        column = listed.need("indexes")
        for line, cells in listed.rows:
            if not cells[column].isdigit() or int(cells[column]) >= len(table.rows):
                raise DataError(
                    f"{listed.where(line)}: {cells[column]!r} is no row of {table.path.name}; it must be from 0 to "
                    f"{len(table.rows) - 1}. Use the official file"
                )
            splits[int(cells[column])] = split_name
    return splits
