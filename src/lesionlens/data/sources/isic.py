"""ISIC challenges of 2016 to 2019, from their ground-truth tables.

https://challenge.isic-archive.com/data. The tables of 2016 (part 3) hold `benign` or `malignant`, without a header. Those of
2017 (part 3) mark melanoma and seborrheic keratosis; what is neither is a nevus. Those of 2018 (task 3) and 2019 have one
column for each diagnosis, 1 in the true one; the copy of the 2018 test labels at Harvard Dataverse has the columns of
HAM10000 instead. The table of 2020 is read by `table.read_table`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lesionlens.core.errors import DataError
from lesionlens.core.labels import HAM10000, ISIC2016, ISIC2017, ISIC2019
from lesionlens.core.legacy import current_split
from lesionlens.data.files import ImageFiles, same_bytes, scan
from lesionlens.data.index import Index
from lesionlens.data.sources.listing import make_index
from lesionlens.data.sources.row import Row
from lesionlens.data.sources.rules import STRICT, Rules
from lesionlens.data.sources.table import Columns, Table, load_table, table_rows

SPLIT = "(?P<split>training|validation|test)(?:_v2)?"
NAMES = (
    re.compile(rf"isbi(?P<year>2016)_isic_part3b?_{SPLIT}_(?P<kind>groundtruth)"),
    re.compile(rf"isic-(?P<year>2017)_{SPLIT}_part3_(?P<kind>groundtruth)"),
    re.compile(rf"isic-(?P<year>2017)_{SPLIT}_data_(?P<kind>metadata)"),
    re.compile(rf"isic_?(?P<year>2018)_task3_{SPLIT}_(?P<kind>groundtruth|lesiongroupings)"),
    re.compile(rf"isic_?(?P<year>2019)_{SPLIT}_(?P<kind>groundtruth|metadata)"),
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
    "UNK": "UNK",
}
CODES_2017 = {"melanoma": "mel", "seborrheic_keratosis": "sk"}
LABELS = {"2016": ISIC2016, "2017": ISIC2017, "2018": HAM10000, "2019": ISIC2019}
IMAGE = {"2017": "image_id", "2018": "image", "2019": "image"}
FIELDS = {"lesion": ("lesion_id",), "age": ("age_approx", "age_approximate"), "sex": ("sex",), "site": ("anatom_site_general",)}
BINARY = {"benign": "benign", "malignant": "malignant", "0": "benign", "0.0": "benign", "1": "malignant", "1.0": "malignant"}


@dataclass(frozen=True)
class GroundTruth:
    """One ground-truth table.

    Attributes:
        path: the CSV.
        year: `2016` to `2019`.
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
    tables = _find_tables(files, ("groundtruth",))
    return [
        GroundTruth(path, year, split_name) for (year, split_name, _), path in sorted(tables.items(), key=lambda item: item[0])
    ]


def is_challenge_table(path: Path) -> bool:
    """Whether a file has the name of a challenge's ground truth or metadata."""
    return _match(path) is not None


def _match(path: Path) -> re.Match[str] | None:
    return next((match for name in NAMES if (match := name.fullmatch(path.stem.lower()))), None)


def _find_tables(files: ImageFiles, kinds: Sequence[str]) -> dict[tuple[str, str, str], Path]:
    tables: dict[tuple[str, str, str], list[Path]] = {}
    for path in files.tables:
        match = _match(Path(path))
        if match and match["kind"] in kinds:
            key = (match["year"], current_split(match["split"]), match["kind"])
            tables.setdefault(key, []).append(files.root / path)
    return {key: one_file(paths) for key, paths in tables.items()}


def one_file(paths: Sequence[Path]) -> Path:
    """The first of several files if all are equal.

    Raises:
        DataError: if they differ.
    """
    for other in paths[1:]:
        if not same_bytes(paths[0], other):
            raise DataError(f"{paths[0]} and {other} differ; keep one of them")
    return paths[0]


