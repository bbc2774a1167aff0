"""The clinic's own confirmed lesions as an index that `lesionlens train` and `lesionlens evaluate` read, with their images."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from lesionlens.core.artifact import atomic_file
from lesionlens.core.errors import DataError, RecipeError
from lesionlens.core.labels import LabelSet
from lesionlens.data.formats import HEAD_BYTES, format_of
from lesionlens.data.index import Index, Record, write_index
from lesionlens.serving.database_url import Place
from lesionlens.serving.image_key import ImageKey
from lesionlens.serving.images import KeptImages, images_folder
from lesionlens.serving.record import store_of
from lesionlens.serving.worklist import LAST_HISTOLOGY, LAST_REVIEW

INDEX, IMAGES = "index.csv", "images"
HISTOLOGY, REVIEW = "histo", "review"
LABELLED = f"""SELECT a.id, a.input_sha256, s.case_id, s.lesion_id, s.site, s.frame, p.answer, {LAST_REVIEW}, {LAST_HISTOLOGY}
    FROM answers a JOIN payloads p ON p.id = a.id JOIN subjects s ON s.prediction = a.id ORDER BY a.id"""
ENDINGS = {"JPEG": ".jpg", "TIFF": ".tif", "JPEG 2000": ".jp2", "DICOM": ".dcm"}  # others: their name in lower case


class Written(NamedTuple):
    """What was written.

    Attributes:
        path: of the index.
        images: how many images it holds.
        left_out: how many predictions it does not, by reason.
    """

    path: Path
    images: int
    left_out: dict[str, int]


def write_clinic_index(
    log: Place, out: Path, key: ImageKey | None = None, with_reviews: bool = False, images: Path | None = None
) -> Written:
    """Write `index.csv` and the images that it names into a folder, readable by their owner only.

    Lesions are `case/lesion` and cases are its patients, so that no split parts them. `dx_type` says who made a diagnosis.

    Args:
        log: where the prediction log is.
        out: the folder; created if missing.
        key: decrypts kept images.
        with_reviews: use the newest review where there is no histology.
        images: folder of kept images; None: beside the file of the log.

    Raises:
        RecipeError: if the log is in PostgreSQL and no folder of images is named.
        ArtifactError: if there is no log, or a kept image cannot be decrypted.
        DataError: if no image has a diagnosis, or the label sets of two bundles contradict each other.
        StorageError: if the folder cannot be written.
    """
    kept = KeptImages(_folder(log, images), key)
    left_out: Counter[str] = Counter()
    records: list[Record] = []
    diagnoses: dict[str, dict[str, Any]] = {}
    seen: set[tuple[str, int]] = set()
    (out / IMAGES).mkdir(parents=True, exist_ok=True, mode=0o700)
    for row in _rows(log):
        _add_labels(diagnoses, row["body"]["probabilities"])
        reason, dx, dx_type = _diagnosis(row, with_reviews, seen)
        data = None if reason else kept.get(row["sha256"])
        if reason or data is None:
            left_out[reason or "image not kept"] += 1
            continue
        name = f"{IMAGES}/{row['sha256'][:32]}{_ending(data)}"
        with atomic_file(out / name, mode=0o600) as temporary:
            temporary.write_bytes(data)
        seen.add((row["sha256"], row["frame"]))
        records.append(_record(row, name, dx, dx_type))
    known = [record for record in records if record.dx in diagnoses]
    left_out["diagnosis that no bundle knows"] += len(records) - len(known)
    if not known:
        reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items() if count)
        raise DataError(
            f"no image can be exported ({reasons or 'the log is empty'}); serve with --keep-images and enter histology"
        )
    labels = LabelSet.from_json({"name": "clinic", "diagnoses": list(diagnoses.values())})
    notes = tuple(f"left out {count}: {reason}" for reason, count in left_out.items() if count)
    write_index(Index(tuple(known), labels, out, "clinic", notes), out / INDEX)
    return Written(out / INDEX, len(known), {reason: count for reason, count in left_out.items() if count})


def _folder(log: Place, images: Path | None) -> Path:
    folder = images_folder(log, images)
    if folder is None:
        raise RecipeError(f"{log} is a database of PostgreSQL; name the folder of its kept images with --image-folder")
    return folder


def _rows(log: Place) -> Iterator[dict[str, Any]]:
    names = ("id", "sha256", "case", "lesion", "site", "frame", "body", "review", "histology")
    store = store_of(log)
    with closing(store.open(read_only=True)) as connection:
        for values in store.rows(connection, LABELLED):
            row = dict(zip(names, values, strict=True))
            yield {**row, "body": json.loads(row["body"])}


def _diagnosis(row: dict[str, Any], with_reviews: bool, seen: set[tuple[str, int]]) -> tuple[str, str, str]:
    """Why an image is left out (empty if it is not), its diagnosis, and who made it."""
    if (row["sha256"], row["frame"]) in seen:
        return "the same image again", "", ""
    if row["frame"]:
        return "frame of a file, and an index reads the first only", "", ""
    if row["histology"] is not None:
        return "", row["histology"], HISTOLOGY
    if with_reviews and row["review"] is not None:
        return "", row["review"], REVIEW
    return "no histology" if not with_reviews else "no histology and no review", "", ""


def _record(row: dict[str, Any], name: str, dx: str, dx_type: str) -> Record:
    used = (row["body"].get("metadata") or {"used": {}})["used"]
    lesion = f"{row['case']}/{row['lesion']}" if row["lesion"] else row["id"]
    age, sex = used.get("age"), used.get("sex", "")
    return Record(row["id"], name, dx, lesion, age, sex, row["site"], patient_id=row["case"], dx_type=dx_type)


def _add_labels(diagnoses: dict[str, dict[str, Any]], rows: list[dict[str, Any]]) -> None:
    for each in rows:
        label = {name: each[name] for name in ("code", "name", "malignant")}
        former = diagnoses.setdefault(label["code"], label)
        if former["malignant"] != label["malignant"]:
            raise DataError(
                f"diagnosis {label['code']} is malignant for one bundle of the log and benign for another; export them apart"
            )


def _ending(data: bytes) -> str:
    kind = format_of(data[:HEAD_BYTES])
    return ENDINGS.get(kind, f".{kind.lower()}")
