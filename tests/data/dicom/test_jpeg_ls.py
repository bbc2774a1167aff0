"""JPEG-LS in its own process."""

import importlib.util

import pytest
from tests.data import dicom_files as make
from tests.data.dicom_files import compressed, picture
from tests.data.dicom_reading import jpeg_ls, lossless_files, refusal

from lesionlens.core.errors import ImageError
from lesionlens.data.image import open_image


def test_without_its_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    content = lossless_files(picture(), "RGB")[make.JPEG_LS]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "jpeg_ls" else find(name))
    assert "needs pyjpegls; install it with: pip install 'lesionlens[dicom]'" in refusal(content)


@pytest.mark.parametrize(
    ("package", "syntax", "words"),
    [
        ("pydicom", make.EXPLICIT, "is a DICOM file, which needs pydicom; install it with: pip install 'lesionlens[dicom]'"),
        ("openjpeg", make.JPEG_2000, "needs pylibjpeg-openjpeg; install it with: pip install 'lesionlens[dicom]'"),
    ],
)
def test_without_the_other_packages(monkeypatch: pytest.MonkeyPatch, package: str, syntax: str, words: str) -> None:
    content = lossless_files(picture(), "RGB")[syntax]
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == package else find(name))
    assert words in refusal(content)


def test_damaged_jpeg_ls_ends_in_time() -> None:
    stream = bytearray(jpeg_ls.encode_array(picture(64, 80), interleave_mode=2))
    for at, value in ((161, 36), (594, 94), (921, 143)):
        stream[at] = value
    with pytest.raises(ImageError, match="JPEG-LS"):
        open_image(compressed([bytes(stream[:2110])], picture(64, 80), make.JPEG_LS))
