"""Which DICOM objects are read: photographs and dermoscopic images; others are refused by name."""

from __future__ import annotations

from lesionlens.core.errors import ImageError

ACCEPTED = {
    "1.2.840.10008.5.1.4.1.1.77.1.4": "VL Photographic Image",
    "1.2.840.10008.5.1.4.1.1.77.1.7": "Dermoscopic Photography Image",
}
REFUSED = {
    "1.2.840.10008.1.3.10": "a directory (DICOMDIR)",
    "1.2.840.10008.5.1.4.1.1.1": "a radiograph",
    "1.2.840.10008.5.1.4.1.1.2": "a CT image",
    "1.2.840.10008.5.1.4.1.1.2.1": "a CT image",
    "1.2.840.10008.5.1.4.1.1.4": "an MR image",
    "1.2.840.10008.5.1.4.1.1.4.1": "an MR image",
    "1.2.840.10008.5.1.4.1.1.6.1": "an ultrasound image",
    "1.2.840.10008.5.1.4.1.1.7": "a secondary capture",
    "1.2.840.10008.5.1.4.1.1.77.1.2": "a microscopic image",
    "1.2.840.10008.5.1.4.1.1.77.1.4.1": "a video",
    "1.2.840.10008.5.1.4.1.1.77.1.6": "a whole slide image",
    "1.2.840.10008.5.1.4.1.1.104.1": "an encapsulated PDF",
    "1.2.840.10008.5.1.4.1.1.104.2": "an encapsulated document",
    "1.2.840.10008.5.1.4.1.1.128": "a PET image",
}


def check_class(uid: str, name: str) -> None:
    """Refuse an object that is no photograph.

    Raises:
        ImageError: naming what it is, if that is known.
    """
    if uid not in ACCEPTED:
        kind = REFUSED.get(uid, "a DICOM file of another kind (0008,0016)")
        raise ImageError(f"{name} is {kind}; only {' and '.join(ACCEPTED.values())} are read")
