"""What a result says of the DICOM image that it is about: patient, study, series, instance; read from the file, kept nowhere."""

from __future__ import annotations

import importlib.util
import io
import logging
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lesionlens.core.errors import ImageError, RecipeError
from lesionlens.data.decoding_rules import DECODE_ERRORS
from lesionlens.data.dicom.classes import check_class
from lesionlens.data.dicom.header import is_dicom_head, read_header, tag_name

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

HEAD_BYTES = 132
INSTANCE = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
DATES, TIMES = ("PatientBirthDate", "StudyDate"), ("StudyTime",)
TEXTS = {"PatientID": 64, "AccessionNumber": 16, "StudyID": 16, "StudyDescription": 64, "IssuerOfPatientID": 64}
NAMES = ("PatientName", "ReferringPhysicianName")
NAME_CHARACTERS = 324  # three representations of 64 characters in five components each, at most
TYPE_2 = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate", "StudyTime")
EMPTY = (*TYPE_2, "ReferringPhysicianName")  # present in every image, with or without a value
ELEMENTS = (*INSTANCE, *DATES, *TIMES, *TEXTS, *NAMES, "PatientSex", "SpecificCharacterSet")
SEXES = ("M", "F", "O")
UID = re.compile(r"(?=.{1,64}$)(0|[1-9]\d*)(\.(0|[1-9]\d*))+")
DATE, TIME = re.compile(r"\d{8}"), re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?")
CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")
UNICODE = "ISO_IR 192"


@dataclass(frozen=True, eq=False)
class SourceImage:
    """The identity of a DICOM image.

    Attributes:
        elements: of patient, study, series and instance, each usable in a new object, in Unicode.
        left_out: tags whose values were not valid; their values are not repeated.
        frame: the picture that was read, from 0.
        frames: pictures in the file.
    """

    elements: Dataset
    left_out: tuple[str, ...]
    frame: int
    frames: int

    @property
    def frame_numbers(self) -> list[int] | None:
        """The frame as DICOM counts it, from 1; None for a file of one picture."""
        return [self.frame + 1] if self.frames > 1 else None


def require_libraries(*names: str) -> None:
    """See that the libraries of DICOM and FHIR are there.

    Raises:
        RecipeError: naming those that are missing, and how to install them.
    """
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise RecipeError(f"this needs {', '.join(missing)}; install it with: pip install 'lesionlens[interop]'")


def is_dicom(data: bytes) -> bool:
    """Whether these bytes are a DICOM file."""
    return is_dicom_head(bytes(data[:HEAD_BYTES]))


def read_source(data: bytes, name: str, frame: int = 0, frames: int = 1) -> SourceImage:
    """Read who and what a DICOM image is of.

    Values that are not valid are left out and named by their tags: a report must not fail because a birth date is damaged,
    and must not carry it on either.

    Args:
        data: the file.
        name: what to call it in errors.
        frame: the picture that was read, from 0.
        frames: pictures in the file.

    Raises:
        ImageError: if it is no DICOM image, or lacks the UIDs that a result refers to.
        RecipeError: if pydicom and highdicom are not installed.
    """
    require_libraries("pydicom", "highdicom")
    if not is_dicom(data):
        raise ImageError(f"{name} is no DICOM file; a DICOM result refers to a DICOM image. Send the image as DICOM")
    header = read_header(io.BytesIO(data), name, ELEMENTS)
    check_class(header.sop_class, name)
    silence_libraries()
    read: dict[str, Any] = {keyword: _valid(header.elements, keyword) for keyword in ELEMENTS}
    read["SOPClassUID"] = read["SOPClassUID"] or header.sop_class
    missing = [keyword for keyword in INSTANCE if not read[keyword]]
    if missing:
        tags = ", ".join(f"{keyword} {tag_name(keyword)}" for keyword in missing)
        raise ImageError(f"{name} has no valid {tags}; a DICOM result refers to it. Export the image from the archive again")
    return SourceImage(_data_set(read), _left_out(header.elements, read), frame, frames)


def silence_libraries() -> None:
    """Keep what pydicom, highdicom and pynetdicom log, which quotes elements, out of every output."""
    for library in ("pydicom", "highdicom", "pynetdicom"):
        logging.getLogger(library).setLevel(logging.CRITICAL + 1)
        warnings.filterwarnings("ignore", module=rf"{library}(\.|$)")


def _data_set(read: dict[str, Any]) -> Dataset:
    from pydicom.dataset import Dataset

    elements = Dataset()
    elements.SpecificCharacterSet = UNICODE
    for keyword in (*INSTANCE, *EMPTY):
        setattr(elements, keyword, read[keyword])
    for keyword in ("StudyDescription", "IssuerOfPatientID"):
        if read[keyword]:
            setattr(elements, keyword, read[keyword])
    return elements


def _left_out(elements: Dataset, read: dict[str, Any]) -> tuple[str, ...]:
    given = (keyword for keyword in ELEMENTS if keyword in elements and keyword != "SpecificCharacterSet")
    return tuple(tag_name(keyword) for keyword in given if not read[keyword] and elements.get_item(keyword).value)


def _valid(elements: Dataset, keyword: str) -> str:
    """The value of an element as text; empty if it is missing or not valid."""
    try:
        value = str(elements.get(keyword) or "").strip(" \0")
    except (*DECODE_ERRORS, AttributeError):
        return ""
    if keyword in INSTANCE:
        return value if UID.fullmatch(value) else ""
    if keyword in DATES:
        return value if DATE.fullmatch(value) and _is_date(value) else ""
    if keyword in TIMES:
        return value if TIME.fullmatch(value) else ""
    if keyword == "PatientSex":
        return value if value in SEXES else ""
    if CONTROL.search(value) or len(value) > TEXTS.get(keyword, NAME_CHARACTERS):
        return ""
    return value if keyword not in NAMES or _is_name(value) else ""


def _is_date(value: str) -> bool:
    from datetime import date

    try:
        date(int(value[:4]), int(value[4:6]), int(value[6:]))
    except ValueError:
        return False
    return True


def _is_name(value: str) -> bool:
    groups = value.split("=")
    return len(groups) <= 3 and all(len(group) <= 64 and group.count("^") <= 4 for group in groups)
