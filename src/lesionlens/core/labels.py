"""Diagnoses: the only module that knows their codes, names, order and malignancy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lesionlens.core.errors import DataError


@dataclass(frozen=True)
class Diagnosis:
    """One diagnosis.

    Attributes:
        code: short code as in the metadata, such as `mel`.
        name: full name.
        malignant: whether its probability counts towards the malignant share.
    """

    code: str
    name: str
    malignant: bool


@dataclass(frozen=True)
class LabelSet:
    """An ordered set of diagnoses; the order is the order of a model's outputs.

    >>> HAM10000.codes
    ('akiec', 'bcc', 'bkl', 'df', 'mel', 'nv', 'vasc')
    >>> HAM10000.index("mel"), "scc" in HAM10000
    (4, False)

    Attributes:
        name: such as `ham10000`.
        diagnoses: in the order of the outputs.

    Raises:
        DataError: if there are fewer than two diagnoses, or a code occurs twice.
    """

    name: str
    diagnoses: tuple[Diagnosis, ...]

    def __post_init__(self) -> None:
        if len(self.diagnoses) < 2:
            raise DataError(f"label set {self.name!r} has {len(self.diagnoses)} diagnosis; a classifier needs two or more")
        if len(set(self.codes)) != len(self.codes):
            raise DataError(f"label set {self.name!r} holds a diagnosis twice: {', '.join(self.codes)}; codes must differ")

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes in the order of the outputs."""
        return tuple(diagnosis.code for diagnosis in self.diagnoses)

    @property
    def names(self) -> tuple[str, ...]:
        """Full names in the order of the outputs."""
        return tuple(diagnosis.name for diagnosis in self.diagnoses)

    @property
    def malignant(self) -> tuple[bool, ...]:
        """Whether each diagnosis is malignant, in the order of the outputs."""
        return tuple(diagnosis.malignant for diagnosis in self.diagnoses)

    def __len__(self) -> int:
        return len(self.diagnoses)

    def __contains__(self, code: object) -> bool:
        return code in self.codes

    def index(self, code: str) -> int:
        """Position of `code`.

        Raises:
            DataError: if the set does not contain it.
        """
        if code not in self.codes:
            raise DataError(f"unknown diagnosis {code!r}; label set {self.name!r} knows {', '.join(self.codes)}")
        return self.codes.index(code)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready form that `from_json` reads back."""
        rows = [{"code": d.code, "name": d.name, "malignant": d.malignant} for d in self.diagnoses]
        return {"name": self.name, "diagnoses": rows}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> LabelSet:
        """Read what `to_json` wrote.

        Raises:
            DataError: if a field is missing or unknown.
        """
        try:
            return cls(value["name"], tuple(Diagnosis(**row) for row in value["diagnoses"]))
        except (KeyError, TypeError) as error:
            raise DataError(
                f"label set is not readable ({error}); it needs name and diagnoses (code, name, malignant)"
            ) from error


AKIEC = Diagnosis("akiec", "Actinic keratosis or intraepithelial carcinoma", True)
BCC = Diagnosis("bcc", "Basal cell carcinoma", True)
BKL = Diagnosis("bkl", "Benign keratosis-like lesion", False)
DF = Diagnosis("df", "Dermatofibroma", False)
MEL = Diagnosis("mel", "Melanoma", True)
NV = Diagnosis("nv", "Melanocytic nevus", False)
VASC = Diagnosis("vasc", "Vascular lesion", False)
SCC = Diagnosis("scc", "Squamous cell carcinoma", True)

HAM10000 = LabelSet("ham10000", (AKIEC, BCC, BKL, DF, MEL, NV, VASC))
ISIC2019 = LabelSet("isic2019", (AKIEC, BCC, BKL, DF, MEL, NV, SCC, VASC))
LABEL_SETS = {"ham10000": HAM10000, "isic2019": ISIC2019}


def label_set_of(codes: list[str], malignant: list[str] | None = None, name: str = "custom") -> LabelSet:
    """The label set for the codes in a user's own data: a known set if the codes are the same, else a new one.

    Known codes keep their name and malignancy; others are named by their code
    and count as malignant only if listed in `malignant`.

    >>> label_set_of(["nv", "wart", "mel"]).names
    ('Melanoma', 'Melanocytic nevus', 'wart')

    Args:
        codes: in any order, with repeats.
        malignant: codes that are malignant besides the known ones.
        name: name of the new set.

    Raises:
        DataError: if there are fewer than two different codes.
    """
    distinct = sorted(set(codes))
    for label_set in LABEL_SETS.values():
        if set(distinct) == set(label_set.codes):
            return label_set
    known = {diagnosis.code: diagnosis for diagnosis in ISIC2019.diagnoses}
    return LabelSet(name, tuple(known.get(code, Diagnosis(code, code, code in (malignant or ()))) for code in distinct))
