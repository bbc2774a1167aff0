"""The index: one record for each image, whatever the source looked like."""

from __future__ import annotations

import csv
import dataclasses
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lesionlens.core import legacy
from lesionlens.core.artifact import atomic_file, hash_value, read_stamp, stamp_path, write_stamp
from lesionlens.core.errors import ArtifactError, DataError, StorageError
from lesionlens.core.labels import LabelSet

SOURCE_SPLITS = ("", "train", "validation", "test")


@dataclass(frozen=True)
class Record:
    """One image and what its source knows about it.

    How a diagnosis was made (`dx_type`) and which clinic an image came from (`dataset`) tell the label. They serve
    subgroups of an assessment only, no network sees them, and they do not count in the hash of an index.

    Attributes:
        image_id: unique name of the image.
        path: of the image, relative to the index's root with forward slashes, or absolute.
        dx: code of the diagnosis, lower case.
        lesion_id: the lesion shown; `image_id` where the source names none.
        age: of the patient, years; None if unknown.
        sex: lower case; empty if unknown.
        site: place on the body, lower case; empty if unknown.
        mask: path of the lesion mask, like `path`; empty if there is none.
        split: `train`, `validation` or `test` where the source itself says so, else empty.
        patient_id: the patient; empty if unknown.
        dx_type: how the diagnosis was made, such as `histo`, lower case; empty if unknown.
        dataset: clinic or collection that the image came from, lower case; empty if unknown.
    """

    image_id: str
    path: str
    dx: str
    lesion_id: str
    age: float | None = None
    sex: str = ""
    site: str = ""
    mask: str = ""
    split: str = ""
    patient_id: str = ""
    dx_type: str = ""
    dataset: str = ""

    @property
    def has_lesion_id(self) -> bool:
        """Whether the source says which lesion it is."""
        return self.lesion_id != self.image_id


PATIENT = "patient_id"  # a column only where a patient is known, so that indexes of 0.1.0 keep their bytes and hash
ORIGINS = ("dx_type", "dataset")  # columns only where known, and not hashed, so that splits of earlier indexes stay valid
COLUMNS = tuple(field.name for field in dataclasses.fields(Record) if field.name not in (PATIENT, *ORIGINS))
OLD_SPLIT = {"train": "training"}  # what 0.1.0 called it, and hashed


class ImageList(ABC):
    """Images with records: an index, or images without diagnoses.

    Attributes:
        records: one for each image.
        root: folder that relative paths start from.
    """

    records: tuple[Record, ...]
    root: Path

    def __len__(self) -> int:
        return len(self.records)

    @property
    def ids(self) -> tuple[str, ...]:
        """Image ids in order."""
        return tuple(record.image_id for record in self.records)

    def by_id(self) -> dict[str, Record]:
        """Records by image id."""
        return {record.image_id: record for record in self.records}

    def image_path(self, record: Record) -> Path:
        """Where the image of `record` lies."""
        return self.root / record.path

    @property
    @abstractmethod
    def hash(self) -> str:
        """SHA-256 over all records."""


