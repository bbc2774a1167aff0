"""The audit: what is wrong with a set of images before anybody trains on it."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lesionlens.core.artifact import read_json, write_json
from lesionlens.core.errors import ArtifactError, DataError
from lesionlens.data.audit.duplicates import CERTAIN, LIKELY, SUSPECT, Duplicate, exact_duplicates, is_certain, near_duplicates
from lesionlens.data.audit.fingerprint import Fingerprints, fingerprints
from lesionlens.data.groups import ISIC_PAIR_COLUMNS, PAIR_COLUMNS, Pair, groups_of
from lesionlens.data.index import Index, Record
from lesionlens.data.parallel import Progress
from lesionlens.data.split import Split


@dataclass(frozen=True)
class SuspectedPair:
    """Two images that seem to show one lesion under two lesion ids.

    Attributes:
        image_id_a: the smaller image id.
        image_id_b: the larger.
        dx_a: diagnosis of the first.
        dx_b: diagnosis of the second.
        kind: `exact` or `near`.
        keypoints: how many keypoints they share; see `keypoints.shared_keypoints`.
        same_patient: whether the patient ids are known and equal, or else age, sex and site are.
        certain: whether a split unites them without a look; see `duplicates.is_certain`.
        known: whether the pair was known before.
    """

    image_id_a: str
    image_id_b: str
    dx_a: str
    dx_b: str
    kind: str
    keypoints: int
    same_patient: bool
    certain: bool
    known: bool


@dataclass(frozen=True)
class Audit:
    """What was found.

    Attributes:
        index_hash: of the index it belongs to.
        split_hash: of the split that was compared; empty if none was given.
        n_images: images in the index.
        n_lesions: lesion ids in the index.
        unreadable: `image_id`, `path` and `reason` of each image that cannot be used.
        pairs: suspected pairs of different lesion ids, most alike first.
        exact_within_lesion: images equal to another of the same lesion id.
        known: `listed` pairs known before, `found` and `certain` among them, and those `missed`.
        missing: images without age, sex, site, lesion id, patient id or mask.
        disagreeing: lesions, with certain and known pairs united, that carry several diagnoses.
        crossing: lesions whose images are in several splits.
    """

    index_hash: str
    split_hash: str
    n_images: int
    n_lesions: int
    unreadable: tuple[dict[str, str], ...]
    pairs: tuple[SuspectedPair, ...]
    exact_within_lesion: int
    known: dict[str, Any]
    missing: dict[str, int]
    disagreeing: tuple[dict[str, Any], ...]
    crossing: tuple[dict[str, Any], ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready form, with the thresholds that decided."""
        return {**asdict(self), "thresholds": {"suspect": SUSPECT, "likely": LIKELY, "certain": CERTAIN}}

    def summary(self) -> str:
        """One line for people."""
        certain = sum(pair.certain for pair in self.pairs)
        exact = sum(pair.kind == "exact" for pair in self.pairs)
        counts = {name.replace("_", " "): count for name, count in self.missing.items() if count}
        missing = ", ".join(f"{count} without {name}" for name, count in counts.items()) or "no field missing"
        suspected = f"{len(self.pairs)} suspected pair{'' if len(self.pairs) == 1 else 's'}"
        text = (
            f"{self.n_images} images of {self.n_lesions} lesions; {len(self.unreadable)} unreadable; "
            f"{suspected} under two lesion ids ({certain} certain, {exact} exact)"
        )
        if self.known["listed"]:
            text += f", {self.known['found']} of {self.known['listed']} known pairs among them"
        text += f"; {len(self.disagreeing)} lesions with two diagnoses; {missing}"
        return text + (f"; {len(self.crossing)} lesions cross splits" if self.split_hash else "")


def audit_index(
    index: Index,
    known_pairs: Sequence[Pair] = (),
    split: Split | None = None,
    progress: Progress | None = None,
    workers: int = 0,
) -> Audit:
    """Look for unusable files, duplicates, missing fields, labels that disagree and lesions that cross splits.

    Every image is decoded once; memory grows by about 40 kB an image.

    Args:
        index: the images.
        known_pairs: pairs of image ids known to show one lesion, to compare with what is found.
        split: its splits are checked for lesions that cross them.
        progress: called with the number of images decoded since the last call.
        workers: threads; 0 means one for each core.

    Raises:
        DataError: if not a single image can be used, or OpenCV is not installed.
    """
    prints = fingerprints(index, workers, progress)
    if len(prints.unreadable) == len(index):
        raise DataError(f"none of the {len(index)} images can be used; the first: {prints.unreadable[0]}")
    lesions = np.unique([record.lesion_id for record in index.records], return_inverse=True)[1]
    pairs, within = _suspects(index, prints, lesions, known_pairs, workers)
    united = [(pair.image_id_a, pair.image_id_b) for pair in pairs if pair.certain]
    groups = groups_of(index, (*known_pairs, *united))
    return Audit(
        index_hash=index.hash,
        split_hash=split.hash if split else "",
        n_images=len(index),
        n_lesions=len(set(lesions.tolist())),
        unreadable=tuple(
            {"image_id": index.records[number].image_id, "path": index.records[number].path, "reason": reason}
            for number, reason in sorted(prints.unreadable.items())
        ),
        pairs=pairs,
        exact_within_lesion=within,
        known=_compare(index, pairs, known_pairs),
        missing=_missing(index),
        disagreeing=_several(index, groups, {record.image_id: record.dx for record in index.records}, "dx"),
        crossing=_several(index, groups, _split_of(split), "splits"),
    )


