"""DICOM files of every kind, made with pydicom and the encoders beside it."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

DERMOSCOPY = "1.2.840.10008.5.1.4.1.1.77.1.7"
PHOTOGRAPH = "1.2.840.10008.5.1.4.1.1.77.1.4"
IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN = (f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".1.99", ".2"))
RLE, BASELINE, EXTENDED = (f"1.2.840.10008.1.2.{end}" for end in ("5", "4.50", "4.51"))
LOSSLESS, LOSSLESS_SV1 = (f"1.2.840.10008.1.2.4.{end}" for end in (57, 70))
JPEG_LS, JPEG_LS_NEAR, JPEG_2000, JPEG_2000_LOSSY = (f"1.2.840.10008.1.2.4.{end}" for end in (80, 81, 90, 91))
SECRET = "Zwetschkenknoedel"  # stands in every field that tells of a patient


def picture(height: int = 40, width: int = 48, seed: int = 0) -> np.ndarray:
    """Colours without symmetry, so that a wrong turn, channel or plane shows; uint8 (height, width, 3)."""
    across = np.linspace(0, 230, width)[None, :, None]
    down = np.linspace(0, 200, height)[:, None, None]
    smooth = across * [1, 0.2, 0.5] + down * [0, 0.8, 0.3]
    noise = np.random.default_rng(seed).integers(0, 9, (height, width, 3))
    return np.clip(smooth + noise, 0, 255).astype(np.uint8)


def grey(bits: int = 8, height: int = 40, width: int = 48) -> np.ndarray:
    """A ramp over all values that `bits` can hold, shape (height, width)."""
    return np.linspace(0, 2**bits - 1, height * width).reshape(height, width).astype(np.uint8 if bits <= 8 else np.uint16)


def data_set(pixels: np.ndarray | None = None, photometric: str = "RGB", **elements: Any) -> Dataset:
    """A dermoscopic image of a patient whose every field holds `SECRET`; `elements` are set last, None removes one."""
    ds = Dataset()
    ds.SOPClassUID = DERMOSCOPY
    ds.SOPInstanceUID = generate_uid(entropy_srcs=["lesionlens"])
    ds.PatientName = f"{SECRET}^Anna"
    ds.PatientID = SECRET
    ds.PatientComments = SECRET
    ds.StudyDescription = SECRET
    ds.ReferringPhysicianName = SECRET
    ds.InstitutionName = SECRET
    ds.ImageComments = SECRET
    ds.Modality = "XC"
    item = Dataset()
    item.CodeMeaning = SECRET
    ds.AcquisitionDeviceTypeCodeSequence = [item]
    if pixels is not None:
        shape = pixels.shape[-3:] if pixels.shape[-1] == 3 else pixels.shape[-2:]
        bits = 8 * pixels.dtype.itemsize
        ds.Rows, ds.Columns = shape[:2]
        ds.SamplesPerPixel = 3 if len(shape) == 3 else 1
        ds.PhotometricInterpretation = photometric
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits, bits - 1, 0
        if ds.SamplesPerPixel == 3:
            ds.PlanarConfiguration = 0
        ds.PixelData = pixels.tobytes()
    for keyword, value in elements.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def written(ds: Dataset, syntax: str = EXPLICIT, **meta: Any) -> bytes:
    """The bytes of a file; native pixels that are not compressed yet are given to the byte order."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    ds.file_meta.MediaStorageSOPClassUID = ds.get("SOPClassUID", DERMOSCOPY)
    ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    ds.file_meta.SourceApplicationEntityTitle = SECRET[:16]
    for keyword, value in meta.items():
        setattr(ds.file_meta, keyword, value)
    if "PixelData" in ds:
        native = not UID(syntax).is_encapsulated
        ds["PixelData"].VR = "OW" if native and ds.get("BitsAllocated", 8) > 8 else "OB"
        ds["PixelData"].is_undefined_length = not native
        if syntax == BIG_ENDIAN and ds.get("BitsAllocated", 8) > 8:
            ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
        if len(ds.PixelData) % 2:
            ds.PixelData += b"\0"
    stream = io.BytesIO()
    ds.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def compressed(frames: list[bytes], pixels: np.ndarray, syntax: str, photometric: str = "RGB", **elements: Any) -> bytes:
    """A file with these codestreams, one fragment each."""
    ds = data_set(pixels, photometric, **elements)
    ds.PixelData = encapsulate(frames)
    return written(ds, syntax)


def jpeg_bytes(pixels: np.ndarray, **options: Any) -> bytes:
    """A baseline JPEG by Pillow: YCbCr with a JFIF header for colour."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", **{"quality": 95, "subsampling": 0, **options})
    return stream.getvalue()


def without_segments(jpeg: bytes, *markers: int) -> bytes:
    """A JPEG without its segments of some kinds, for example 0xE0 (JFIF) or 0xEE (Adobe)."""
    kept, at = jpeg[:2], 2
    while jpeg[at + 1] != 0xDA:
        length = 2 + struct.unpack(">H", jpeg[at + 2 : at + 4])[0]
        if jpeg[at + 1] not in markers:
            kept += jpeg[at : at + length]
        at += length
    return kept + jpeg[at:]


def rgb_jpeg_without_markers(pixels: np.ndarray) -> bytes:
    """A JPEG of RGB as it is, of which only the data set can tell that it is not YCbCr."""
    stream = io.BytesIO()
    Image.frombytes("YCbCr", pixels.shape[1::-1], pixels.tobytes()).save(stream, "JPEG", quality=95, subsampling=0)
    return without_segments(stream.getvalue(), 0xE0)


def lossless_jpeg(name: str) -> bytes:
    """A codestream that GDCM 3.2 made of `picture()` or `grey()`; see the folder `jpeg_lossless`."""
    return (Path(__file__).with_name("jpeg_lossless") / f"{name}.jpg").read_bytes()


def plain(pixels: np.ndarray | None = None, syntax: str = EXPLICIT, photometric: str = "RGB", **elements: Any) -> bytes:
    """A file with native pixels."""
    return written(data_set(picture() if pixels is None else pixels, photometric, **elements), syntax)


def raw_element(group: int, element: int, vr: bytes, value: bytes) -> bytes:
    """One explicit little-endian element, whatever it says."""
    head = struct.pack("<HH", group, element) + vr
    if vr in (b"OB", b"OW", b"SQ", b"UN", b"UT"):
        return head + struct.pack("<HI", 0, len(value)) + value
    return head + struct.pack("<H", len(value)) + value


def file_head(syntax: str = ExplicitVRLittleEndian) -> bytes:
    """Preamble and file meta information."""
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    meta = raw_element(2, 0x10, b"UI", uid)
    return b"\0" * 128 + b"DICM" + raw_element(2, 0, b"UL", struct.pack("<I", len(meta))) + meta
