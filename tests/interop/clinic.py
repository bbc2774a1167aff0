"""A clinic's images and predictions, for the tests of other systems."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import generate_uid
from tests.data.dicom_files import data_set, picture, written

from lesionlens.core.labels import HAM10000
from lesionlens.interop.result import Result
from lesionlens.interop.source_image import SourceImage, read_source

PATIENT = {
    "PatientName": "Müller^Anna",
    "PatientID": "P-17",
    "PatientBirthDate": "19700102",
    "PatientSex": "F",
    "StudyDate": "20261101",
    "StudyTime": "101112",
    "StudyID": "S1",
    "AccessionNumber": "A-5",
    "ReferringPhysicianName": "Weber^Paul",
    "StudyDescription": "Dermoscopy",
    "SpecificCharacterSet": "ISO_IR 100",
}
CREATED = datetime(2026, 11, 27, 6, 5, 4, 321000, UTC)
BUNDLE = {"id": "ab" * 32, "name": "light", "variant": "int8"}
PROBABILITIES = (0.02, 0.03, 0.04, 0.01, 0.15, 0.74, 0.01)  # of akiec bcc bkl df mel nv vasc
DCIODVFY = shutil.which("dciodvfy")


def dicom_image(pixels: np.ndarray | None = None, **elements: Any) -> bytes:
    """A dermoscopic image of a patient, as a file; every call gives another instance."""
    uids = {name: generate_uid() for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")}
    pixels = picture(72, 96) if pixels is None else pixels
    given = {**uids, **PATIENT, **elements}
    ds = data_set(pixels, **{keyword: value for keyword, value in given.items() if value is not None})
    for keyword in (keyword for keyword, value in given.items() if value is None and keyword in ds):
        delattr(ds, keyword)
    return written(ds, MediaStorageSOPInstanceUID=ds.SOPInstanceUID if "SOPInstanceUID" in ds else "1.2.3")


def source_image(**elements: Any) -> SourceImage:
    return read_source(dicom_image(**elements), "a.dcm")


def body(outcome: str = "diagnosis", reasons: tuple[tuple[str, str], ...] = ()) -> dict[str, Any]:
    """The JSON of a prediction."""
    usable = outcome != "not_usable"
    rows = zip(HAM10000.diagnoses, PROBABILITIES, strict=True)
    return {
        "outcome": outcome,
        "explanation": "A sentence for people.",
        "diagnosis": "nv" if outcome == "diagnosis" else None,
        "malignant_share": 0.2 if usable else None,
        "probabilities": [
            {"code": d.code, "name": d.name, "malignant": d.malignant, "probability": p} for d, p in rows if usable
        ],
        "gate": {"usable": usable, "reasons": [{"code": code, "text": text} for code, text in reasons], "measures": {}},
        "notes": [],
        "image": {"width": 96, "height": 72, "frames": 1, "frame": 0, "pixel_spacing_mm": None},
        "timings_ms": {"decode": 1.0, "resize": 1.0, "network": 1.0, "total": 3.0},
        "bundle": BUNDLE,
    }


def result(
    outcome: str = "diagnosis", reasons: tuple[tuple[str, str], ...] = (), id_: str = "01JDN8ZK3V0000000000000000"
) -> Result:
    return Result(id_, CREATED, body(outcome, reasons))


def check_object(content: bytes, folder: Path) -> None:
    """See that dciodvfy (dicom3tools) finds no error in an object; skips where it is not installed."""
    if DCIODVFY is None:
        pytest.skip("no dciodvfy: install the Debian package dicom3tools")
    path = folder / "object.dcm"
    path.write_bytes(content)
    done = subprocess.run([DCIODVFY, str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert [line for line in done.stderr.splitlines() if line.startswith("Error")] == []
