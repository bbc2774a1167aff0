"""Leak rates: by lesion and by patient, by hand; what nobody knows is never 0."""

from pathlib import Path

import pytest

from lesionlens.core.labels import HAM10000
from lesionlens.data.index import Index, Record
from lesionlens.data.leaks import group_leak_rate, has_unknown, leak_rate, leak_sentences, leaking_images


def index_of(*rows: tuple[str, str, str, str]) -> Index:
    """An index of (image id, diagnosis, lesion id, patient id)."""
    records = tuple(Record(image, f"{image}.jpg", dx, lesion or image, patient_id=patient) for image, dx, lesion, patient in rows)
    return Index(records, HAM10000, Path("images"), "table")


KNOWN = index_of(
    *((f"i{n}{m}", dx, f"L{n}", "") for n, dx, count in ((0, "mel", 3), (1, "nv", 2), (2, "nv", 1)) for m in range(count))
)
SPLITS = {"train": ("i00", "i10"), "validation": ("i01",), "test": ("i02", "i11", "i20")}


def test_by_lesion_by_hand():
    rate = leak_rate(KNOWN, SPLITS)
    assert rate["test"] == pytest.approx(2 / 3)
    assert rate["validation"] == 1
    assert rate["by_class"]["mel"] == 1
    assert rate["by_class"]["nv"] == 0.5
    assert rate["by_class"]["df"] is None
    assert rate["groups_by_split"] == {"train": 2, "validation": 1, "test": 3}
    assert rate["left_out"] == 0
    assert leak_rate(KNOWN, SPLITS, [("i20", "i10")])["test"] == 1
    assert rate == group_leak_rate(KNOWN, SPLITS)
    assert not has_unknown(KNOWN)
    assert leak_sentences(rate, {"train": 2, "validation": 1, "test": 3}) == [
        "66.7 % of test images and 100.0 % of validation images show a lesion that is also in training"
    ]


def test_without_any_id_it_is_unknown_and_never_zero():
    index = index_of(*((name, "nv", "", "") for name in "abcd"))
    rate = leak_rate(index, {"train": ("a", "b"), "validation": (), "test": ("c", "d")})
    assert (rate["test"], rate["validation"], rate["by_class"]["nv"]) == (None, None, None)
    assert rate["unknown"] == {"test": 2, "validation": 0}
    assert rate["by_patient"] == {"test": None, "validation": None}
    sentences = leak_sentences(rate, {"train": 2, "validation": 0, "test": 2})
    assert sentences == ["leak rate unknown: none of the 2 test images has a lesion id"]
    assert not any("0.0 %" in sentence for sentence in sentences)


def test_a_pair_makes_its_images_known():
    index = index_of(*((name, "nv", "", "") for name in "abcd"))
    rate = leak_rate(index, {"train": ("a", "b"), "validation": (), "test": ("c", "d")}, [("b", "c")])
    assert (rate["test"], rate["unknown"]["test"]) == (1, 1)
    assert leak_sentences(rate, {"train": 2, "validation": 0, "test": 2}) == [
        "leak rate unknown for 1 of 2 test images, which have no lesion id; 100.0 % of the others show a lesion that is also in "
        "training"
    ]


def test_by_patient_by_hand():
    index = index_of(
        ("a", "mel", "", "P"),
        ("b", "nv", "L1", "Q"),
        ("c", "nv", "", "P"),
        ("d", "nv", "", "R"),
        ("e", "mel", "L1", ""),
        ("f", "nv", "", ""),
    )
    rate = leak_rate(index, {"train": ("a", "b"), "validation": (), "test": ("c", "d", "e", "f")})
    # c: patient in training, lesion unknown; d: another patient, so another lesion; e: lesion in training; f: nothing known
    assert rate["test"] == 0.5
    assert rate["unknown"]["test"] == 2
    assert rate["by_patient"]["test"] == 0.5
    assert rate["unknown_patient"]["test"] == 2
    assert leak_sentences(rate, {"train": 2, "validation": 0, "test": 4}) == [
        "leak rate unknown for 2 of 4 test images, which have no lesion id; 50.0 % of the others show a lesion that is also in "
        "training",
        "50.0 % of test images are of a patient who is also in training (the patient of 2 images is unknown)",
    ]


def test_patients_apart_leave_no_lesion_unknown():
    index = index_of(*((f"i{n}", "nv", "", f"P{n // 2}") for n in range(6)))
    rate = leak_rate(index, {"train": ("i0", "i1"), "validation": ("i2", "i3"), "test": ("i4", "i5")})
    assert (rate["test"], rate["unknown"], rate["by_patient"]["test"]) == (0, {"test": 0, "validation": 0}, 0)
    assert leak_sentences(rate, {"train": 2, "validation": 2, "test": 2}) == [
        "0.0 % of test images and 0.0 % of validation images show a lesion that is also in training",
        "0.0 % of test images and 0.0 % of validation images are of a patient who is also in training",
    ]


def test_images_that_pairs_link_to_training():
    ids = {"train": ("a", "b"), "validation": ("v",), "test": ("c", "d")}
    assert leaking_images(ids, [("a", "d"), ("c", "v"), ("b", "a"), ("b", "d")]) == ("d",)
