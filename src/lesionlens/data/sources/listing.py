"""Listed rows meet the files on disk and become an index."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

from lesionlens.core.errors import DataError
from lesionlens.core.labels import LabelSet, label_set_of
from lesionlens.data.files import ImageFiles, name_key, path_id, stem_of
from lesionlens.data.index import Index, Record, unknown_dx

UNKNOWN = ("", "unknown", "na", "n/a", "nan", "none", "null", "-", "?")
SEXES = {"m": "male", "f": "female"}
MAX_AGE = 120
NAMED = 5


@dataclass(frozen=True)
class Row:
    """What a source says about one image, as text.

    Attributes:
        where: file and line, for errors.
        image: id, file name or path of the image.
        dx: the diagnosis; the other fields may be empty.
    """

    where: str
    image: str
    dx: str
    lesion: str = ""
    age: str = ""
    sex: str = ""
    site: str = ""
    mask: str = ""
    split: str = ""


@dataclass(frozen=True)
class Rules:
    """What to do with rows and labels.

    Attributes:
        missing: an image that is listed but not there is an `error`, or `drop` leaves it out.
        malignant: diagnoses that are malignant beyond the known ones.
    """

    missing: Literal["error", "drop"] = "error"
    malignant: tuple[str, ...] = ()


STRICT = Rules()


def make_index(
    rows: Sequence[Row], files: ImageFiles, source: str, labels: LabelSet | None, rules: Rules, notes: Sequence[str] = ()
) -> Index:
    """Join rows with files.

    Args:
        rows: one for each listed image.
        files: what lies below the source's folder.
        source: name of the reader.
        labels: the fixed label set of the source; None takes it from the rows.
        rules: see `Rules`.
        notes: what the reader itself has to tell.

    Raises:
        DataError: if nothing is listed, an image or mask is missing, ids clash, or a field has a
            value that it cannot have.
    """
    said = [*notes, *files.notes]
    named = _with_ids(rows, said)
    found = _with_paths(named, files, rules, said)
    _note_unlisted(files, {path for _, _, path in found}, said)
    if labels is None:
        labels = label_set_of([_dx(row) for _, row, _ in found], [code.lower() for code in rules.malignant])
    records = tuple(_record(image_id, row, path, files, labels, rules) for image_id, row, path in found)
    return Index(records, labels, files.root, source, tuple(said))


def _with_ids(rows: Sequence[Row], notes: list[str]) -> list[tuple[str, Row]]:
    by_image: dict[str, Row] = {}
    for row in rows:
        if not row.image:
            raise DataError(f"{row.where}: no image id; each row needs one")
        known = by_image.setdefault(row.image, row)
        if known is not row:
            _check_same(known, row)
    if len(by_image) < len(rows):
        notes.append(f"{len(rows) - len(by_image)} rows repeat another one and were left out")
    stems = {stem_of(image) for image in by_image}
    if len(stems) == len(by_image):
        return [(stem_of(image), row) for image, row in by_image.items()]
    ids = {path_id(image): row for image, row in by_image.items()}
    if len(ids) < len(by_image):
        raise DataError(f"{len(by_image) - len(ids)} images share their name with another; give every image a name of its own")
    notes.append("some images share their file name; ids are made from folder and name")
    return list(ids.items())


def _check_same(first: Row, second: Row) -> None:
    for field in fields(Row)[2:]:
        one, other = getattr(first, field.name), getattr(second, field.name)
        if one != other:
            raise DataError(
                f"{second.where}: image {second.image} is listed twice, with {field.name} {one!r} ({first.where}) and {other!r}; "
                "correct one row or delete it"
            )


def _with_paths(
    named: Sequence[tuple[str, Row]], files: ImageFiles, rules: Rules, notes: list[str]
) -> list[tuple[str, Row, str]]:
    if not named:
        raise DataError(f"the metadata of {files.root} list no image; at least one row is needed below the header")
    found = [(image_id, row, files.find_image(row.image)) for image_id, row in named]
    missing = [row for _, row, path in found if path is None]
    if missing:
        names = _some([row.image for row in missing])
        some = f"{len(missing)} of {len(named)} listed images are not below {files.root} ({names})"
        if rules.missing == "error" or len(missing) == len(named):
            raise DataError(f"{some}; add them, or leave them out with --allow-missing")
        notes.append(f"{some}; they were left out")
    _check_one_name_each([path for _, _, path in found if path is not None])
    return [(image_id, row, path) for image_id, row, path in found if path is not None]


def _check_one_name_each(paths: Sequence[str]) -> None:
    twice = [path for path, count in Counter(paths).items() if count > 1]
    if twice:
        raise DataError(f"{len(twice)} images are listed under several names, the first is {twice[0]}; list every image once")


def _note_unlisted(files: ImageFiles, used: set[str], notes: list[str]) -> None:
    taken = {name_key(stem_of(path)) for path in used}
    copies = sum(len(paths) - 1 for stem, paths in files.images.items() if stem in taken and not used.issuperset(paths))
    unlisted = [path for stem, paths in files.images.items() if stem not in taken for path in paths]
    if copies:
        notes.append(f"{copies} images lie there more than once; the first of each was taken")
    if unlisted:
        notes.append(f"{len(unlisted)} images are there but not listed, and were left out ({_some(unlisted)})")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")


def _record(image_id: str, row: Row, path: str, files: ImageFiles, labels: LabelSet, rules: Rules) -> Record:
    dx = _dx(row)
    if dx not in labels:
        raise DataError(f"{row.where}: image {row.image}: {unknown_dx(dx, labels)}; correct the row or delete it")
    sex = _known(row.sex)
    return Record(
        image_id=image_id,
        path=path,
        dx=dx,
        lesion_id=row.lesion.strip() if _known(row.lesion) else image_id,
        age=_age(row),
        sex=SEXES.get(sex, sex),
        site=_known(row.site),
        mask=_mask(image_id, row, files, rules),
        split=row.split,
    )


def _dx(row: Row) -> str:
    dx = row.dx.strip().lower()
    if not dx:
        raise DataError(f"{row.where}: image {row.image} has no diagnosis; fill it in or delete the row")
    return dx


def _known(text: str) -> str:
    text = text.strip().lower()
    return "" if text in UNKNOWN else text


def _age(row: Row) -> float | None:
    text = _known(row.age)
    try:
        age = float(text) if text else None
    except ValueError:
        age = math.nan
    if age is not None and not 0 <= age <= MAX_AGE:
        raise DataError(
            f"{row.where}: image {row.image} has age {row.age!r}; it must be years from 0 to {MAX_AGE}, or empty if unknown"
        )
    return age


def _mask(image_id: str, row: Row, files: ImageFiles, rules: Rules) -> str:
    if not row.mask:
        return files.find_mask(image_id) or ""
    mask = files.find_mask(row.mask) or files.find_image(row.mask) or ""
    if not mask and rules.missing == "error":
        raise DataError(
            f"{row.where}: mask {row.mask} of image {row.image} is not below {files.root}; add it, or go on with --allow-missing"
        )
    return mask
