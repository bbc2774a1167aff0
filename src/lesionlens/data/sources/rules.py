"""What the user says about a collection of images beyond where it is."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lesionlens.core.diagnoses import label_key
from lesionlens.core.errors import DataError


@dataclass(frozen=True)
class Rules:
    """What to do with rows and labels.

    Attributes:
        missing: an image that is listed but not there is an `error`, or `drop` leaves it out.
        malignant: labels that are malignant; of the others that the table of diagnoses does not know, none is.
        benign_only: states that no label unknown to the table is malignant.
        skip_unlabelled: leave out images without a diagnosis instead of refusing them.
        label_map: what labels are called instead, by any spelling of the label; an empty name means no diagnosis.
        encoding: of tables, such as `latin-1`; empty means UTF-8, or UTF-16 with its mark.
        unpack_to: folder for images that come inside one file (.npz); None means beside that file.
    """

    missing: Literal["error", "drop"] = "error"
    malignant: tuple[str, ...] = ()
    benign_only: bool = False
    skip_unlabelled: bool = False
    label_map: Mapping[str, str] = field(default_factory=dict)
    encoding: str = ""
    unpack_to: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready form of everything that changes an index."""
        return {
            "missing": self.missing,
            "malignant": sorted(self.malignant),
            "benign_only": self.benign_only,
            "skip_unlabelled": self.skip_unlabelled,
            "label_map": dict(self.label_map),
            "encoding": self.encoding,
        }


STRICT = Rules()
TOML_EXAMPLE = 'give lines such as: "seborrheic keratosis" = "bkl"'


def read_label_map(path: Path) -> dict[str, str]:
    """Read which labels are called what.

    Args:
        path: a CSV with the columns `from` and `to`, or a TOML file with lines such as `"seborrheic keratosis" = "bkl"`.

    Raises:
        DataError: if it cannot be read, maps nothing, or maps one label to two names.
    """
    pairs = _toml_pairs(path) if path.suffix.lower() == ".toml" else _table_pairs(path)
    if not pairs:
        raise DataError(f"{path} maps no label; give a row with from and to for each label to rename")
    names: dict[str, str] = {}
    for label, name in pairs:
        if names.setdefault(label_key(label), name) != name:
            raise DataError(f"{path} maps {label!r} to {name!r} and to {names[label_key(label)]!r}; keep one of them")
    return dict(pairs)


def _toml_pairs(path: Path) -> list[tuple[str, str]]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path} cannot be read as TOML ({error}); {TOML_EXAMPLE}") from error
    wrong = [label for label, name in content.items() if not isinstance(name, str)]
    if wrong:
        raise DataError(f"{path}: {wrong[0]} is no text; {TOML_EXAMPLE}")
    return list(content.items())


def _table_pairs(path: Path) -> list[tuple[str, str]]:
    from lesionlens.data.sources.table import load_table

    table = load_table(path)
    start, end = table.need("from"), table.need("to")
    return [(cells[start], cells[end]) for _, cells in table.rows]
