"""HAM10000 as Harvard Dataverse and Kaggle ship it.

Tschandl, Rosendahl & Kittler, Sci. Data 5:180161 (2018), doi:10.7910/DVN/DBW86T. The images may be
in two folders, in one, or anywhere below the root; Kaggle's archive holds them twice and lacks the
column `dataset`. The test images of ISIC 2018 task 3, whose training split is HAM10000, are read
along where they are below the same root.
"""

from __future__ import annotations

from pathlib import Path

from lesionlens.core.errors import DataError
from lesionlens.core.labels import HAM10000
from lesionlens.data.files import SYNTHETIC_MARK, ImageFiles, scan
from lesionlens.data.index import Index
from lesionlens.data.sources.isic import GroundTruth, find_ground_truths, ground_truth_rows, one_file
from lesionlens.data.sources.listing import make_index
from lesionlens.data.sources.row import Row
from lesionlens.data.sources.rules import STRICT, Rules
from lesionlens.data.sources.table import Columns, column_notes, load_table, table_rows

METADATA = "ham10000_metadata"
NEEDED = ("lesion_id", "image_id", "dx", "age", "sex", "localization")
COLUMNS = Columns(image="image_id", dx="dx", lesion="lesion_id", age="age", sex="sex", site="localization")


def find_metadata(files: ImageFiles) -> Path | None:
    """The metadata table below the root, with or without extension; None if there is none.

    Raises:
        DataError: if there are different ones.
    """
    paths = [files.root / path for path in files.tables if Path(path).stem.lower() == METADATA]
    return one_file(paths) if paths else None


def read_ham10000(root: Path, rules: Rules = STRICT, files: ImageFiles | None = None) -> Index:
    """Index HAM10000.

    Args:
        root: folder that holds `HAM10000_metadata.csv` and the images, at any depth.
        rules: what to do with missing images and labels.
        files: what is below `root`, if it was searched already.

    Raises:
        DataError: if the metadata are missing or lack a column, a diagnosis is unknown, or images
            are missing.
    """
    files = files or scan(root)
    metadata = find_metadata(files)
    if metadata is None:
        raise DataError(f"no HAM10000_metadata.csv below {root}; fetch it with: lesionlens download ham10000")
    table = load_table(metadata, rules.encoding)
    for name in NEEDED:
        table.need(name)
    others = [truth for truth in find_ground_truths(files) if truth.year == "2018" and truth.split != "train"]
    rows = list(table_rows(table, COLUMNS, split_name="train" if others else ""))
    rows += _other_rows(others, files, {row.image for row in rows})
    return make_index(rows, files, _source(files.root, bool(others)), HAM10000, rules, column_notes(table, COLUMNS))


def _source(root: Path, with_test: bool) -> str:
    if (root / SYNTHETIC_MARK).is_file():
        return "synthetic"
    return "ham10000+isic2018" if with_test else "ham10000"


def _other_rows(truths: list[GroundTruth], files: ImageFiles, training: set[str]) -> list[Row]:
    rows = []
    for truth in truths:
        truth_rows = ground_truth_rows(truth, files)
        shared = [row.image for row in truth_rows if row.image in training]
        if shared:
            raise DataError(
                f"{truth.path}: {len(shared)} images are in HAM10000 too, the first is {shared[0]}; use the official file"
            )
        rows += truth_rows
    return rows
