"""One row of a source: what it says about one image, as text, and how its values are read."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

UNKNOWN = ("", "unknown", "na", "n/a", "nan", "none", "null", "-", "?")
SEXES = {"m": "male", "f": "female"}
MAX_AGE = 120
OPEN_AGE = re.compile(r"(?P<age>[0-9.,]+)\s*\+")


@dataclass(frozen=True)
class Row:
    """What a source says about one image, as text.

    Attributes:
        where: file and line, for errors.
        image: id, file name or path of the image.
        dx: the diagnosis; the other fields may be empty.
        lesion: which lesion is shown.
        age: years.
        sex: of the patient.
        site: place on the body.
        mask: lesion mask, by id, file name or path.
        split: `train`, `validation` or `test`.
        patient: which patient it is.
        malignancy: `benign` or `malignant` where the source says so apart from the diagnosis.
        dx_type: how the diagnosis was made.
        dataset: clinic or collection that the image came from.
    """

    where: str
    image: str
    dx: str
    lesion: str = ""
    age: str = ""
    sex: str = ""
    site: str = ""
    mask: str = ""
    split: str = ""
    patient: str = ""
    malignancy: str = ""
    dx_type: str = ""
    dataset: str = ""


def known_text(text: str) -> str:
    """A value in lower case; empty if it means that it is unknown.

    >>> known_text(" Back "), known_text("N/A")
    ('back', '')
    """
    text = text.strip().lower()
    return "" if text in UNKNOWN else text


def known_id(text: str) -> str:
    """An id as written; empty if it means that it is unknown."""
    return text.strip() if known_text(text) else ""


def read_age(text: str) -> tuple[float | None, str]:
    """Years from text, and what was changed to read them.

    >>> read_age("65"), read_age("65,5"), read_age("85+")
    ((65.0, ''), (65.5, 'age with a decimal comma'), (85.0, 'open age such as 85+ is read as 85'))
    >>> read_age("old")
    (None, 'age that is no number of years from 0 to 120 is left empty')
    """
    text, note = known_text(text), ""
    if not text:
        return None, ""
    if match := OPEN_AGE.fullmatch(text):
        text, note = match["age"], "open age such as 85+ is read as 85"
    if "," in text:
        text, note = text.replace(",", ".", 1), note or "age with a decimal comma"
    try:
        age = float(text)
    except ValueError:
        age = math.nan
    if not 0 <= age <= MAX_AGE:
        return None, f"age that is no number of years from 0 to {MAX_AGE} is left empty"
    return age, note


def read_sex(text: str) -> tuple[str, str]:
    """Sex from text, and what was changed to read it.

    >>> read_sex("F"), read_sex("female")
    (('female', 'sex f is read as female'), ('female', ''))
    """
    sex = known_text(text)
    return (SEXES[sex], f"sex {sex} is read as {SEXES[sex]}") if sex in SEXES else (sex, "")
