"""Concepts of images, such as PH2's dermoscopic criteria, from columns of a table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lesionlens.core.artifact import hash_value
from lesionlens.core.errors import DataError
from lesionlens.core.metadata import FORBIDDEN
from lesionlens.data.files import stem_of
from lesionlens.data.sources.row import known_text
from lesionlens.data.sources.table import ALIASES, Table, load_table

PRESENT = {"present": 1.0, "absent": 0.0, "yes": 1.0, "no": 0.0, "true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0}
MOST_LEVELS = 8


@dataclass(frozen=True)
class ConceptUnit:
    """One output of a concept bottleneck, from 0 to 1.

    Attributes:
        name: for people: the column, and the level where it has some.
        column: of the table.
        level: the value that this unit stands for; empty for a number and for what is present or absent.
        low: number that 0 stands for.
        high: number that 1 stands for.
    """

    name: str
    column: str
    level: str = ""
    low: float = 0.0
    high: float = 1.0

    def to_json(self) -> dict[str, Any]:
        """JSON-ready; `ConceptUnit(**value)` reads it back."""
        return asdict(self)

    def value(self, text: str) -> float:
        """What a cell means, in [0, 1]; NaN where nothing is known. Numbers beyond `low` and `high` count as these."""
        if not text:
            return math.nan
        if self.level:
            return float(text == self.level)
        number = PRESENT.get(text)
        number = float(text) if number is None else number
        return min(1.0, max(0.0, (number - self.low) / (self.high - self.low)))


@dataclass(frozen=True, eq=False)
class Concepts:
    """Concepts of the images of an index.

    Attributes:
        units: outputs of the bottleneck.
        by_id: values of each image of the table, float32 (U,), NaN where nothing is known.
        notes: what people should know.
    """

    units: tuple[ConceptUnit, ...]
    by_id: Mapping[str, np.ndarray]
    notes: tuple[str, ...] = field(default=())

    def rows(self, ids: Iterable[str]) -> np.ndarray:
        """Values of some images, float32 (N, U); NaN for what is not known."""
        nothing = np.full(len(self.units), np.nan, np.float32)
        rows = [self.by_id.get(image_id, nothing) for image_id in ids]
        return np.stack(rows) if rows else np.zeros((0, len(self.units)), np.float32)

    @property
    def facts(self) -> dict[str, Any]:
        """What a checkpoint says of them, JSON-ready: `units`, and a `hash` over all values."""
        values = {image_id: [None if math.isnan(v) else v for v in row.tolist()] for image_id, row in sorted(self.by_id.items())}
        units = [unit.to_json() for unit in self.units]
        return {"units": units, "hash": hash_value([units, values])}


def read_concepts(path: Path, columns: Sequence[str], ids: Sequence[str], train: Sequence[str]) -> Concepts:
    """Concepts from columns of a CSV.

    A column of numbers is one concept, scaled to the range of the training images; one with `present` and `absent` (or yes and
    no, true and false, 1 and 0) is one concept; one of up to eight words is one concept for each. Empty cells, `unknown` and the
    like are missing values.

    Args:
        path: the table; its images are named by id or file name.
        columns: that are concepts.
        ids: all images of the index.
        train: those of the training split.

    Raises:
        DataError: if the table or a column is missing, a column cannot be a concept, or no training image has values.
    """
    table = load_table(path)
    image = next((p for name in ALIASES["image"] if (p := table.position(name)) is not None), None)
    if image is None:
        raise DataError(f"{path} has none of the columns {', '.join(ALIASES['image'])}; it has {', '.join(table.columns)}")
    cells = _cells(table, image, columns)
    known = set(ids)
    trained = [image_id for image_id in train if image_id in cells]
    if not trained:
        column = table.columns[image]
        raise DataError(f"none of the {len(train)} training images is in {path}; its column {column} must hold image ids")
    units = [
        unit
        for number, column in enumerate(columns)
        for unit in _units(
            path, column, [row[number] for row in cells.values()], [cells[image_id][number] for image_id in trained]
        )
    ]
    places = {column: number for number, column in enumerate(columns)}
    by_id = {
        image_id: np.array([unit.value(row[places[unit.column]]) for unit in units], np.float32)
        for image_id, row in cells.items()
        if image_id in known
    }
    return Concepts(tuple(units), by_id, _notes(path, columns, cells, known, train))


def _cells(table: Table, image: int, columns: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Cells of each image, in the order of the columns, lower case, empty where nothing is known."""
    for column in columns:
        if column.lower() in FORBIDDEN or column.lower() in ALIASES["dx"]:
            raise DataError(
                f"column {column!r} cannot be a concept: it tells the diagnosis, or how or where it was made. Leave it out"
            )
    positions = [table.need(column) for column in columns]
    cells: dict[str, tuple[str, ...]] = {}
    for line, row in table.rows:
        image_id = stem_of(row[image])
        if image_id in cells:
            raise DataError(f"{table.where(line)}: image {image_id} is listed twice; keep one of the rows")
        cells[image_id] = tuple(known_text(row[position]) for position in positions)
    return cells


def _units(path: Path, column: str, texts: Sequence[str], trained: Sequence[str]) -> list[ConceptUnit]:
    """The units of a column: its levels from all images, its range from the training images."""
    levels = sorted({text for text in texts if text})
    seen = sorted({text for text in trained if text})
    if len(seen) < 2:
        what = f"is always {seen[0]!r}" if seen else "has no value"
        raise DataError(f"{path}: column {column!r} {what} in the training images; a concept must vary. Leave it out")
    if set(levels) <= PRESENT.keys():
        return [ConceptUnit(column, column)]
    numbers = [_number(text) for text in levels]
    if None not in numbers:
        trained_numbers = [float(text) for text in seen]
        return [ConceptUnit(column, column, low=min(trained_numbers), high=max(trained_numbers))]
    if len(levels) > MOST_LEVELS:
        raise DataError(
            f"{path}: column {column!r} has {len(levels)} different values, such as {levels[0]!r} and {levels[-1]!r}; a concept "
            f"is a number, present or absent, or one of at most {MOST_LEVELS} words"
        )
    return [ConceptUnit(f"{column}: {level}", column, level) for level in levels]


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _notes(
    path: Path, columns: Sequence[str], cells: Mapping[str, tuple[str, ...]], known: set[str], train: Sequence[str]
) -> tuple[str, ...]:
    others = len(cells.keys() - known)
    nothing = ("",) * len(columns)
    rows = [cells.get(image_id, nothing) for image_id in train]
    counts = [f"{column} {sum(bool(row[number]) for row in rows)}" for number, column in enumerate(columns)]
    notes = [f"concepts of {len(train)} training images, of so many the value is known: {', '.join(counts)}"]
    return (*notes, f"{path}: {others} images are not in the index and not used") if others else tuple(notes)
