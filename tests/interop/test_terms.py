"""Coded terms."""

import pytest

from lesionlens.core.diagnoses import known_diagnosis
from lesionlens.core.labels import HAM10000
from lesionlens.interop.terms import CONCEPTS, LOCAL, MEANING_CHARACTERS, SNOMED, diagnosis_term

PERMUTE = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def multiplied(first: int, second: int) -> int:
    """The product in the dihedral group of order 10."""
    if first < 5:
        return (first + second) % 5 if second < 5 else 5 + (first + second) % 5
    return 5 + (first - second) % 5 if second < 5 else (first - second) % 5


def verhoeff(number: str) -> int:
    """The check of SNOMED CT identifiers (Verhoeff's dihedral code): 0 if the last digit is right."""
    check = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit)
        for _ in range(place % 8):
            value = PERMUTE[value]
        check = multiplied(check, value)
    return check


def test_the_check_can_fail():
    assert verhoeff("73211009") == 0  # diabetes mellitus
    assert verhoeff("73211008") != 0
    assert verhoeff("37211009") != 0


@pytest.mark.parametrize("code", CONCEPTS)
def test_concepts_are_identifiers_of_known_diagnoses(code):
    assert verhoeff(CONCEPTS[code][0]) == 0
    assert known_diagnosis(code) is not None


def test_pydicom_knows_some_of_them_by_the_same_name():
    codes = pytest.importorskip("pydicom.sr.codedict", reason="pydicom is not installed").codes
    for code, name in (("ak", "ActinicKeratosis"), ("scc", "SquamousCellCarcinomaOfSkin"), ("hemangioma", "Hemangioma")):
        assert CONCEPTS[code] == (getattr(codes.SCT, name).value, getattr(codes.SCT, name).meaning)


def test_mixed_classes_get_no_near_miss():
    schemes = {d.code: diagnosis_term(d.code, d.name).scheme for d in HAM10000.diagnoses}
    assert schemes == {c: SNOMED if c in ("mel", "nv", "bcc") else LOCAL for c in HAM10000.codes}
    assert len(diagnosis_term("x", "n" * 99).meaning) == MEANING_CHARACTERS
