"""ISIC challenges: task 3 of 2018 and the challenge of 2019, from their ground-truth tables.

https://challenge.isic-archive.com/data. Labels are one column for each diagnosis, 1 in the true one;
the copy of the 2018 test labels at Harvard Dataverse has the columns of HAM10000 instead.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lesionlens.core.errors import DataError
from lesionlens.core.labels import HAM10000, ISIC2019
from lesionlens.core.legacy import current_split
from lesionlens.data.files import ImageFiles, same_bytes, scan
from lesionlens.data.index import Index
from lesionlens.data.sources.listing import STRICT, Row, Rules, make_index
from lesionlens.data.sources.table import Columns, Table, load_table, table_rows

NAME = re.compile(
    r"isic_?(?P<year>2018_task3|2019)_(?P<split>training|validation|test)_(?P<kind>groundtruth|lesiongroupings|metadata)"
)
CODES = {
    "MEL": "mel",
    "NV": "nv",
    "BCC": "bcc",
    "AKIEC": "akiec",
    "AK": "akiec",
    "BKL": "bkl",
    "DF": "df",
    "VASC": "vasc",
    "SCC": "scc",
    "UNK": "",
}
LABELS = {"2018": HAM10000, "2019": ISIC2019}
FIELDS = {"lesion": "lesion_id", "age": "age_approx", "sex": "sex", "site": "anatom_site_general"}


@dataclass(frozen=True)
class GroundTruth:
    """One ground-truth table.

    Attributes:
        path: the CSV.
        year: `2018` or `2019`.
        split: `train`, `validation` or `test`.
    """

    path: Path
    year: str
    split: str


def find_ground_truths(files: ImageFiles) -> list[GroundTruth]:
    """Ground-truth tables below the root, by year and split.

    Raises:
        DataError: if there are different ones for one split.
    """
    found = _find_tables(files, ("groundtruth",))
    return [
        GroundTruth(path, year, split_name) for (year, split_name, _), path in sorted(found.items(), key=lambda item: item[0])
    ]


def _find_tables(files: ImageFiles, kinds: Sequence[str]) -> dict[tuple[str, str, str], Path]:
    found: dict[tuple[str, str, str], list[Path]] = {}
    for path in files.tables:
        match = NAME.fullmatch(Path(path).stem.lower())
        if match and match["kind"] in kinds:
            key = (match["year"][:4], current_split(match["split"]), match["kind"])
            found.setdefault(key, []).append(files.root / path)
    return {key: one_file(paths) for key, paths in found.items()}


def one_file(paths: Sequence[Path]) -> Path:
    """The first of several files if all are equal.

    Raises:
        DataError: if they differ.
    """
    for other in paths[1:]:
        if not same_bytes(paths[0], other):
            raise DataError(f"{paths[0]} and {other} differ; keep one of them")
    return paths[0]


def ground_truth_rows(truth: GroundTruth, files: ImageFiles) -> tuple[list[Row], int]:
    """Rows of a ground-truth table, completed from its metadata or lesion groupings.

    Returns:
        The rows, and how many of diagnosis UNK were left out.

    Raises:
        DataError: if a column is missing, or a row has not exactly one diagnosis.
    """
    table = load_table(truth.path)
    if table.position("dx") is not None:
        columns = Columns(image="image_id", dx="dx", lesion="lesion_id" if table.position("lesion_id") is not None else "")
        return list(table_rows(table, columns, truth.split)), 0
    facts = _facts(truth, files)
    image = table.need("image")
    codes = {p: code for name, code in CODES.items() if (p := table.position(name)) is not None}
    if len(codes) < 2:
        raise DataError(f"{table.path} has no columns of diagnoses ({', '.join(CODES)}); it has {', '.join(table.columns)}")
    rows = []
    for line, cells in table.rows:
        row = Row(table.where(line), cells[image], _one_hot(table, line, cells, codes), split=truth.split)
        rows.append(replace(row, **facts.get(row.image, {})))
    known = [row for row in rows if row.dx]
    return known, len(rows) - len(known)


def _one_hot(table: Table, line: int, cells: Sequence[str], codes: dict[int, str]) -> str:
    try:
        chosen = [code for position, code in codes.items() if float(cells[position]) == 1]
        others = [position for position in codes if float(cells[position]) not in (0, 1)]
    except ValueError:
        chosen, others = [], list(codes)
    if len(chosen) != 1 or others:
        raise DataError(f"{table.where(line)}: {','.join(cells)}; exactly one diagnosis must be 1 and the others 0")
    return chosen[0]


def _facts(truth: GroundTruth, files: ImageFiles) -> dict[str, dict[str, str]]:
    facts: dict[str, dict[str, str]] = {}
    for (year, split_name, _), path in _find_tables(files, ("lesiongroupings", "metadata")).items():
        if (year, split_name) != (truth.year, truth.split):
            continue
        table = load_table(path)
        image = table.need("image")
        places = {name: p for name, column in FIELDS.items() if (p := table.position(column)) is not None}
        for _, cells in table.rows:
            facts.setdefault(cells[image], {}).update({name: cells[position] for name, position in places.items()})
    return facts


def read_isic(root: Path, rules: Rules = STRICT, files: ImageFiles | None = None) -> Index:
    """Index ISIC 2018 task 3 or ISIC 2019.

    Every split whose ground truth lies below `root` is read and marked in `Record.split`.

    Args:
        root: folder that holds the ground-truth tables and the images, at any depth.
        rules: what to do with missing images.
        files: what lies below `root`, if it was searched already.

    Raises:
        DataError: if there is no ground truth, both years lie there, an image is in two splits or
            missing, or a row has not exactly one diagnosis.
    """
    files = files or scan(root)
    truths = find_ground_truths(files)
    years = sorted({truth.year for truth in truths})
    if len(years) != 1:
        found = "both ISIC 2018 and ISIC 2019, which share images," if years else "no ISIC ground truth"
        raise DataError(f"{found} below {root}; index one folder with one challenge's *_GroundTruth.csv")
    rows: list[Row] = []
    unknown = 0
    for truth in truths:
        found_rows, left_out = ground_truth_rows(truth, files)
        rows += found_rows
        unknown += left_out
    notes = [f"{unknown} images of diagnosis UNK were left out; no label set here has it"] if unknown else []
    return make_index(rows, files, f"isic{years[0]}", LABELS[years[0]], rules, notes)
