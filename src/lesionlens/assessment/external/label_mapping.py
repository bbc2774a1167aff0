"""How the diagnoses of a data set correspond to those of a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from lesionlens.core.diagnoses import Diagnosis, is_melanoma, known_diagnosis, label_key
from lesionlens.core.errors import DataError, RecipeError
from lesionlens.core.labels import LabelSet

NONE = "none"  # what --map calls a diagnosis that the model lacks
STATED, CODE, SYNONYM, SUBTYPE, OUTSIDE = "stated", "code", "synonym", "subtype", "outside"

# Which diagnoses belong to a class of HAM10000, one class a line. Only what the class's own definition names: bkl holds
# solar lentigo, seborrheic and lichen-planus-like keratosis (Tschandl et al. 2018), akiec actinic keratosis and Bowen's
# disease, vasc angiomas, angiokeratomas, pyogenic granulomas and haemorrhage. Kinds of melanoma are told by `is_melanoma`.
SUBTYPES = """
akiec | ak; bowen; actinic_keratosis_bowenoid; actinic_keratosis_lichenoid; actinic_keratosis_hypertrophic
bcc | basal_cell_carcinoma_nodular; basal_cell_carcinoma_superficial; basal_cell_carcinoma_infiltrating; \
basal_cell_carcinoma_micronodular; basal_cell_carcinoma_pigmented; basal_cell_carcinoma_combined_subtypes; \
basal_cell_carcinoma_sclerosing_or_morpheaform
bkl | sk; solar_lentigo; lplk; pbk; seborrheic_keratosis_clonal
df | dermatofibroma_hemosiderotic; dermatofibroma_aneurysmal
nv | atypical_nevus; blue_nevus; combined_nevus; common_nevus; congenital_nevus; dermal_nevus; compound_nevus; \
junctional_nevus; recurrent_nevus; reed_or_spitz_nevus; nevus_acral; nevus_agminated; nevus_bap_1_deficient; \
nevus_balloon_cell; nevus_deep_penetrating; nevus_halo; nevus_lentiginous; nevus_meyerson; nevus_of_special_anatomic_site; \
nevus_reed; nevus_spilus; nevus_spitz
scc | scc_invasive
vasc | angioma; hemangioma; hemangioma_cherry; hemangioma_hobnail; hemangioma_infantile; angiokeratoma; \
pyogenic_granuloma; hemorrhage; subungual_hemorrhage
"""
UNSPECIFIC = ("benign", "malignant")  # may be any class of that malignancy


@dataclass(frozen=True)
class MappedLabel:
    """What becomes of one diagnosis of the data.

    Attributes:
        diagnosis: of the data.
        model_code: the model's class; empty if the model lacks it.
        how: `code`, `synonym`, `subtype`, `stated`, or `outside`.
    """

    diagnosis: Diagnosis
    model_code: str
    how: str


@dataclass(frozen=True)
class LabelMapping:
    """Diagnoses of a data set and what they are to a model; several may be one class of the model.

    Attributes:
        model: the model's diagnoses.
        rows: one for each diagnosis of the data that has images, in the order of the data's label set.
    """

    model: LabelSet
    rows: tuple[MappedLabel, ...]

    def labels(self, dx: Sequence[str]) -> np.ndarray:
        """Class of the model for each diagnosis of the data, int64 (N,); -1 for a class that the model lacks."""
        number = {row.diagnosis.code: self.model.index(row.model_code) if row.model_code else -1 for row in self.rows}
        return np.array([number[code] for code in dx], dtype=np.int64)

    def malignant(self, dx: Sequence[str]) -> np.ndarray:
        """Whether each image shows a malignant diagnosis, bool (N,); as the data say, classes that the model lacks included."""
        malignant = {row.diagnosis.code: row.diagnosis.malignant for row in self.rows}
        return np.array([malignant[code] for code in dx], dtype=bool)

    def watched(self, dx: Sequence[str], codes: Iterable[str]) -> np.ndarray:
        """Whether each image shows a diagnosis that maps to one of the model's `codes`, bool (N,)."""
        codes = set(codes)
        watched = {row.diagnosis.code: row.model_code in codes for row in self.rows}
        return np.array([watched[code] for code in dx], dtype=bool)

    def to_json(self, dx: Sequence[str]) -> dict[str, Any]:
        """The mapping with the number of images of each diagnosis, and what it leaves unscored.

        Args:
            dx: diagnosis of each image of the data.
        """
        counts = Counter(dx)
        rows = [
            {
                "code": row.diagnosis.code,
                "name": row.diagnosis.name,
                "malignant": row.diagnosis.malignant,
                "model": row.model_code or None,
                "how": row.how,
                "n_images": counts[row.diagnosis.code],
            }
            for row in self.rows
        ]
        present = {row["model"] for row in rows if row["n_images"]}
        absent = [code for code in self.model.codes if code not in present]
        outside = [row for row in rows if row["model"] is None and row["n_images"]]
        return {"rows": rows, "absent": absent, "n_outside": sum(row["n_images"] for row in outside)}


