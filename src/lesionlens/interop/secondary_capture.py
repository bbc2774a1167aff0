"""A heat map over its image as a DICOM Secondary Capture that refers to the image."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from lesionlens.interop.result import Result
from lesionlens.interop.source_image import SourceImage, silence_libraries
from lesionlens.interop.structured_report import MANUFACTURER, SERIES_NUMBER, equipment, written

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

DERIVATION = "Heat map of a neural network (Grad-CAM) over the image; not for diagnosis"
UNKNOWN_ORIENTATION = ("L", "F")  # highdicom asks for one; nobody knows it, so it is emptied again
PURPOSE = ("121322", "DCM", "Source image for image processing operation")


def secondary_capture(result: Result, source: SourceImage, picture: Image.Image | bytes) -> bytes:
    """A Secondary Capture in colour, in Explicit VR Little Endian.

    Args:
        result: the prediction whose map it is.
        source: the image under the map.
        picture: map and image, as `lesionlens.bundle.overlay` draws them; a picture, or the bytes of a PNG.

    Returns:
        A file of PS3.10.
    """
    from highdicom.sc import SCImage

    silence_libraries()
    image = picture if isinstance(picture, Image.Image) else Image.open(io.BytesIO(picture))
    arguments = equipment(result)
    arguments.pop("coding_schemes")
    capture = SCImage.from_ref_dataset(
        source.elements,
        np.asarray(image.convert("RGB")),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        series_instance_uid=result.uid("sc series"),
        series_number=SERIES_NUMBER + 1,
        sop_instance_uid=result.uid("sc"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        patient_orientation=UNKNOWN_ORIENTATION,
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        **arguments,
    )
    _refer(capture, source)
    return written(capture, result)


def _refer(capture: Dataset, source: SourceImage) -> None:
    """Name the image that the picture was drawn over, and what was done."""
    from highdicom.sr import CodedConcept
    from pydicom.dataset import Dataset

    reference = Dataset()
    reference.ReferencedSOPClassUID = source.elements.SOPClassUID
    reference.ReferencedSOPInstanceUID = source.elements.SOPInstanceUID
    if source.frame_numbers:
        reference.ReferencedFrameNumber = source.frame_numbers
    reference.PurposeOfReferenceCodeSequence = [CodedConcept(*PURPOSE)]
    capture.SourceImageSequence = [reference]
    capture.PatientOrientation = None
    capture.Laterality = None
    capture.ImageType = ["DERIVED", "SECONDARY"]
    capture.DerivationDescription = DERIVATION
    capture.BurnedInAnnotation = "NO"  # class and probability are written on it, nothing about the patient
