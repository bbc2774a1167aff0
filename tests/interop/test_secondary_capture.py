"""Heat maps as Secondary Captures."""

import io

import numpy as np
import pydicom
import pytest

pytest.importorskip("highdicom", reason="the extra `interop` is not installed")

from PIL import Image
from tests.data.dicom_files import picture
from tests.interop.clinic import check_object, result, source_image

from lesionlens.interop.secondary_capture import secondary_capture


def test_pixels_and_reference_come_back():
    source, pixels = source_image(), picture(60, 90)
    capture = pydicom.dcmread(io.BytesIO(secondary_capture(result(), source, Image.fromarray(pixels))))
    assert np.array_equal(capture.pixel_array, pixels)
    assert capture.SourceImageSequence[0].ReferencedSOPInstanceUID == source.elements.SOPInstanceUID
    assert (capture.StudyInstanceUID, capture.PatientID) == (source.elements.StudyInstanceUID, "P-17")
    assert capture.SeriesInstanceUID != source.elements.SeriesInstanceUID
    assert (list(capture.ImageType), capture.BurnedInAnnotation) == (["DERIVED", "SECONDARY"], "NO")
    assert not capture.PatientOrientation  # nobody knows it


def test_a_png_is_a_picture_too():
    stream = io.BytesIO()
    Image.fromarray(picture(60, 90)).save(stream, "PNG")
    capture = pydicom.dcmread(io.BytesIO(secondary_capture(result(), source_image(), stream.getvalue())))
    assert np.array_equal(capture.pixel_array, picture(60, 90))


def test_dciodvfy_finds_no_error(tmp_path):
    check_object(secondary_capture(result(), source_image(), Image.fromarray(picture(60, 90))), tmp_path)
