"""Groups: the union of lesions, patients and pairs."""

from pathlib import Path

from lesionlens.core.labels import HAM10000
from lesionlens.data.groups import groups_of, pairs_in
from lesionlens.data.index import Index, Record


def index_of(*rows: tuple[str, str, str]) -> Index:
    """An index of (image id, lesion id, patient id)."""
    records = tuple(Record(image, f"{image}.jpg", "nv", lesion or image, patient_id=patient) for image, lesion, patient in rows)
    return Index(records, HAM10000, Path("images"), "table")


def test_groups_are_the_union_find_of_lesions_and_pairs():
    index = index_of(("a0", "L0", ""), ("a1", "L0", ""), ("b", "L1", ""), ("c", "L2", ""), ("d", "L3", ""))
    assert groups_of(index).tolist() == [0, 0, 1, 2, 3]
    chained = [("d", "b"), ("b", "a1"), ("c", "elsewhere")]
    assert groups_of(index, chained).tolist() == [0, 0, 0, 1, 0]


def test_patients_join_lesions():
    index = index_of(("a", "L0", "P"), ("b", "L1", "P"), ("c", "L1", ""), ("d", "", "Q"), ("e", "", ""))
    assert groups_of(index).tolist() == [0, 0, 0, 1, 2]
    assert groups_of(index, by_patient=False).tolist() == [0, 1, 1, 2, 3]


def test_a_patient_and_a_lesion_of_one_name_are_not_one():
    assert groups_of(index_of(("a", "7", ""), ("b", "8", "7"), ("c", "9", "7"))).tolist() == [0, 1, 1]


def test_the_order_of_records_does_not_matter():
    rows = (("b", "L1", "P"), ("a", "L0", "P"), ("c", "L2", ""))
    assert groups_of(index_of(*rows)).tolist() == [0, 0, 1]
    assert groups_of(index_of(*rows[::-1])).tolist() == [1, 0, 0]


def test_pairs_in_the_index():
    index = index_of(("a", "", ""), ("b", "", ""), ("c", "", ""))
    assert pairs_in(index, [("b", "a"), ("a", "b"), ("a", "a"), ("c", "elsewhere"), ("c", "b")]) == (("a", "b"), ("b", "c"))