@dataclass(frozen=True)
class Index(ImageList):
    """All images of one source.

    Attributes:
        records: one for each image, in the order of the source.
        labels: the diagnoses that `Record.dx` may take.
        root: folder that relative paths start from.
        source: name of the reader that made it.
        notes: what the reader left out or chose, for people; not hashed.

    Raises:
        DataError: if it is empty, an id stands twice, or a record's diagnosis or split is unknown.
    """

    records: tuple[Record, ...]
    labels: LabelSet
    root: Path
    source: str
    notes: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if not self.records:
            raise DataError(f"no images in the index of {self.root}; an index needs at least one")
        known = set(self.labels.codes)
        seen: set[str] = set()
        for record in self.records:
            if not record.image_id or record.image_id in seen:
                raise DataError(f"image id {record.image_id!r} is empty or stands twice in the index; ids must be unique")
            if record.dx not in known:
                raise DataError(f"image {record.image_id}: {unknown_dx(record.dx, self.labels)}")
            if record.split not in SOURCE_SPLITS:
                raise DataError(
                    f"image {record.image_id}: unknown split {record.split!r}; known are {', '.join(SOURCE_SPLITS[1:])}"
                )
            seen.add(record.image_id)

    def dx_indices(self) -> np.ndarray:
        """Class index of each record, int64, shape (N,), each in [0, len(labels))."""
        position = {code: index for index, code in enumerate(self.labels.codes)}
        return np.array([position[record.dx] for record in self.records], dtype=np.int64)

    def mask_path(self, record: Record) -> Path | None:
        """Where the lesion mask of `record` lies; None if it has none."""
        return self.root / record.mask if record.mask else None

    def summary(self) -> dict[str, Any]:
        """Counts for people and JSON: images, lesions, patients, masks, images by diagnosis and by split."""
        by_dx = Counter(record.dx for record in self.records)
        return {
            "source": self.source,
            "root": str(self.root),
            "images": len(self),
            "lesions": len({record.lesion_id for record in self.records}),
            "patients": len({record.patient_id for record in self.records} - {""}),
            "without_lesion_id": sum(not record.has_lesion_id for record in self.records),
            "without_patient_id": sum(not record.patient_id for record in self.records),
            "masks": sum(bool(record.mask) for record in self.records),
            "by_dx": {code: by_dx[code] for code in self.labels.codes},
            "malignant": [diagnosis.code for diagnosis in self.labels.diagnoses if diagnosis.malignant],
            "by_split": dict(Counter(record.split for record in self.records if record.split)),
            "notes": list(self.notes),
            "hash": self.hash,
        }

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Columns of its CSV: the fields of a record, `patient_id`, `dx_type` and `dataset` only if one is known."""
        known = (name for name in (PATIENT, *ORIGINS) if any(getattr(record, name) for record in self.records))
        return (*COLUMNS, *known)

    @cached_property
    def hash(self) -> str:
        """SHA-256 over records and labels, under the names of 0.1.0.

        The root does not count, so a moved folder keeps it; nor do `dx_type` and `dataset`, see `origins_hash`.
        """
        hashed = [name for name in self.columns if name not in ORIGINS]
        names = ["part" if name == "split" else name for name in hashed]
        rows = [self._hashed(record, hashed) for record in self.records]
        return hash_value({"columns": names, "records": rows, "labels": self.labels.to_json()})

    def _hashed(self, record: Record, names: Sequence[str]) -> list[Any]:
        values = {**vars(record), "split": OLD_SPLIT.get(record.split, record.split)}
        return [values[name] for name in names]

    @cached_property
    def origins_hash(self) -> str:
        """SHA-256 over `dx_type` and `dataset` of all records; empty if neither is known."""
        known = [name for name in ORIGINS if name in self.columns]
        return hash_value([[getattr(record, name) for name in known] for record in self.records]) if known else ""


def unknown_dx(dx: str, labels: LabelSet) -> str:
    """Words for a diagnosis that `labels` does not hold."""
    return f"unknown diagnosis {dx!r}; label set {labels.name!r} knows {', '.join(labels.codes)}"


def write_index(index: Index, path: Path) -> None:
    """Write `index` as a CSV with a stamp beside it, whole or not at all.

    Raises:
        StorageError: if the disk is full or may not be written, or `path` is a folder.
    """
    if path.is_dir():
        raise StorageError(f"{path} is a folder; give the file to write with --out, such as {path / 'index.csv'}")
    with atomic_file(path) as temporary:
        with temporary.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\r\n")  # RFC 4180; both are then quoted in fields
            writer.writerow(index.columns)
            writer.writerows([_text(getattr(record, name)) for name in index.columns] for record in index.records)
        stamp_path(path).unlink(missing_ok=True)
    facts = {
        "labels": index.labels.to_json(),
        "root": str(index.root.resolve()),
        "source": index.source,
        "count": len(index),
        "hash": index.hash,
        "notes": list(index.notes),
    }
    if index.origins_hash:
        facts["origins_hash"] = index.origins_hash
    write_stamp(path, {}, facts)


def _text(value: float | str | None) -> str:
    return "" if value is None else value if isinstance(value, str) else repr(value)


def read_index(path: str | Path) -> Index:
    """Read what `write_index` wrote.

    Raises:
        ArtifactError: if it or its stamp is missing, damaged, or was changed by hand.
    """
    path = Path(path)
    if not path.is_file():
        raise ArtifactError(f"index {path} does not exist; make it with: lesionlens index FOLDER --out {path}")
    facts = read_stamp(path)["facts"]
    try:
        labels = LabelSet.from_json(facts["labels"])
        records = _read_records(path)
        index = Index(records, labels, Path(facts["root"]), facts["source"], tuple(facts["notes"]))
        intact = index.hash == facts["hash"] and index.origins_hash == facts.get("origins_hash", "")
    except (KeyError, TypeError, ValueError, csv.Error, DataError) as error:
        raise ArtifactError(f"index {path} is damaged ({error}); make it again with: lesionlens index") from error
    if not intact:
        raise ArtifactError(
            f"index {path} was changed after it was made; correct the source instead and make it again with: lesionlens index"
        )
    return index


def _read_records(path: Path) -> tuple[Record, ...]:
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, strict=True))
    return tuple(_record(row) for row in rows)


def _record(row: dict[str, Any]) -> Record:
    if "part" in row:  # what 0.1.0 called it
        row["split"] = legacy.current_split(row.pop("part"))
    columns = (*COLUMNS, *(name for name in (PATIENT, *ORIGINS) if name in row))
    values = {name: row[name] for name in columns}
    if None in values.values() or len(row) != len(columns):
        raise ValueError(f"row of {row['image_id']} does not have {len(columns)} fields")
    return Record(**{**values, "age": float(values["age"]) if values["age"] else None})


def select(index: ImageList, ids: Sequence[str]) -> tuple[Record, ...]:
    """Records of `ids`, in that order.

    Raises:
        DataError: if the index does not hold one of them.
    """
    known = index.by_id()
    missing = [image_id for image_id in ids if image_id not in known]
    if missing:
        raise DataError(f"{len(missing)} ids are not in the index, the first is {missing[0]!r}; was it made from another source?")
    return tuple(known[image_id] for image_id in ids)