def _suspects(
    index: Index, prints: Fingerprints, lesions: np.ndarray, known_pairs: Sequence[Pair], workers: int
) -> tuple[tuple[SuspectedPair, ...], int]:
    exact = exact_duplicates(prints)
    across = [pair for pair in exact if lesions[pair.first] != lesions[pair.second]]
    taken = {(pair.first, pair.second) for pair in exact}
    near = [pair for pair in near_duplicates(prints, lesions, workers) if (pair.first, pair.second) not in taken]
    known = {frozenset(pair) for pair in known_pairs}
    return tuple(_suspect(index, pair, known) for pair in (*across, *near)), len(exact) - len(across)


def _suspect(index: Index, pair: Duplicate, known: set[frozenset[str]]) -> SuspectedPair:
    a, b = sorted((index.records[pair.first], index.records[pair.second]), key=lambda record: record.image_id)
    return SuspectedPair(
        image_id_a=a.image_id,
        image_id_b=b.image_id,
        dx_a=a.dx,
        dx_b=b.dx,
        kind=pair.kind,
        keypoints=pair.keypoints,
        same_patient=_same_patient(a, b),
        certain=pair.kind == "exact" or is_certain(pair.keypoints, _same_patient(a, b)),
        known=frozenset((a.image_id, b.image_id)) in known,
    )


def _same_patient(a: Record, b: Record) -> bool:
    if a.patient_id and b.patient_id:
        return a.patient_id == b.patient_id
    known = a.age is not None and bool(a.sex) and bool(a.site)
    return known and (a.age, a.sex, a.site) == (b.age, b.sex, b.site)


def _compare(index: Index, pairs: Sequence[SuspectedPair], known_pairs: Sequence[Pair]) -> dict[str, Any]:
    ids = set(index.ids)
    listed = sorted({(min(pair), max(pair)) for pair in known_pairs if ids.issuperset(pair)})
    found = {(pair.image_id_a, pair.image_id_b): pair.certain for pair in pairs}
    return {
        "listed": len(listed),
        "found": sum(pair in found for pair in listed),
        "certain": sum(found.get(pair, False) for pair in listed),
        "missed": [list(pair) for pair in listed if pair not in found],
    }


def _missing(index: Index) -> dict[str, int]:
    records = index.records
    return {
        "age": sum(record.age is None for record in records),
        "sex": sum(not record.sex for record in records),
        "site": sum(not record.site for record in records),
        "lesion_id": sum(not record.has_lesion_id for record in records),
        "patient_id": sum(not record.patient_id for record in records),
        "mask": sum(not record.mask for record in records),
    }


def _split_of(split: Split | None) -> dict[str, str]:
    return {image_id: split_name for split_name, ids in split.ids.items() for image_id in ids} if split else {}


def _several(index: Index, groups: np.ndarray, value_of: dict[str, str], name: str) -> tuple[dict[str, Any], ...]:
    """Groups whose images differ in `value_of`: lesion ids, image ids, and the values with their counts."""
    members: dict[int, list[int]] = {}
    for number, group in enumerate(groups.tolist()):
        members.setdefault(group, []).append(number)
    found = []
    for group in sorted(members):
        records = [index.records[number] for number in members[group]]
        values = Counter(value_of[record.image_id] for record in records if record.image_id in value_of)
        if len(values) > 1:
            lesion_ids = sorted({record.lesion_id for record in records})
            found.append(
                {"lesion_ids": lesion_ids, "image_ids": sorted(r.image_id for r in records), name: dict(sorted(values.items()))}
            )
    return tuple(found)


def write_audit(audit: Audit, index: Index, path: Path) -> None:
    """Write audit.json, and the contact sheet of suspected pairs beside it as .jpg."""
    from lesionlens.data.audit.contact_sheet import contact_sheet, write_sheet

    sheet = contact_sheet(audit.pairs, index)
    write_json(path, audit.to_json())
    write_sheet(sheet, path.with_suffix(".jpg"))


def read_pairs(path: Path, certain_only: bool = True) -> tuple[Pair, ...]:
    """Read pairs of image ids that show one lesion.

    Args:
        path: an audit.json, or a CSV with columns `image_id_a` and `image_id_b`.
        certain_only: of an audit, take the certain pairs alone; a CSV is taken whole.

    Raises:
        ArtifactError: if the file is missing, or is neither.
    """
    if path.suffix.lower() != ".json":
        return _pairs_of_table(path)
    value = read_json(path)
    try:
        rows = [(row["image_id_a"], row["image_id_b"], row["certain"]) for row in value["pairs"]]
    except (KeyError, TypeError) as error:
        raise ArtifactError(f"{path} is not an audit ({error!r}); make one with: lesionlens audit index.csv") from error
    return tuple((a, b) for a, b, certain in rows if certain or not certain_only)


def _pairs_of_table(path: Path) -> tuple[Pair, ...]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path} cannot be read ({error}); give a CSV with columns {', '.join(PAIR_COLUMNS)}") from error
    rows = list(csv.DictReader(text.splitlines()))
    first, second = ISIC_PAIR_COLUMNS if rows and ISIC_PAIR_COLUMNS[0] in rows[0] else PAIR_COLUMNS
    pairs = tuple((row.get(first) or "", row.get(second) or "") for row in rows)
    if not pairs or not all(a and b for a, b in pairs):
        raise ArtifactError(f"{path} lists no pairs, or a row lacks one; it must have columns {', '.join(PAIR_COLUMNS)}")
    return pairs