def ground_truth_rows(truth: GroundTruth, files: ImageFiles, encoding: str = "") -> list[Row]:
    """Rows of a ground-truth table, completed from its metadata or lesion groupings.

    Raises:
        DataError: if a column is missing, or a row has not exactly one diagnosis.
    """
    table = load_table(truth.path, encoding)
    if truth.year == "2016":
        return _binary_rows(table, truth.split)
    if table.has("dx"):
        columns = Columns(image="image_id", dx="dx", lesion="lesion_id" if table.has("lesion_id") else "")
        return list(table_rows(table, columns, truth.split))
    image = table.need(IMAGE[truth.year])
    rows = [
        Row(table.where(line), cells[image], _diagnosis(table, line, cells, truth.year), split=truth.split)
        for line, cells in table.rows
    ]
    facts = _facts(truth, files, encoding)
    return [replace(row, **facts.get(row.image, {})) for row in rows]


def _binary_rows(table: Table, split_name: str) -> list[Row]:
    """Rows of 2016: an image and its label; the first line is a row too, unless it names columns."""
    if len(table.columns) != 2:
        raise DataError(f"{table.path} has {len(table.columns)} columns; it must have an image and benign or malignant")
    lines = [(table.where(1), table.columns), *((table.where(line), cells) for line, cells in table.rows)]
    if table.columns[1].lower() not in BINARY:
        lines = lines[1:]
    wrong = [where for where, cells in lines if cells[1].lower() not in BINARY]
    if wrong:
        raise DataError(f"{wrong[0]}: the label must be benign or malignant, or 0 or 1; use the official file")
    return [Row(where, cells[0], BINARY[cells[1].lower()], split=split_name) for where, cells in lines]


def _diagnosis(table: Table, line: int, cells: Sequence[str], year: str) -> str:
    codes = CODES_2017 if year == "2017" else CODES
    positions = {position: code for name, code in codes.items() if (position := table.position(name)) is not None}
    if len(positions) < 2:
        raise DataError(f"{table.path} has no columns of diagnoses ({', '.join(codes)}); it has {', '.join(table.columns)}")
    try:
        values = {position: float(cells[position]) for position in positions}
    except ValueError:
        values = {}
    ones = [positions[position] for position, value in values.items() if value == 1]
    if year == "2017" and values and not ones:
        ones = ["nv"]
    if len(ones) != 1 or not set(values.values()) <= {0, 1}:
        raise DataError(f"{table.where(line)}: {','.join(cells)}; exactly one diagnosis must be 1 and the others 0")
    return ones[0]


def _facts(truth: GroundTruth, files: ImageFiles, encoding: str) -> dict[str, dict[str, str]]:
    facts: dict[str, dict[str, str]] = {}
    for (year, split_name, _), path in _find_tables(files, ("lesiongroupings", "metadata")).items():
        if (year, split_name) != (truth.year, truth.split):
            continue
        table = load_table(path, encoding)
        image = table.need(IMAGE[year])
        places = {
            field: position for field, names in FIELDS.items() for name in names if (position := table.position(name)) is not None
        }
        for _, cells in table.rows:
            facts.setdefault(cells[image], {}).update({field: cells[position] for field, position in places.items()})
    return facts


def read_isic(root: Path, rules: Rules = STRICT, files: ImageFiles | None = None) -> Index:
    """Index the ISIC challenge of 2016, 2017, 2018 (task 3) or 2019.

    Every split whose ground truth is below `root` is read and marked in `Record.split`.

    Args:
        root: folder that holds the ground-truth tables and the images, at any depth.
        rules: what to do with missing images and labels.
        files: what is below `root`, if it was searched already.

    Raises:
        DataError: if there is no ground truth, or that of several years, an image is in two splits or missing, or a row has
            not exactly one diagnosis.
    """
    files = files or scan(root)
    truths = find_ground_truths(files)
    years = sorted({truth.year for truth in truths})
    if len(years) != 1:
        several = f"the challenges {' and '.join(f'ISIC {year}' for year in years)}, which share images, are"
        problem = several if years else "no ISIC ground truth is"
        raise DataError(f"{problem} below {root}; index one folder with one challenge's *_GroundTruth.csv")
    rows = [row for truth in truths for row in ground_truth_rows(truth, files, rules.encoding)]
    return make_index(rows, files, f"isic{years[0]}", LABELS[years[0]], rules)
