"""Diagnoses: the only module that knows their codes, names, order and malignancy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lesionlens.core.diagnoses import Diagnosis, known_diagnosis, label_key
from lesionlens.core.errors import DataError


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

    @property
    def has_malignant(self) -> bool:
        """Whether any diagnosis is malignant; without one there is no malignant share."""
        return any(self.malignant)

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
ISIC2016 = LabelSet("isic2016", (Diagnosis("benign", "Benign", False), Diagnosis("malignant", "Malignant", True)))
ISIC2017 = LabelSet("isic2017", (MEL, NV, Diagnosis("sk", "Seborrheic keratosis", False)))
PH2 = LabelSet(
    "ph2", (Diagnosis("atypical_nevus", "Atypical nevus", False), Diagnosis("common_nevus", "Common nevus", False), MEL)
)
LABEL_SETS = {"ham10000": HAM10000, "isic2019": ISIC2019}


def label_set_of(
    codes: Iterable[str],
    malignant: Iterable[str] = (),
    benign_only: bool = False,
    name: str = "custom",
    stated: Mapping[str, bool] | None = None,
) -> LabelSet:
    """A label set for the codes of a user's own data.

    Known codes keep their name and malignancy. Of the others, the user must say which are malignant: either by naming
    the malignant ones, and then the rest is benign, or by stating that none is.

    Args:
        codes: codes, any order, repeats allowed.
        malignant: codes that are malignant; they also overrule the table of known diagnoses.
        benign_only: states that no unknown code is malignant.
        name: name of the new set.
        stated: malignancy of codes as the data state it, for those that the table does not know.

    Raises:
        DataError: if it is not known whether a code is malignant, a code in `malignant` does not occur, or
            `benign_only` is stated although a known code is malignant.

    Example:
        >>> label_set_of(["nevus", "melanoma", "porocarcinoma", "nevoma"], malignant=["porocarcinoma"]).malignant
        (True, False, False, True)
    """
    present, stated = sorted(set(codes)), stated or {}
    keys = {label_key(label): label for label in malignant}
    absent = [label for key, label in keys.items() if key not in {label_key(code) for code in present}]
    if absent:
        raise DataError(f"--malignant names {', '.join(absent)}, but the labels are {', '.join(present)}; correct the name")
    diagnoses = tuple(_diagnosis(code, label_key(code) in keys, stated.get(code, False)) for code in present)
    if not keys:
        _check_malignancy_known(diagnoses, benign_only, stated)
    for known in LABEL_SETS.values():
        if diagnoses == known.diagnoses:
            return known
    return LabelSet(name, diagnoses)


def _diagnosis(code: str, malignant: bool, stated: bool) -> Diagnosis:
    known = known_diagnosis(code)
    if known is None:
        return Diagnosis(code, code, malignant or stated)
    return replace(known, code=code, malignant=known.malignant or malignant)


def _check_malignancy_known(diagnoses: tuple[Diagnosis, ...], benign_only: bool, stated: Mapping[str, bool]) -> None:
    codes = ", ".join(diagnosis.code for diagnosis in diagnoses)
    malignant = [diagnosis.code for diagnosis in diagnoses if diagnosis.malignant]
    if benign_only and malignant:
        raise DataError(
            f"--benign-only is stated, but {', '.join(malignant)} is malignant; name all malignant labels of {codes} instead, "
            "such as with --malignant " + ",".join(malignant)
        )
    codes_known = {d.code for d in diagnoses if known_diagnosis(d.code) is not None or d.code in stated}
    unknown = [diagnosis.code for diagnosis in diagnoses if diagnosis.code not in codes_known]
    if unknown and not benign_only:
        raise DataError(
            f"it is not known whether {', '.join(unknown)} is malignant; name the malignant ones among the labels {codes} with "
            "--malignant A,B, or state that none of these is with --benign-only"
        )
