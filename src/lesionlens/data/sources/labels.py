"""From labels as written to diagnoses: renamed, recognised, missing, and malignant or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from lesionlens.core.diagnoses import known_diagnosis, label_key
from lesionlens.core.errors import DataError
from lesionlens.core.labels import LabelSet, label_set_of
from lesionlens.data.decoded_image import NoteTally
from lesionlens.data.index import unknown_dx
from lesionlens.data.sources.row import UNKNOWN, Row
from lesionlens.data.sources.rules import Rules

MISSING = (*UNKNOWN, "unk", "unlabelled", "unlabeled", "not available")
STATED = {"benign": False, "malignant": True}  # words of columns such as benign_malignant and diagnosis_1

Listed = tuple[str, Row, str]  # image id, row, path


def diagnoses_of(
    listed: Sequence[Listed], fixed: LabelSet | None, rules: Rules, notes: list[str]
) -> tuple[list[tuple[str, Listed]], LabelSet]:
    """The diagnosis of each image, and the label set.

    Args:
        listed: images with their rows.
        fixed: the label set of the source; None takes it from the rows.
        rules: see `Rules`.
        notes: is told what was renamed, recognised and left out.

    Returns:
        Code and image, without those that have no diagnosis and may be left out; and the labels.

    Raises:
        DataError: if an image has no diagnosis or one that `fixed` does not hold, or malignancy is not known.
    """
    tally = NoteTally()
    reader = _LabelReader(rules.label_map, tally)
    codes = [(reader.code(image_id, row), (image_id, row, path)) for image_id, row, path in listed]
    _note_unused_names(rules.label_map, [row for _, row, _ in listed], notes)
    labelled = [(code, image) for code, image in codes if code]
    _check_unlabelled([image[1] for code, image in codes if not code], len(codes), rules, notes)
    for code, (_, row, _) in labelled:
        if fixed is not None and code not in fixed:
            raise DataError(
                f"{row.where}: image {row.image}: {unknown_dx(code, fixed)}; correct the row, delete it, or rename the label "
                "with --map"
            )
    labels = _label_set(labelled, fixed, rules, notes)
    _note_contradictions(labelled, labels, tally)
    notes += tally.lines()
    _note_classes(labelled, labels, notes)
    return labelled, labels


def is_missing(label: str) -> bool:
    """Whether a label means that there is none.

    >>> is_missing(" UNK "), is_missing("unknown"), is_missing("nv")
    (True, True, False)
    """
    return label.strip().lower() in MISSING


class _LabelReader:
    """Reads labels as codes, and counts what it changed."""

    def __init__(self, label_map: Mapping[str, str], tally: NoteTally) -> None:
        self._renamed = {label_key(label): name.strip() for label, name in label_map.items()}
        self._spelling: dict[str, str] = {}  # the first one of each label that the table of diagnoses does not know
        self._tally = tally

    def code(self, image_id: str, row: Row) -> str:
        """Code of a row's diagnosis; empty if it has none."""
        label = " ".join(row.dx.split())
        renamed = self._renamed.get(label_key(label)) if label else None
        if renamed is not None:
            self._tally.add(image_id, [f"label {label!r} is renamed {renamed!r} by the map"])
            label = renamed
        if is_missing(label):
            return ""
        known = known_diagnosis(label)
        code = known.code if known else self._spelling.setdefault(label_key(label) or label, label.lower())
        if code != label.lower():
            self._tally.add(image_id, [f"label {label!r} is read as {code}{f' ({known.name})' if known else ''}"])
        return code


def _check_unlabelled(rows: Sequence[Row], count: int, rules: Rules, notes: list[str]) -> None:
    if not rows:
        return
    words = ", ".join(f"{label or 'empty'!r} {n}" for label, n in Counter(row.dx.strip() for row in rows).most_common(5))
    if not rules.skip_unlabelled or len(rows) == count:
        rest = f", nor have {len(rows) - 1} of the other {count - 1}" if len(rows) > 1 else ""
        raise DataError(
            f"{rows[0].where}: image {rows[0].image} has no diagnosis{rest} ({words}); fill it in, name another column with "
            "--dx-column, rename the label with --map, or leave such images out with --skip-unlabelled"
        )
    notes.append(f"{len(rows)} of {count} images have no diagnosis ({words}); they were left out")


def _label_set(labelled: Sequence[tuple[str, Listed]], fixed: LabelSet | None, rules: Rules, notes: list[str]) -> LabelSet:
    if fixed is not None and not (rules.malignant or rules.benign_only):
        return fixed
    stated = _stated(labelled)
    codes = fixed.codes if fixed is not None else [code for code, _ in labelled]
    labels = label_set_of(codes, rules.malignant, rules.benign_only, stated=stated)
    asked = [diagnosis for diagnosis in labels.diagnoses if known_diagnosis(diagnosis.code) is None]
    for who, by_source in (("the source states it", True), ("you state it", False)):
        chosen = [diagnosis for diagnosis in asked if (diagnosis.code in stated) == by_source]
        words = ", ".join(f"{diagnosis.code} {'malignant' if diagnosis.malignant else 'benign'}" for diagnosis in chosen)
        if words:
            notes.append(f"malignancy as {who}: {words}")
    return labels


def _stated(labelled: Sequence[tuple[str, Listed]]) -> dict[str, bool]:
    """Malignancy of diagnoses as the source states it for every one of their images."""
    words: dict[str, set[bool | None]] = {}
    for code, (_, row, _) in labelled:
        words.setdefault(code, set()).add(STATED.get(row.malignancy.strip().lower()))
    return {code: True in stated for code, stated in words.items() if len(stated) == 1 and None not in stated}


def _note_unused_names(label_map: Mapping[str, str], rows: Sequence[Row], notes: list[str]) -> None:
    present = {label_key(row.dx) for row in rows}
    unused = [label for label in label_map if label_key(label) not in present]
    if unused:
        notes.append(f"{len(unused)} labels of the map do not occur: {', '.join(unused)}")


def _note_contradictions(labelled: Sequence[tuple[str, Listed]], labels: LabelSet, tally: NoteTally) -> None:
    malignant = dict(zip(labels.codes, labels.malignant, strict=True))
    for code, (image_id, row, _) in labelled:
        stated = STATED.get(row.malignancy.strip().lower())
        if stated is not None and stated != malignant[code]:
            words = "malignant" if malignant[code] else "benign"
            tally.add(image_id, [f"the source calls it {row.malignancy.strip().lower()}, but {code} counts as {words} here"])


def _note_classes(labelled: Sequence[tuple[str, Listed]], labels: LabelSet, notes: list[str]) -> None:
    present = Counter(code for code, _ in labelled)
    absent = [code for code in labels.codes if code not in present]
    if len(present) == 1:
        notes.append(f"all {len(labelled)} images have the diagnosis {next(iter(present))}; no classifier can be trained on them")
    elif absent:
        notes.append(f"no image has the diagnosis {', '.join(absent)}")
