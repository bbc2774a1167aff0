import pytest

from lesionlens.assessment.external.label_mapping import SUBTYPES, map_labels, read_stated
from lesionlens.core.diagnoses import known_labels
from lesionlens.core.errors import DataError, RecipeError
from lesionlens.core.labels import HAM10000, ISIC2016, ISIC2017, ISIC2019, PH2, Diagnosis, LabelSet, label_set_of


def mapped(data: LabelSet, model: LabelSet = HAM10000, **stated: str) -> dict[str, str]:
    return {row.diagnosis.code: row.model_code for row in map_labels(data, model, stated).rows}


def test_the_sets_of_the_challenges() -> None:
    assert mapped(ISIC2017) == {"mel": "mel", "nv": "nv", "sk": "bkl"}
    assert mapped(PH2) == {"atypical_nevus": "nv", "common_nevus": "nv", "mel": "mel"}
    assert mapped(ISIC2019) == {**{code: code for code in HAM10000.codes}, "scc": ""}
    assert mapped(HAM10000) == {code: code for code in HAM10000.codes}


def test_many_labels_may_be_one_class_and_names_are_known_by_synonyms() -> None:
    data = label_set_of(["Melanoma in situ", "lentigo maligna", "naevus", "Clark nevus", "solar lentigo", "Bowen's disease"])
    expected = {"Melanoma in situ": "mel", "lentigo maligna": "mel", "naevus": "nv", "Clark nevus": "nv"}
    assert mapped(data) == {**expected, "solar lentigo": "bkl", "Bowen's disease": "akiec"}


def test_a_class_that_the_model_lacks_keeps_its_malignancy() -> None:
    mapping = map_labels(ISIC2019, HAM10000)
    dx = ["scc", "nv", "mel", "scc"]
    assert mapping.labels(dx).tolist() == [-1, 5, 4, -1]
    assert mapping.malignant(dx).tolist() == [True, False, True, True]
    assert mapping.watched(dx, ["mel"]).tolist() == [False, False, True, False]
    content = mapping.to_json(dx)
    assert content["n_outside"] == 2
    assert content["absent"] == ["akiec", "bcc", "bkl", "df", "vasc"]
    assert {row["code"]: row["how"] for row in content["rows"]}["scc"] == "outside"


def test_what_is_stated_comes_first() -> None:
    assert mapped(ISIC2017, sk="none")["sk"] == ""
    assert mapped(ISIC2017, sk="nv")["sk"] == "nv"
    stated = map_labels(ISIC2017, HAM10000, {"Seborrheic keratosis": "Benign keratosis-like lesion"})
    assert [(row.model_code, row.how) for row in stated.rows][2] == ("bkl", "stated")


def test_a_label_that_nobody_knows_is_refused_in_one_line() -> None:
    data = LabelSet("own", (*ISIC2017.diagnoses, Diagnosis("zebra", "zebra", False)))
    with pytest.raises(DataError, match=r"'zebra' of the data .* --map zebra=CODE, or --map zebra=none") as error:
        mapped(data)
    assert "\n" not in str(error.value)
    assert mapped(data, zebra="none")["zebra"] == ""


def test_a_label_without_images_needs_no_mapping() -> None:
    data = LabelSet("own", (*ISIC2017.diagnoses, Diagnosis("zebra", "zebra", False)))
    rows = map_labels(data, HAM10000, present=["mel", "nv"]).rows
    assert [row.diagnosis.code for row in rows] == ["mel", "nv"]


def test_a_label_that_is_broader_than_the_models_is_refused() -> None:
    model = LabelSet("fine", tuple(label_set_of(["sk", "solar_lentigo", "mel"]).diagnoses))
    with pytest.raises(DataError, match="'bkl'"):
        mapped(HAM10000, model, akiec="none", bcc="none", df="none", nv="none", vasc="none")
    with pytest.raises(DataError, match="'benign'"):
        mapped(ISIC2016)


def test_a_set_without_any_of_the_models_classes_is_refused() -> None:
    data = label_set_of(["scc", "merkel_cell_carcinoma"])
    with pytest.raises(DataError, match=r"none of the data's labels .* nothing to score; .* --map LABEL=CODE"):
        mapped(data)


def test_statements_about_unknown_labels_are_refused() -> None:
    with pytest.raises(RecipeError, match="'bkl', which the data lack"):
        mapped(ISIC2017, bkl="bkl")
    with pytest.raises(RecipeError, match="'scc', which the model lacks"):
        mapped(ISIC2017, sk="scc")


@pytest.mark.parametrize("text", ["sk", "=bkl", "sk=", "=", ""])
def test_a_statement_is_a_pair(text: str) -> None:
    with pytest.raises(RecipeError, match="TRUE=MODEL"):
        read_stated([text])


def test_a_statement_may_not_contradict_another() -> None:
    with pytest.raises(RecipeError, match="two classes"):
        read_stated(["sk=bkl", "sk=nv"])


def test_every_subtype_is_a_known_diagnosis_of_the_same_malignancy_as_its_class() -> None:
    known = {diagnosis.code: diagnosis for diagnosis in known_labels()}
    for line in SUBTYPES.strip().splitlines():
        parent, codes = line.split("|")
        for code in codes.split(";"):
            assert known[code.strip()].malignant == known[parent.strip()].malignant, code
