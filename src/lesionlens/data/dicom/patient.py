"""The patient of a DICOM object as a pseudonym, for those who hold the key; nothing else of the patient is read."""

from __future__ import annotations

import base64
import hmac
import io

from lesionlens.data.dicom.header import read_header

KEYWORDS = ("PatientID", "IssuerOfPatientID")
DIGEST_BYTES = 10  # 80 bits: two of a million patients share one with probability 4e-13
PREFIX = "dicom-"


def patient_pseudonym(data: bytes, key: bytes) -> str:
    """A pseudonym of the Patient ID and its issuer: the same for the same patient and key; empty if there is no id.

    It is an HMAC-SHA-256 (RFC 2104), because a plain hash of an id can be undone by trying all ids.

    Args:
        data: a DICOM object.
        key: at least 16 bytes.

    Raises:
        ImageError: if the object is damaged.
    """
    header = read_header(io.BytesIO(data), "the upload", KEYWORDS)
    patient, issuer = (str(header.value(keyword, "the upload") or "").strip() for keyword in KEYWORDS)
    if not patient:
        return ""
    digest = hmac.new(key, f"{issuer}\0{patient}".encode(), "sha256").digest()[:DIGEST_BYTES]
    return PREFIX + base64.b32encode(digest).decode().lower()
