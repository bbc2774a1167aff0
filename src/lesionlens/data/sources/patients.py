"""A table of patients for images that a bundle looks at: age, sex and site by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lesionlens.core.errors import DataError
from lesionlens.core.metadata import FIELDS, FORBIDDEN, Metadata, metadata_note
from lesionlens.data.sources.row import known_text, read_age, read_sex
from lesionlens.data.sources.table import ALIASES, Table, load_table

SHOWN = 3


@dataclass
class Patients:
    """What is known of the patients of images.

    Attributes:
        path: of the table.
        by_image: by the image's id, file name or path, as the table has it.
        notes: what was not used or changed, for people.
        without_row: images that were asked for and are not in the table.
    """

    path: Path
    by_image: dict[str, Metadata]
    notes: tuple[str, ...] = ()
    without_row: list[str] = field(default_factory=list)

    def of(self, source: object) -> Metadata:
        """What is known for an image; nothing, and counted, if the table does not name it."""
        path = Path(str(source))
        for name in (str(source), path.as_posix(), path.name, path.stem):
            if name in self.by_image:
                return self.by_image[name]
        self.without_row.append(str(source))
        return Metadata()

    def lines(self) -> list[str]:
        """Notes for people about images without a row."""
        if not self.without_row:
            return []
        shown = ", ".join(self.without_row[:SHOWN])
        more = f" and {len(self.without_row) - SHOWN} more" if len(self.without_row) > SHOWN else ""
        return [f"{len(self.without_row)} images are not in {self.path}, so nothing is known of their patients: {shown}{more}"]


def read_patients(path: Path, fields: Sequence[str] = FIELDS) -> Patients:
    """Read a CSV with a column for the image and columns `age`, `sex` and `site`, or their usual other names.

    Values are read as those of an index are: what is no age, or none of the known sites, counts as missing and is named.

    Args:
        path: the table.
        fields: that the network was told; other columns are named as not used.

    Raises:
        DataError: if it cannot be read, has no column of images or of any of `fields`, or names an image twice.
    """
    table = load_table(path)
    columns = {name: _position(table, name) for name in ("image", *FIELDS)}
    image = columns.pop("image")
    used = {name: position for name, position in columns.items() if position is not None and name in fields}
    if image is None or not used:
        wanted = "a column with the image's id or file name" if image is None else f"a column of {', '.join(fields)}"
        raise DataError(f"{path} has the columns {', '.join(table.columns)}; it needs {wanted}. Rename one")
    by_image: dict[str, Metadata] = {}
    for line, cells in table.rows:
        name = cells[image]
        if not name or name in by_image:
            raise DataError(f"{table.where(line)}: image {name!r} is empty or stands twice; give one row for each image")
        by_image[name] = _metadata({field: cells[position] for field, position in used.items()})
    notes = [*table.notes, metadata_note(list(by_image.values()), tuple(used))]
    by_image = {name: metadata.known() for name, metadata in by_image.items()}
    unused = [column for number, column in enumerate(table.columns) if number not in (image, *used.values()) and column]
    if unused:
        reasons = "".join(f"; {name}: {FORBIDDEN[name]}" for name in ("dx_type", "dataset") if name in unused)
        notes.append(f"columns of {path.name} that are not used: {', '.join(unused)}{reasons}")
    return Patients(path, by_image, tuple(notes))


def _position(table: Table, name: str) -> int | None:
    return next((place for alias in ALIASES[name] if (place := table.position(alias)) is not None), None)


def _metadata(values: dict[str, str]) -> Metadata:
    age, _ = read_age(values.get("age", ""))
    sex, _ = read_sex(values.get("sex", ""))
    return Metadata(age, sex, known_text(values.get("site", "")))
