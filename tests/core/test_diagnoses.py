"""The table of diagnoses: what the field calls malignant, in every spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlens.core.diagnoses import is_melanoma, known_diagnosis, known_labels, label_code, label_key

# Written down apart from the table: what must never be benign, and what must never be malignant.
MALIGNANT = """
akiec, bcc, mel, MEL, BCC, AKIEC, SCC, AK, ACK, Basal cell carcinoma, basal cell carcinoma, Squamous cell carcinoma,
squamous cell carcinoma, melanoma, Melanoma, Malignant melanoma, Melanoma in situ, Melanoma Invasive, Melanoma metastasis,
lentigo_maligna, Lentigo maligna, lentigo maligna melanoma, actinic keratosis, Actinic Keratoses, Solar or actinic keratosis,
Actinic keratoses and intraepithelial carcinoma, Bowen's disease, Merkel cell carcinoma, Kaposi sarcoma, malignant, MALIGNANT,
melanoma (in situ), melanoma (less than 0.76 mm), melanoma (more than 1.5 mm), Keratoacanthoma,
Squamous cell carcinoma in situ, Malignant epidermal proliferations, Malignant melanocytic proliferations (Melanoma),
Collision - At least one malignant proliferation
"""
BENIGN = """
bkl, df, nv, vasc, NEV, SEK, nevus, Nevus, naevus, melanocytic nevi, Melanocytic Naevi, mole, seborrheic keratosis,
seborrheic_keratosis, Seborrhoeic Keratosis, benign keratosis, benign keratosis-like lesions, pigmented benign keratosis,
dermatofibroma, Haemangioma, hemangioma, vascular lesion, vascular lesions, lentigo, lentigo NOS, solar lentigo, Solar-Lentigo,
lichenoid keratosis, Lichen planus like keratosis, cafe-au-lait macule, café-au-lait macule, clark nevus, blue nevus,
reed or spitz nevus, Common Nevus, Atypical Nevus, benign, Benign, verruca, angiokeratoma, Nevus; Spitz, scar
"""
UNDECIDED = """
atypical melanocytic proliferation, Atypical intraepithelial melanocytic proliferation, Indeterminate, other, miscellaneous,
Solar or actinic cheilitis, 1, nevus or melanoma, not melanoma, m
"""


def names(text: str) -> list[str]:
    """Names between commas; a semicolon is a comma within a name."""
    return [name.strip().replace(";", ",") for name in text.split(",") if name.strip()]


@pytest.mark.parametrize("label", names(MALIGNANT))
def test_malignant(label):
    assert known_diagnosis(label).malignant


@pytest.mark.parametrize("label", names(BENIGN))
def test_benign(label):
    assert not known_diagnosis(label).malignant


@pytest.mark.parametrize("label", names(UNDECIDED))
def test_what_the_field_does_not_agree_on_is_not_known(label):
    assert known_diagnosis(label) is None


def test_no_name_means_two_diagnoses():
    of_key = {}
    for diagnosis, labels in known_labels().items():
        for label in labels:
            assert of_key.setdefault(label_key(label), diagnosis) == diagnosis, label
    assert len({diagnosis.code for diagnosis in known_labels()}) == len(known_labels())


def test_the_names_do_not_contradict_their_malignancy():
    for diagnosis in known_labels():
        words = diagnosis.name.lower()
        if any(word in words for word in ("carcinoma", "sarcoma", "lymphoma", "melanoma")):
            assert diagnosis.malignant, diagnosis
        if words.startswith("benign") or (words.endswith("nevus") and "nevus" in words.split(",")[0]):
            assert not diagnosis.malignant or "melanoma" in words, diagnosis


@given(st.sampled_from([label for labels in known_labels().values() for label in labels]), st.randoms())
def test_spelling_does_not_matter(label, random):
    changed = "".join(random.choice((letter.upper(), letter.lower())) for letter in label)
    changed = "".join(random.choice(" -_") if letter in " -_" else letter for letter in changed)
    assert known_diagnosis(f" {changed} ") == known_diagnosis(label)


def test_kinds_of_melanoma():
    kinds = [diagnosis.code for diagnosis in known_labels() if is_melanoma(diagnosis)]
    assert {"mel", "melanoma_in_situ", "lentigo_maligna", "melanoma_nodular"} <= set(kinds)
    assert not {"bcc", "scc", "nv", "melanosis", "malignant"} & set(kinds)


def test_codes_are_lower_case_and_hold_no_blank():
    assert all(diagnosis.code == label_code(diagnosis.code) for diagnosis in known_labels())
    assert label_code("++") == "++"
