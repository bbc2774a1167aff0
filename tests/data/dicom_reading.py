"""What tests of DICOM files share: reading by us and by pydicom, and what a refusal may say."""

import io
import warnings

import numpy as np
import openjpeg.utils
import pydicom
import pytest
from pydicom.pixels import pixel_array
from tests.data import dicom_files as make
from tests.data.dicom_files import SECRET, compressed, data_set, plain, written

from lesionlens.core.errors import ImageError
from lesionlens.data.image import open_image

jpeg_ls = pytest.importorskip("jpeg_ls", reason="pyjpegls is not installed")


def pixels(content: bytes, frame: int = 0) -> np.ndarray:
    return np.asarray(open_image(content, frame=frame))


def by_pydicom(content: bytes, index: int | None = None) -> np.ndarray:
    """What pydicom makes of it, by its own reading of the file and its own conversions."""
    ds = pydicom.dcmread(io.BytesIO(content))
    syntax = ds.file_meta.TransferSyntaxUID
    plugin = {make.RLE: "pydicom", make.JPEG_LS: "pyjpegls", make.JPEG_LS_NEAR: "pyjpegls"}.get(syntax, "pillow")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pixel_array(ds, index=index, decoding_plugin=plugin if syntax.is_encapsulated else "")


def codestream(syntax: str, values: np.ndarray) -> bytes:
    if syntax == make.JPEG_LS:
        return bytes(jpeg_ls.encode_array(values, interleave_mode=2 if values.ndim == 3 else 0))
    return openjpeg.utils.encode_array(values, photometric_interpretation=1 if values.ndim == 3 else 2)


def lossless_files(values: np.ndarray, photometric: str) -> dict[str, bytes]:
    found = {
        syntax: plain(values, syntax, photometric) for syntax in (make.IMPLICIT, make.EXPLICIT, make.DEFLATED, make.BIG_ENDIAN)
    }
    ds = data_set(values, photometric)
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    ds.compress(pydicom.uid.RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
    found[make.RLE] = written(ds, make.RLE)
    for syntax in (make.JPEG_LS, make.JPEG_2000):
        found[syntax] = compressed([codestream(syntax, values)], values, syntax, photometric)
    return found


def palette_elements(tables: list[np.ndarray], descriptor: list[int]) -> dict[str, object]:
    colours = ("Red", "Green", "Blue")
    descriptors = {f"{colour}PaletteColorLookupTableDescriptor": descriptor for colour in colours}
    data = {f"{colour}PaletteColorLookupTableData": table.tobytes() for colour, table in zip(colours, tables, strict=True)}
    return {**descriptors, **data}


def refusal(content: bytes, **options: int) -> str:
    """The one line that a file is refused with; nothing in it, or behind it, tells of the patient."""
    with pytest.raises(ImageError) as caught:
        open_image(content, **options)
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET.lower() not in repr(error).lower()
        error = error.__cause__
    assert "\n" not in str(caught.value)
    return str(caught.value)
