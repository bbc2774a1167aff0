"""Coded terms: what a diagnosis and an outcome are called in DICOM and FHIR.

A diagnosis has a SNOMED CT concept only where the concept means the same. HAM10000's mixed classes (akiec, bkl, vasc) and df
have none that was confirmed, so they are sent with a code of the local scheme `99LESIONLENS`, never with a near miss.
"""

from __future__ import annotations

from typing import NamedTuple

SNOMED, LOCAL, DICOM, UCUM = "SCT", "99LESIONLENS", "DCM", "UCUM"
LOCAL_NAME = "Diagnoses and outcomes of LesionLens"
MEANING_CHARACTERS = 64  # of a code meaning, VR LO


class Term(NamedTuple):
    """One coded term: the designator of its scheme as DICOM writes it, the code, and its meaning in words."""

    scheme: str
    code: str
    meaning: str


# Code of a diagnosis: SNOMED CT concept id, its preferred term. Where each was looked up is in docs/other_systems.md.
CONCEPTS = {
    "mel": ("93655004", "Malignant melanoma of skin"),
    "melanoma_in_situ": ("109266006", "Melanoma in situ of skin"),
    "nv": ("400096001", "Melanocytic nevus"),
    "bcc": ("254701007", "Basal cell carcinoma of skin"),
    "ak": ("201101007", "Actinic keratosis"),
    "scc": ("254651007", "Squamous cell carcinoma of skin"),
    "hemangioma": ("400210000", "Hemangioma"),
}
OUTCOMES = {
    "diagnosis": "A diagnosis with calibrated probabilities",
    "not_sure": "Not sure: have a person look",
    "not_usable": "Not usable: no dermoscopic image that can be read",
}
OUTCOME = Term(LOCAL, "outcome", "Outcome of the model")
DIAGNOSIS = Term(LOCAL, "diagnosis_of_model", "Diagnosis of the model")
MALIGNANT_SHARE = Term(LOCAL, "malignant_share", "Sum of the probabilities of malignant diagnoses")
PROBABILITY = Term(DICOM, "122157", "Probability")
DIFFERENTIAL = Term(DICOM, "111023", "Differential Diagnosis/Impression")
IMAGE_QUALITY = Term(DICOM, "111101", "Image Quality")
DERMOSCOPY = Term(DICOM, "DMS", "Dermoscopy")
SKIN_LESION = Term(SNOMED, "95324001", "Skin lesion")
NO_UNIT = Term(UCUM, "1", "no units")


def diagnosis_term(code: str, name: str) -> Term:
    """The term of a diagnosis: its SNOMED CT concept, or the local code.

    Example:
        >>> diagnosis_term("bcc", "Basal cell carcinoma").code
        '254701007'
        >>> diagnosis_term("vasc", "Vascular lesion")
        Term(scheme='99LESIONLENS', code='vasc', meaning='Vascular lesion')
    """
    if code in CONCEPTS:
        return Term(SNOMED, *CONCEPTS[code])
    return Term(LOCAL, code, name[:MEANING_CHARACTERS])


def outcome_term(outcome: str) -> Term:
    """The term of `diagnosis`, `not_sure` or `not_usable`."""
    return Term(LOCAL, outcome, OUTCOMES[outcome])


def reason_term(code: str, text: str) -> Term:
    """The term of a reason why an image is not usable."""
    return Term(LOCAL, code, text[:MEANING_CHARACTERS])