def map_labels(
    data: LabelSet, model: LabelSet, stated: Mapping[str, str] | None = None, present: Iterable[str] | None = None
) -> LabelMapping:
    """Map the diagnoses of a data set to those of a model.

    In this order: what the user states; the same code; a name that means the same (`core.diagnoses`); a subtype of a class
    (`SUBTYPES`; every kind of melanoma is one of `mel`). A known diagnosis that the model lacks is outside its classes.

    Args:
        data: diagnoses of the data.
        model: diagnoses of the model.
        stated: class of the model by diagnosis of the data; `none` for one that the model lacks.
        present: diagnoses that have images; the others need no mapping. All of `data` if None.

    Raises:
        RecipeError: if `stated` names a diagnosis that the data or the model lack.
        DataError: if it is not known what a diagnosis is to the model, or none of them is one of the model's classes.

    Example:
        >>> from lesionlens.core.labels import HAM10000, ISIC2017, ISIC2019
        >>> [(row.diagnosis.code, row.model_code, row.how) for row in map_labels(ISIC2017, HAM10000).rows]
        [('mel', 'mel', 'code'), ('nv', 'nv', 'code'), ('sk', 'bkl', 'subtype')]
        >>> [row.diagnosis.code for row in map_labels(ISIC2019, HAM10000).rows if row.how == "outside"]
        ['scc']
    """
    stated = _checked(data, model, stated or {})
    codes = set(data.codes if present is None else present)
    rows = tuple(_row(diagnosis, model, stated) for diagnosis in data.diagnoses if diagnosis.code in codes)
    unmapped = [row.diagnosis.code for row in rows if not row.how]
    if unmapped:
        raise DataError(
            f"it is not known which class of the model ({', '.join(model.codes)}) the label {unmapped[0]!r} of the data is; "
            f"state it with --map {unmapped[0]}=CODE, or --map {unmapped[0]}={NONE} for a class that the model lacks"
        )
    if not any(row.model_code for row in rows):
        raise DataError(
            f"none of the data's labels ({', '.join(row.diagnosis.code for row in rows)}) is a class of the model "
            f"({', '.join(model.codes)}), so there is nothing to score; state a mapping with --map LABEL=CODE"
        )
    return LabelMapping(model, rows)


def read_stated(options: Iterable[str]) -> dict[str, str]:
    """Mappings that a user states as `TRUE=MODEL`.

    >>> read_stated(["atypical nevus=nv", "other=none"])
    {'atypical nevus': 'nv', 'other': 'none'}

    Raises:
        RecipeError: if one is no such pair, or one diagnosis is stated twice.
    """
    stated: dict[str, str] = {}
    for text in options:
        label, sign, code = (part.strip() for part in text.partition("="))
        if not (label and sign and code):
            raise RecipeError(f"--map {text!r}; it must be TRUE=MODEL, such as --map sk=bkl, or TRUE={NONE}")
        if stated.setdefault(label, code) != code:
            raise RecipeError(f"--map gives {label!r} two classes, {stated[label]} and {code}; keep one of them")
    return stated


def _checked(data: LabelSet, model: LabelSet, stated: Mapping[str, str]) -> dict[str, str]:
    """What is stated, by code of the data, with codes of the model."""
    own = {label_key(name): d.code for d in data.diagnoses for name in (d.name, d.code)}
    classes = {label_key(name): d.code for d in model.diagnoses for name in (d.name, d.code)} | {NONE: ""}
    checked = {}
    for label, code in stated.items():
        if label_key(label) not in own:
            raise RecipeError(f"--map names the label {label!r}, which the data lack; they have {', '.join(data.codes)}")
        if label_key(code) not in classes:
            raise RecipeError(
                f"--map gives {label!r} the class {code!r}, which the model lacks; it has {', '.join(model.codes)}, or {NONE}"
            )
        checked[own[label_key(label)]] = classes[label_key(code)]
    return checked


def _row(diagnosis: Diagnosis, model: LabelSet, stated: Mapping[str, str]) -> MappedLabel:
    """The row of one diagnosis; `how` is empty if it is not known what it is to the model."""
    if diagnosis.code in stated:
        return MappedLabel(diagnosis, stated[diagnosis.code], STATED if stated[diagnosis.code] else OUTSIDE)
    if diagnosis.code in model:
        return MappedLabel(diagnosis, diagnosis.code, CODE)
    known, by_table = _in_table(diagnosis), {(_in_table(each) or each).code: each.code for each in model.diagnoses}
    table = known or diagnosis
    if table.code in by_table:
        return MappedLabel(diagnosis, by_table[table.code], SYNONYM)
    parent = "mel" if is_melanoma(table) else _parents().get(table.code, "")
    if parent in by_table:
        return MappedLabel(diagnosis, by_table[parent], SUBTYPE)
    is_broader = table.code in UNSPECIFIC or any(_parents().get(code) == table.code for code in by_table)
    return MappedLabel(diagnosis, "", "" if known is None or is_broader else OUTSIDE)


def _in_table(diagnosis: Diagnosis) -> Diagnosis | None:
    """The diagnosis as the table of known diagnoses has it; None if it is not there."""
    return known_diagnosis(diagnosis.code) or known_diagnosis(diagnosis.name)


@cache
def _parents() -> dict[str, str]:
    """Class of HAM10000 by code of a subtype."""
    rows = (line.split("|") for line in SUBTYPES.strip().splitlines())
    return {code.strip(): parent.strip() for parent, codes in rows for code in codes.split(";")}
