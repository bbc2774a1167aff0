"""The field's diagnoses: codes, names, synonyms and malignancy. A label that is not in this table has no malignancy here.

Sources of the names: HAM10000 and DermaMNIST, the ISIC challenges of 2016 to 2020, the ISIC Archive's levels diagnosis_1 to
diagnosis_5, PH2, Derm7pt, BCN20000, PAD-UFES-20 and MILK10k. Malignancy follows the Archive, with one exception: actinic
keratosis, indeterminate there, counts as malignant as in HAM10000's class akiec, because it must not be missed. What the
Archive calls indeterminate otherwise (atypical melanocytic proliferations) is left out on purpose: the user must say.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from itertools import chain


@dataclass(frozen=True)
class Diagnosis:
    """One diagnosis.

    Attributes:
        code: short code as in the metadata, for example `mel`.
        name: full name for people.
        malignant: whether it counts into the malignant share.
    """

    code: str
    name: str
    malignant: bool


# One diagnosis a line: code | name | synonyms that mean neither more nor less. Case, blanks, hyphens and underscores do not
# count, nor does British spelling; see `label_key`.
MALIGNANT = """
akiec | Actinic keratosis or intraepithelial carcinoma | actinic keratoses and intraepithelial carcinoma; \
actinic keratoses and intraepithelial carcinomas; actinic keratosis and intraepithelial carcinoma; \
actinic keratosis / Bowen's disease; actinic keratosis / Bowen's disease (intraepithelial carcinoma); \
actinic keratoses and intraepithelial carcinoma / Bowen's disease
ak | Actinic keratosis | ack; actinic keratoses; solar keratosis; solar or actinic keratosis
bcc | Basal cell carcinoma | basal cell carcinomas; basalioma; basal cell carcinoma, NOS
bowen | Bowen's disease | Bowen; Bowens; Bowen disease; squamous cell carcinoma in situ; scc in situ; \
squamous cell carcinoma in situ, Bowens disease
mel | Melanoma | melanomas; malignant melanoma; cutaneous melanoma; melanoma, NOS
melanoma_in_situ | Melanoma in situ | melanoma (in situ); mis
melanoma_invasive | Invasive melanoma | melanoma invasive
melanoma_metastasis | Melanoma metastasis | metastatic melanoma; melanoma metastases
lentigo_maligna | Lentigo maligna | melanoma in situ, lentigo maligna type
lentigo_maligna_melanoma | Lentigo maligna melanoma | lmm; \
melanoma invasive, on chronically sun-exposed skin or lentigo maligna melanoma
melanoma_nodular | Nodular melanoma | melanoma invasive, nodular
melanoma_superficial_spreading | Superficial spreading melanoma | ssm; melanoma invasive, superficial spreading
melanoma_acral | Acral lentiginous melanoma | acral melanoma; melanoma invasive, acral or acral-lentiginous
melanoma_amelanotic | Amelanotic melanoma |
melanoma_desmoplastic | Desmoplastic melanoma | melanoma invasive, desmoplastic
melanoma_under_0_76_mm | Melanoma under 0.76 mm | melanoma (less than 0.76 mm)
melanoma_0_76_to_1_5_mm | Melanoma of 0.76 to 1.5 mm | melanoma (0.76 to 1.5 mm)
melanoma_over_1_5_mm | Melanoma over 1.5 mm | melanoma (more than 1.5 mm)
scc | Squamous cell carcinoma | squamous cell carcinomas; squamous cell carcinoma, NOS; cutaneous squamous cell carcinoma
scc_invasive | Invasive squamous cell carcinoma | squamous cell carcinoma, invasive
sccka | Squamous cell carcinoma or keratoacanthoma | squamous cell carcinoma/keratoacanthoma
keratoacanthoma | Keratoacanthoma | squamous cell carcinoma, invasive, keratoacanthoma-type
merkel_cell_carcinoma | Merkel cell carcinoma | mcc
kaposi_sarcoma | Kaposi sarcoma | Kaposi's sarcoma
cutaneous_lymphoma | Cutaneous lymphoma | lymphoma; skin lymphoma
malignant | Malignant | malign; malignant lesion; malignant lesions; malignancy; cancer; skin cancer
mal_oth | Other malignant | malignant other; other malignant; malignant - other; other malignant proliferations
"""
BENIGN = """
angioma | Angioma | angiomas
atypical_nevus | Atypical nevus | dysplastic nevus; atypical nevi; dysplastic nevi; Clark nevus; \
nevus, atypical, dysplastic, or Clark; atypical melanocytic nevus
ben_oth | Other benign | benign other; other benign; benign - other; other benign proliferations
benign | Benign | benign lesion; benign lesions
bkl | Benign keratosis-like lesion | benign keratosis; benign keratoses; benign keratosis-like lesions; \
benign keratosis-like lesions (solar lentigines / seborrheic keratoses and lichen-planus like keratoses); \
benign keratosis (solar lentigo / seborrheic keratosis / lichen planus-like keratosis)
blue_nevus | Blue nevus | blue nevi; nevus, blue
combined_nevus | Combined nevus | nevus, combined
common_nevus | Common nevus | common nevi
congenital_nevus | Congenital nevus | congenital nevi; nevus, congenital
cyst | Cyst | cysts
dermal_nevus | Dermal nevus | intradermal nevus; nevus, NOS, dermal
compound_nevus | Compound nevus | nevus, NOS, compound
junctional_nevus | Junctional nevus | nevus, NOS, junctional
df | Dermatofibroma | dermatofibromas; fibrous histiocytoma; benign fibrous histiocytoma
fibroepithelial_polyp | Fibroepithelial polyp | acrochordon; skin tag
hemangioma | Hemangioma | hemangiomas
inf | Inflammatory or infectious disease | inflammatory and infectious; inflammatory or infectious; \
inflammatory or infectious diseases
lentigo | Lentigo | lentigines; lentigo NOS; lentigo, NOS
lentigo_simplex | Lentigo simplex | simple lentigo
lplk | Lichen planus-like keratosis | lichenoid keratosis; lichen planus like keratosis; benign lichenoid keratosis; blk
melanosis | Melanosis |
nv | Melanocytic nevus | nev; nevus; nevi; mole; moles; melanocytic nevi; benign nevus; benign nevi; nevus, NOS; \
benign melanocytic nevus
pbk | Pigmented benign keratosis | pigmented benign keratoses
recurrent_nevus | Recurrent nevus | nevus, recurrent or persistent
reed_or_spitz_nevus | Reed or Spitz nevus | Spitz or Reed nevus
sk | Seborrheic keratosis | sek; seborrheic keratoses
solar_lentigo | Solar lentigo | solar lentigines
vasc | Vascular lesion | vascular; vascular lesions; vascular skin lesion; vascular skin lesions; \
pyogenic granulomas and hemorrhage
wart | Wart | warts; verruca; verruca vulgaris
"""
# Further names of the ISIC Archive, which are written one way only.
ARCHIVE_MALIGNANT = """
Malignant melanocytic proliferations (Melanoma); Malignant epidermal proliferations; \
Malignant adnexal epithelial proliferations - Follicular; Malignant adnexal epithelial proliferations - Sebaceous; \
Malignant adnexal epithelial proliferations - Apocrine or Eccrine; Malignant soft tissue proliferations - Fibro-histiocytic; \
Malignant soft tissue proliferations - Vascular; Collision - At least one malignant proliferation; \
Lymphocytic proliferations - B-Cell; Lymphocytic proliferations - T-Cell/NK; Merkel cell proliferation; \
Skin metastasis of internal solid cancer - non-hematological; Basal cell carcinoma, Nodular; \
Basal cell carcinoma, Superficial; Basal cell carcinoma, Infiltrating; Basal cell carcinoma, Micronodular; \
Basal cell carcinoma, Pigmented; Basal cell carcinoma, Combined subtypes; \
Basal cell carcinoma, Sclerosing or morpheaform; Actinic keratosis, Bowenoid; Actinic keratosis, Lichenoid; \
Actinic keratosis, Hypertrophic; Melanoma in situ, Superficial spreading; Melanoma in situ, associated with a nevus; \
Melanoma in situ, Acral or Acral-lentiginous; Melanoma Invasive, Associated with a nevus; \
Melanoma Invasive, Arising in a congenital nevus; Baso-squamous carcinoma; Verrucous carcinoma; Sebaceous carcinoma; \
Porocarcinoma; Microcystic adnexal carcinoma; Atypical fibroxanthoma; Dermatofibrosarcoma protuberans; \
Angiosarcoma cutaneous; Leiomyosarcoma, Cutaneous; Mycosis fungoides; Paget disease
"""
ARCHIVE_BENIGN = """
Benign melanocytic proliferations; Benign epidermal proliferations; Benign soft tissue proliferations - Vascular; \
Benign soft tissue proliferations - Fibro-histiocytic; Benign soft tissue proliferations - Neural; \
Benign soft tissue proliferations - Adipocytic; Benign adnexal epithelial proliferations - Follicular; \
Benign adnexal epithelial proliferations - Sebaceous; Benign adnexal epithelial proliferations - Apocrine or Eccrine; \
Collision - Only benign proliferations; Flat melanotic pigmentations - not melanocytic nevus; Hemorrhagic lesions; \
Mast cell proliferations; Exogenous; Nevus, Acral; Nevus, Agminated; Nevus, BAP-1 deficient; Nevus, Balloon cell; \
Nevus, Deep penetrating; Nevus, Halo; Nevus, Lentiginous; Nevus, Meyerson; Nevus, Of special anatomic site; Nevus, Reed; \
Nevus, Spilus; Nevus, Spitz; Dermal melanocytosis; Lentiginous melanocytic proliferation; Ink-spot lentigo; \
Mucosal melanotic macule; Cafe au lait macule or patch; Cafe-au-lait macule; Ephelis; Clear cell acanthoma; \
Large cell acanthoma; Epidermal nevus; Porokeratosis; Seborrheic keratosis, Clonal; Dermatofibroma, Hemosiderotic; \
Dermatofibroma, Aneurysmal; Hemangioma, Cherry; Hemangioma, Hobnail; Hemangioma, Infantile; Angiokeratoma; \
Pyogenic granuloma; Venous lake; Telangiectasia; Lymphangioma; Vascular spider; Glomus tumor; Angiofibroma; Fibroma; \
Neurofibroma; Neuroma; Schwannoma; Granular cell tumor; Lipoma; Juvenile xanthogranuloma; Scar; Scar, Keloid; \
Scar, Hypertrophic; Sebaceous hyperplasia; Sebaceous adenoma; Nevus sebaceus; Supernumerary nipple; Syringoma; Poroma; \
Trichoblastoma; Trichoepithelioma; Pilomatricoma; Infundibular or epidermal cyst; Comedo; Milium; Mastocytosis; Tattoo; \
Hemorrhage; Subungual hemorrhage; Molluscum
"""
SPELLINGS = (("nae", "ne"), ("haem", "hem"), ("rrhoe", "rrhe"), ("tumour", "tumor"))


def label_key(label: str) -> str:
    """A label for comparison: case, accents, everything but letters and digits, and British spelling do not count.

    >>> label_key("Basal-cell_Carcinoma") == label_key("basal cell carcinoma"), label_key("Naevus")
    (True, 'nevus')
    """
    plain = unicodedata.normalize("NFKD", label).casefold()
    key = "".join(letter for letter in plain if letter.isalnum())
    for british, american in SPELLINGS:
        key = key.replace(british, american)
    return key


def known_diagnosis(label: str) -> Diagnosis | None:
    """The diagnosis that a label means; None if the table does not know it.

    >>> known_diagnosis("Malignant Melanoma")
    Diagnosis(code='mel', name='Melanoma', malignant=True)
    >>> known_diagnosis("atypical melanocytic proliferation") is None
    True
    """
    return _by_key().get(label_key(label))


def known_labels() -> dict[Diagnosis, tuple[str, ...]]:
    """Every diagnosis of the table with all that it may be called, its code first."""
    rows = chain(_rows(MALIGNANT, True), _rows(BENIGN, False))
    further = chain(_further(ARCHIVE_MALIGNANT, True), _further(ARCHIVE_BENIGN, False))
    return {diagnosis: (diagnosis.code, diagnosis.name, *synonyms) for diagnosis, synonyms in chain(rows, further)}


def is_melanoma(diagnosis: Diagnosis) -> bool:
    """Whether it is melanoma or a kind of it, such as lentigo maligna."""
    return diagnosis.malignant and ("melanoma" in diagnosis.name.lower() or diagnosis.code == "lentigo_maligna")


def label_code(label: str) -> str:
    """A label as a code: lower case, words joined by underscores.

    >>> label_code("Nevus, BAP-1 deficient")
    'nevus_bap_1_deficient'
    """
    return re.sub(r"[\W_]+", "_", label.casefold()).strip("_") or label.casefold()


@cache
def _by_key() -> dict[str, Diagnosis]:
    return {label_key(label): diagnosis for diagnosis, labels in known_labels().items() for label in labels}


def _rows(text: str, malignant: bool) -> list[tuple[Diagnosis, list[str]]]:
    rows = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    return [(Diagnosis(code, name, malignant), _names(synonyms)) for code, name, synonyms in rows]


def _further(text: str, malignant: bool) -> list[tuple[Diagnosis, list[str]]]:
    return [(Diagnosis(label_code(name), name, malignant), []) for name in _names(text)]


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(";") if name.strip()]
