"""JPEG-LS in its own process."""

import sys

import pytest
from tests.data import dicom_files as make
from tests.data.dicom_files import compressed, picture
from tests.data.dicom_reading import jpeg_ls, lossless_files, refusal

from lesionlens.core.errors import ImageError
from lesionlens.data.image import open_image


def test_without_its_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jpeg_ls", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    content = lossless_files(picture(), "RGB")[make.JPEG_LS]
    assert "needs pyjpegls; install it with: pip install 'lesionlens[dicom]'" in refusal(content)


def test_damaged_jpeg_ls_ends_in_time() -> None:
    stream = bytearray(jpeg_ls.encode_array(picture(64, 80), interleave_mode=2))
    for at, value in ((161, 36), (594, 94), (921, 143)):
        stream[at] = value
    with pytest.raises(ImageError, match="JPEG-LS"):
        open_image(compressed([bytes(stream[:2110])], picture(64, 80), make.JPEG_LS))
