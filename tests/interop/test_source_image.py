"""The identity of an image: what is taken, what is left out, what is refused."""

import logging
import warnings

import pytest
from tests.slow_values import slow_but

pytest.importorskip("highdicom", reason="the extra `interop` is not installed")

from tests.data import dicom_files as make
from tests.interop.clinic import dicom_image, result, source_image

from lesionlens.core.errors import ImageError
from lesionlens.interop.source_image import is_dicom, read_source
from lesionlens.interop.structured_report import structured_report


def test_values_come_in_unicode_and_nothing_else_comes():
    elements = source_image().elements
    assert (str(elements.PatientName), elements.PatientID, elements.SpecificCharacterSet) == ("Müller^Anna", "P-17", "ISO_IR 192")
    assert "InstitutionName" not in elements
    assert "PatientComments" not in elements


@pytest.mark.parametrize(
    ("keyword", "value", "tag"),
    [
        ("PatientBirthDate", "19701399", "(0010,0030)"),
        ("PatientSex", "female", "(0010,0040)"),
        *slow_but(
            [
                ("StudyTime", "noon", "(0008,0030)"),
                ("PatientID", "x" * 65, "(0010,0020)"),
                ("PatientName", "^" * 6, "(0010,0010)"),
                ("AccessionNumber", "a\x07b", "(0008,0050)"),
            ]
        ),
    ],
)
def test_a_damaged_value_is_left_out_and_named_by_its_tag(keyword, value, tag):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content = dicom_image(**{keyword: value})
    source = read_source(content, "a.dcm")
    assert source.elements[keyword].value in (None, "")
    assert source.left_out == (tag,)
    assert structured_report(result(), source)


@pytest.mark.parametrize(
    ("keyword", "words"),
    [("StudyInstanceUID", r"\(0020,000D\)"), ("SeriesInstanceUID", r"\(0020,000E\)"), ("SOPInstanceUID", r"\(0008,0018\)")],
)
def test_an_image_without_identity_is_refused(keyword, words):
    with pytest.raises(ImageError, match=words):
        read_source(dicom_image(**{keyword: None}), "a.dcm")


def test_other_files_are_refused():
    with pytest.raises(ImageError, match=r"a\.jpg is no DICOM file"):
        read_source(make.jpeg_bytes(make.picture()), "a.jpg")
    with pytest.raises(ImageError, match="is a CT image"):
        read_source(dicom_image(SOPClassUID="1.2.840.10008.5.1.4.1.1.2"), "a.dcm")
    assert not is_dicom(b"short")


def test_no_log_and_no_warning_names_the_patient(caplog):
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings():
        warnings.simplefilter("error")
        content = dicom_image(PatientName=make.SECRET, ReferringPhysicianName=make.SECRET)
        structured_report(result(), read_source(content, "a.dcm"))
    assert make.SECRET not in caplog.text
