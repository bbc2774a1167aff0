"""Writes docs/inputs.md: every layout, column and label that is accepted, from the tables that the readers use.

python -m lesionlens.data.sources.inputs_page > docs/inputs.md
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lesionlens.core.diagnoses import known_labels
from lesionlens.data.formats import EXTENSIONS
from lesionlens.data.index import SOURCE_SPLITS
from lesionlens.data.sources.derm7pt import NEEDED as DERM7PT_COLUMNS
from lesionlens.data.sources.folder import SPLIT_FOLDERS
from lesionlens.data.sources.ham10000 import NEEDED as HAM10000_COLUMNS
from lesionlens.data.sources.isic import CODES
from lesionlens.data.sources.labels import MISSING
from lesionlens.data.sources.row import MAX_AGE, SEXES
from lesionlens.data.sources.source import ARCHIVE_LEVELS
from lesionlens.data.sources.table import ALIASES, GROUP_LIKE, NEEDED

WITHOUT_OPTION = ("malignancy",)


@dataclass(frozen=True)
class Layout:
    """What a reader expects.

    Attributes:
        name: a name of `SOURCES`.
        title: what people call it.
        recognised: how it is recognised.
        labels: where the diagnosis comes from.
        groups: what tells which images belong together.
        splits: which splits it brings.
    """

    name: str
    title: str
    recognised: str
    labels: str
    groups: str
    splits: str = "none"


LAYOUTS = (
    Layout(
        "index",
        "An index made before",
        "`index.csv` with its stamp",
        "those of the index, malignancy included",
        "those of the index",
        "those of the index",
    ),
    Layout(
        "medmnist",
        "DermaMNIST and other colour sets of MedMNIST, `.npz`",
        "an `.npz`, or a folder that holds one and no image; images are unpacked as PNG into `images/` beside the index",
        "HAM10000's seven codes for DermaMNIST; numbers for others",
        "none; DermaMNIST's own splits share lesions, and a note says so",
        "train, val and test of the file",
    ),
    Layout(
        "ham10000",
        "HAM10000, with the test images of ISIC 2018 if they are there",
        f"`HAM10000_metadata.csv`, or without extension, with the columns {', '.join(HAM10000_COLUMNS)}",
        "`dx`, the seven codes",
        "`lesion_id`; 18 published pairs of one lesion under two ids",
        "training and test if ISIC 2018's test labels are there",
    ),
    Layout(
        "isic",
        "ISIC challenges of 2016 (part 3), 2017 (part 3), 2018 (task 3) and 2019",
        "the official names of `*_GroundTruth.csv`; metadata and lesion groupings beside them are joined",
        f"2016: benign or malignant; 2017: melanoma, seborrheic keratosis, else nevus; 2018 and 2019: {', '.join(CODES)}",
        "`lesion_id` of 2018's lesion groupings and 2019's metadata; the others have none",
        "those whose ground truth is there",
    ),
    Layout(
        "ph2",
        "PH2",
        "`PH2_dataset.txt`, or the spreadsheet saved as `PH2_dataset.csv`",
        "clinical diagnosis: common nevus, atypical nevus, melanoma",
        "none",
    ),
    Layout(
        "derm7pt",
        "Derm7pt, dermoscopic photographs",
        f"`meta.csv` with the columns {', '.join(DERM7PT_COLUMNS)}",
        "`diagnosis`",
        "`case_num`: each case is a lesion",
        "those of `train_indexes.csv`, `valid_indexes.csv` and `test_indexes.csv`",
    ),
    Layout(
        "isic2020",
        "ISIC 2020 (SIIM-ISIC), `train.csv` or `ISIC_2020_Training_GroundTruth*.csv`",
        "columns image_name, benign_malignant and target",
        "`benign_malignant`; `diagnosis` with `--dx-column diagnosis`, which 27,124 images lack",
        "`patient_id`, and `lesion_id` where there is one",
    ),
    Layout(
        "isic-archive",
        "ISIC Archive, `metadata.csv` of isic-cli",
        f"columns isic_id and one of {', '.join(ARCHIVE_LEVELS)}",
        f"the first of {', '.join(ARCHIVE_LEVELS)} that is there; another level with `--dx-column`",
        "`patient_id` and `lesion_id`",
    ),
    Layout(
        "table",
        "Any CSV",
        "columns under their usual names (below), or named with options",
        "any",
        "lesion and patient columns",
        "a column",
    ),
    Layout(
        "folder",
        "A folder for each diagnosis",
        f"folders named after labels, perhaps within folders named {', '.join(SPLIT_FOLDERS)}",
        "the folder's name",
        "none",
        "the outer folders",
    ),
)


def inputs_page() -> str:
    """The text of docs/inputs.md."""
    sections = (_layouts(), _columns(), _values(), _labels(), _diagnoses())
    return "# Inputs\n\nThis page is generated from the tables that the readers use.\n\n" + "\n\n".join(sections) + "\n"


def _layouts() -> str:
    rows = [(f"`{each.name}`", each.title, each.recognised, each.labels, each.groups, each.splits) for each in LAYOUTS]
    table = _table(("`--source`", "what", "recognised by", "label", "belong together by", "own splits"), rows)
    return (
        f"## Layouts\n\n{table}\n\n`--source auto` recognises them from top to bottom. Images end in {_code(EXTENSIONS)}, or are "
        "recognised by their content. Files that are not used are counted and named, and so are images that no table lists, "
        "masks without an image, and tables that are not read. Images that a table lists and that are not there are refused, or "
        "left out with `--allow-missing`."
    )


def _columns() -> str:
    rows = []
    for name, aliases in ALIASES.items():
        option = "" if name in WITHOUT_OPTION else f"`--{name.replace('_', '-')}-column`"
        rows.append((name, option, _code(aliases), "yes" if name in NEEDED else "no"))
    table = _table(("column", "option", "usual names", "needed"), rows)
    words = ", ".join(GROUP_LIKE.pattern.split("|"))
    return (
        f"## Columns of a table\n\n{table}\n\nCase, blanks, hyphens and underscores of names do not count. `malignancy` decides "
        "for labels that the table below does not know. `dx_type` and `dataset` tell the label: they serve the subgroups of an "
        "assessment only, no network sees them, and they are not in the hash of an index. Columns that are not used are named in "
        "a note; one whose name contains "
        f"{words} is named with the option that would use it.\n\nA CSV may be separated by commas, semicolons or tabs, with "
        "Excel's line `sep=;`, a byte-order mark, any line ends, quoted fields, empty lines and invisible characters, which are "
        "removed and counted. It is UTF-8, or UTF-16 with its mark, or what `--encoding` names."
    )


def _values() -> str:
    sexes = ", ".join(f"{short} is read as {name}" for short, name in SEXES.items())
    rows = [
        ("age", f"years from 0 to {MAX_AGE}; `65,0` and `85+` are read as 65 and 85", "left empty, counted and named"),
        ("sex", f"any word; {sexes}", "kept as it is"),
        ("site", "any text", "kept as it is"),
        ("mask", "id, file name or path", "refused if it is not there, or left out with `--allow-missing`"),
        ("split", ", ".join(name for name in SOURCE_SPLITS if name) + ", `training`", "refused"),
        ("lesion, patient", "any text", "an unknown one is empty: the leak rate of its image is unknown"),
    ]
    return "## Values\n\n" + _table(("column", "accepted", "anything else"), rows)


def _labels() -> str:
    return (
        "## Labels\n\nA label is renamed by `--map FILE` (CSV with `from,to`, or TOML), then looked up in the table below; case, "
        "accents, blanks, hyphens, underscores and British spelling do not count. A synonym is read as its code, and a note "
        "counts it. Any other label is a class of its own. Whether it is malignant must be known: from a column such as "
        "`benign_malignant`, or from `--malignant A,B` (the others are benign) or `--benign-only`; without an answer `index` "
        f"stops. The answer is part of the index.\n\nNo diagnosis: {_code(name for name in MISSING if name)} and empty fields. "
        "Such images are refused, or left out with `--skip-unlabelled` and counted."
    )


def _diagnoses() -> str:
    rows = [
        (f"`{diagnosis.code}`", diagnosis.name, "yes" if diagnosis.malignant else "no", "; ".join(labels[2:]))
        for diagnosis, labels in known_labels().items()
    ]
    return "## Known diagnoses\n\n" + _table(("code", "name", "malignant", "also called"), rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    print(inputs_page(), end="")
