from datetime import date

import pytest

from lesionlens.serving.problems import Problem
from lesionlens.serving.subjects import Subject, read_subject, told_before

TODAY = date(2026, 11, 22)


def test_what_is_not_said_is_not_known():
    assert read_subject({}) == Subject()
    assert Subject().to_json() == {"case": None, "lesion": None, "site": None, "taken": None}


def test_sites_are_the_words_of_the_index():
    assert read_subject({"site": " Palms/Soles "}).site == "acral"
    assert read_subject({"site": "unknown"}).site == ""


@pytest.mark.parametrize(
    ("values", "detail"),
    [
        ({"case": "Anna Smith"}, "no pseudonym"),
        ({"case": "x" * 65}, "no pseudonym"),
        ({"case": "../etc"}, "no pseudonym"),
        ({"case": "Müller"}, "no pseudonym"),
        ({"case": "A", "lesion": "<b>"}, "`lesion` that is no pseudonym"),
        ({"lesion": "L1"}, "without its `case`"),
        ({"site": "moon"}, "it must be of abdomen"),
        ({"taken": "22.11.2026"}, "no day"),
        ({"taken": "20261122"}, "no day"),
        ({"taken": "2026-11-24"}, "not in the future"),
        ({"taken": "1860-01-01"}, "no day"),
    ],
)
def test_what_is_refused(values, detail):
    with pytest.raises(Problem, match=detail) as found:
        read_subject(values, today=TODAY)
    assert found.value.code == "invalid_parameter"
    assert "Anna" not in found.value.detail


def test_it_is_tomorrow_in_the_east():
    assert read_subject({"taken": "2026-11-23"}, today=TODAY).taken == "2026-11-23"


def test_a_case_of_the_file_was_not_sent():
    body = {"case": "dicom-abc", "lesion": None, "site": None, "taken": None}
    assert told_before(Subject(), body)
    assert told_before(Subject("dicom-abc"), body)
    assert not told_before(Subject("B"), body)
    assert not told_before(Subject(), {**body, "case": "A"})
