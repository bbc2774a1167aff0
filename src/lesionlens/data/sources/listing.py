"""Listed rows meet the files on disk and become an index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields

from lesionlens.core.errors import DataError
from lesionlens.core.labels import LabelSet
from lesionlens.data.decoded_image import NoteTally, first_names
from lesionlens.data.files import ImageFiles, name_key, path_id, stem_of
from lesionlens.data.index import Index, Record
from lesionlens.data.sources.labels import Listed, diagnoses_of
from lesionlens.data.sources.row import Row, known_id, known_text, read_age, read_sex
from lesionlens.data.sources.rules import Rules


def make_index(
    rows: Sequence[Row], files: ImageFiles, source: str, labels: LabelSet | None, rules: Rules, notes: Sequence[str] = ()
) -> Index:
    """Join rows with files.

    Args:
        rows: one for each listed image.
        files: what is below the source's folder.
        source: name of the reader.
        labels: the fixed label set of the source; None takes it from the rows.
        rules: see `Rules`.
        notes: what the reader itself has to tell.

    Raises:
        DataError: if nothing is listed, an image, mask or diagnosis is missing, ids clash, or it is not known
            whether a label is malignant.
    """
    notes = [*notes, *files.notes]
    listed = _with_paths(_with_ids(rows, notes), files, rules, notes)
    labelled, labels = diagnoses_of(listed, labels, rules, notes)
    tally = NoteTally()
    records = tuple(_record(code, image, files, rules, tally) for code, image in labelled)
    notes += tally.lines()
    _note_unlisted(files, {path for _, _, path in listed}, {record.mask for record in records}, notes)
    return Index(records, labels, files.root, source, tuple(notes))


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


def _with_paths(named: Sequence[tuple[str, Row]], files: ImageFiles, rules: Rules, notes: list[str]) -> list[Listed]:
    if not named:
        raise DataError(f"the metadata of {files.root} list no image; at least one row is needed below the header")
    found = [(image_id, row, files.find_image(row.image)) for image_id, row in named]
    missing = [row for _, row, path in found if path is None]
    if missing:
        names = first_names([row.image for row in missing], len(missing))
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


def _note_unlisted(files: ImageFiles, used: set[str], masks: set[str], notes: list[str]) -> None:
    taken = {name_key(stem_of(path)) for path in used}
    copies = sum(len(paths) - 1 for stem, paths in files.images.items() if stem in taken and not used.issuperset(paths))
    unlisted = [path for stem, paths in files.images.items() if stem not in taken for path in paths if path not in masks]
    if copies:
        notes.append(f"{copies} images are there more than once; the first of each was taken")
    if unlisted:
        notes.append(
            f"{len(unlisted)} images are there but not listed, and were left out ({first_names(unlisted, len(unlisted))})"
        )


def _record(dx: str, image: Listed, files: ImageFiles, rules: Rules, tally: NoteTally) -> Record:
    image_id, row, path = image
    (age, about_age), (sex, about_sex) = read_age(row.age), read_sex(row.sex)
    tally.add(f"{image_id}: {row.age.strip()!r}", [about_age] if about_age else [])
    tally.add(image_id, [about_sex] if about_sex else [])
    return Record(
        image_id=image_id,
        path=path,
        dx=dx,
        lesion_id=known_id(row.lesion) or image_id,
        age=age,
        sex=sex,
        site=known_text(row.site),
        mask=_mask(image_id, row, files, rules, tally),
        split=row.split,
        patient_id=known_id(row.patient),
        dx_type=known_text(row.dx_type),
        dataset=known_text(row.dataset),
    )


def _mask(image_id: str, row: Row, files: ImageFiles, rules: Rules, tally: NoteTally) -> str:
    if not row.mask:
        return files.find_mask(image_id) or ""
    mask = files.find_mask(row.mask) or files.find_image(row.mask) or ""
    if not mask and rules.missing == "error":
        raise DataError(
            f"{row.where}: mask {row.mask} of image {row.image} is not below {files.root}; add it, or use --allow-missing"
        )
    tally.add(image_id, [] if mask else ["its lesion mask is listed but not there"])
    return mask
