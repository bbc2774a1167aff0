import pytest

from lesionlens.core.diagnoses import Diagnosis
from lesionlens.core.errors import DataError
from lesionlens.core.labels import HAM10000, ISIC2019, LabelSet, label_set_of


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


def test_the_user_is_asked_about_labels_that_are_not_known():
    words = r"not known whether kind2, kind7 is malignant.*among the labels kind2, kind7, nv with --malignant A,B.*--benign-only"
    with pytest.raises(DataError, match=words):
        label_set_of(["kind7", "nv", "kind2"])
    assert label_set_of(["kind7", "nv", "kind2"], malignant=["Kind-7"]).malignant == (False, True, False)
    assert not label_set_of(["kind7", "nv", "kind2"], benign_only=True).has_malignant
    assert label_set_of(["kind7", "nv"], stated={"kind7": True, "nv": True}).malignant == (True, False)


def test_an_answer_that_cannot_be_right_is_refused():
    with pytest.raises(DataError, match="--malignant names meel, but the labels are mel, nv; correct the name"):
        label_set_of(["mel", "nv"], malignant=["meel"])
    with pytest.raises(DataError, match="--benign-only is stated, but mel is malignant.*--malignant mel"):
        label_set_of(["mel", "nv", "kind"], benign_only=True)


def test_the_user_overrules_the_table():
    own = label_set_of(["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"], malignant=["bkl"])
    assert own.name == "custom"
    assert [code for code, bad in zip(own.codes, own.malignant, strict=True) if bad] == ["akiec", "bcc", "bkl", "mel"]
    assert label_set_of(HAM10000.codes, malignant=["mel"]) is HAM10000
