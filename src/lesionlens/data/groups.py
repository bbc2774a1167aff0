"""Groups: images of one lesion or one patient, which must never be in two splits."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lesionlens.data.index import Index

Pair = tuple[str, str]
PAIR_COLUMNS = ("image_id_a", "image_id_b")  # of a table of pairs
ISIC_PAIR_COLUMNS = ("image_name_1", "image_name_2")  # of ISIC_2020_Training_Duplicates.csv


def groups_of(index: Index, pairs: Iterable[Pair] = (), by_patient: bool = True) -> np.ndarray:
    """Number the groups of images that belong together: the union-find of patients, lesion ids and `pairs`.

    Args:
        index: the images.
        pairs: pairs of image ids known to show one lesion; pairs of images not in the index are ignored.
        by_patient: whether images of one patient belong together; without, a group is a lesion.

    Returns:
        Group number of each image, shape (N,), from 0, in the order of each group's smallest image
        id: the numbers do not depend on the order of records.
    """
    parent = {image_id: image_id for image_id in index.ids}

    def find(image_id: str) -> str:
        while parent[image_id] != image_id:
            parent[image_id] = parent[parent[image_id]]
            image_id = parent[image_id]
        return image_id

    first: dict[tuple[str, str], str] = {}
    lesions = [(first.setdefault(("lesion", r.lesion_id), r.image_id), r.image_id) for r in index.records]
    known = [record for record in index.records if record.patient_id and by_patient]
    patients = [(first.setdefault(("patient", r.patient_id), r.image_id), r.image_id) for r in known]
    for a, b in (*lesions, *patients, *pairs_in(index, pairs)):
        low, high = sorted((find(a), find(b)))
        parent[high] = low
    roots = [find(image_id) for image_id in index.ids]
    number = {root: n for n, root in enumerate(sorted(set(roots)))}
    return np.array([number[root] for root in roots], dtype=np.int64)


def pairs_in(index: Index, pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    """The pairs whose images are both in the index, each in order, sorted, once."""
    ids = set(index.ids)
    return tuple(sorted({(min(a, b), max(a, b)) for a, b in pairs if a in ids and b in ids and a != b}))
