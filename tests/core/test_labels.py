import pytest

from lesionlens.core.errors import DataError
from lesionlens.core.labels import HAM10000, ISIC2019, Diagnosis, LabelSet, label_set_of


def test_ham10000_order_and_malignancy():
    assert HAM10000.codes == ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
    assert [code for code, bad in zip(HAM10000.codes, HAM10000.malignant, strict=True) if bad] == ["akiec", "bcc", "mel"]
    assert HAM10000.index("mel") == 4
    assert len(ISIC2019) == 8


def test_round_trip():
    assert LabelSet.from_json(ISIC2019.to_json()) == ISIC2019


@pytest.mark.parametrize("value", [{}, {"name": "x"}, {"name": "x", "diagnoses": [{"code": "a"}, {"code": "b"}]}])
def test_from_json_refuses_what_is_not_a_label_set(value):
    with pytest.raises(DataError, match="not readable"):
        LabelSet.from_json(value)


def test_unknown_code_names_the_known_ones():
    with pytest.raises(DataError, match=r"unknown diagnosis 'xyz'.*akiec, bcc"):
        HAM10000.index("xyz")


def test_one_diagnosis_or_a_repeated_one_is_refused():
    with pytest.raises(DataError, match="two or more"):
        LabelSet("x", (Diagnosis("a", "A", False),))
    with pytest.raises(DataError, match="twice"):
        LabelSet("x", (Diagnosis("a", "A", False), Diagnosis("a", "B", False)))


def test_label_set_of_knows_the_known_and_names_the_rest():
    assert label_set_of(["vasc", "nv", "mel", "df", "bkl", "bcc", "akiec", "nv"]) is HAM10000
    own = label_set_of(["wart", "mel", "angioma"], malignant=["angioma"])
    assert own.codes == ("angioma", "mel", "wart")
    assert own.malignant == (True, True, False)
    assert own.diagnoses[1].name == "Melanoma"
