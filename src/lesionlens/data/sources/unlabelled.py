"""Images without diagnoses: a folder of them, or a CSV that lists them and may name lesions and patients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from lesionlens.core.artifact import hash_value
from lesionlens.core.errors import DataError
from lesionlens.data.decoded_image import first_names
from lesionlens.data.files import ImageFiles, path_id, scan, stem_of
from lesionlens.data.index import ImageList, Record
from lesionlens.data.sources.row import known_id
from lesionlens.data.sources.table import ALIASES, Table, load_table


@dataclass(frozen=True)
class UnlabelledImages(ImageList):
    """Images of which no diagnosis is known; their records have an empty `dx`.

    Attributes:
        records: one for each image, sorted by id.
        root: folder that relative paths start from.
        notes: what was left out, for people; not hashed.

    Raises:
        DataError: if there are none, or an id stands twice.
    """

    records: tuple[Record, ...]
    root: Path
    notes: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if not self.records:
            raise DataError(f"no unlabelled images in {self.root}; at least one is needed")
        twice = [image_id for image_id, count in Counter(self.ids).items() if count > 1]
        if twice:
            raise DataError(f"unlabelled image {twice[0]!r} is listed {self.ids.count(twice[0])} times; list each image once")

    @cached_property
    def hash(self) -> str:
        """SHA-256 over ids, paths, lesions and patients; the root does not count."""
        return hash_value([[record.image_id, record.path, record.lesion_id, record.patient_id] for record in self.records])


def read_unlabelled(path: Path) -> UnlabelledImages:
    """Images of a folder and all folders below it, or of a CSV.

    A CSV needs a column with the image's id, file name or path (`image_id`, `path`, ...), relative to its folder, and may have
    `lesion_id` and `patient_id`. Other columns, a diagnosis included, are not read.

    Raises:
        DataError: if the path is neither, lists nothing, lists an image twice, or names one that is not there.
    """
    if path.is_dir():
        return _of_folder(path)
    if path.is_file():
        return _of_table(path)
    raise DataError(f"unlabelled images {path} do not exist; give a folder of images, or a CSV that lists them")


def _of_folder(root: Path) -> UnlabelledImages:
    files = scan(root)
    stems = Counter(stem_of(path) for path in files.paths)
    names = [(stem_of(path) if stems[stem_of(path)] == 1 else path_id(path), path) for path in files.paths]
    records = [Record(image_id, path, "", image_id) for image_id, path in names]
    return UnlabelledImages(_sorted(records), root, tuple(files.notes))


def _of_table(path: Path) -> UnlabelledImages:
    table = load_table(path)
    image = next((p for name in ALIASES["image"] if (p := table.position(name)) is not None), None)
    if image is None:
        raise DataError(
            f"{path} has none of the columns {', '.join(ALIASES['image'])}; it has {', '.join(table.columns)}. Rename the one "
            "with the image's id, file name or path"
        )
    paths = _paths(path, [cells[image] for _, cells in table.rows])
    missing = [f"{table.where(line)}: {cells[image]!r}" for line, cells in table.rows if not paths[cells[image]]]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(table.rows)} unlabelled images are not below {path.parent} "
            f"({first_names(missing, len(missing))}); correct the list, or put them there"
        )
    lesion, patient = (_position(table, kind) for kind in ("lesion", "patient"))
    records = [
        Record(
            image_id := stem_of(cells[image]),
            paths[cells[image]],
            "",
            (known_id(cells[lesion]) if lesion is not None else "") or image_id,
            patient_id=known_id(cells[patient]) if patient is not None else "",
        )
        for _, cells in table.rows
    ]
    return UnlabelledImages(_sorted(records), path.parent, table.notes)


def _paths(path: Path, values: Sequence[str]) -> dict[str, str]:
    """Path of each listed image, absolute or below the table's folder, which is searched if need be; empty if not there."""
    paths = {value: value if Path(value).is_absolute() and Path(value).is_file() else "" for value in values}
    if not all(paths.values()):
        files = ImageFiles(path.parent)
        paths |= {value: files.find_image(value) or "" for value, known in paths.items() if value and not known}
    return paths


def _position(table: Table, kind: str) -> int | None:
    return next((p for name in ALIASES[kind] if (p := table.position(name)) is not None), None)


def _sorted(records: Sequence[Record]) -> tuple[Record, ...]:
    return tuple(sorted(records, key=lambda record: record.image_id))
