"""DICOM: photographs and dermoscopic images, read without touching what is known of the patient.

Errors name tags, and values of the pixel module (group 0028) only.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import Any, BinaryIO

from lesionlens.core.errors import ImageError
from lesionlens.data.colour import Colours, apply_profile
from lesionlens.data.decoded_image import DecodedImage
from lesionlens.data.decoding_rules import DECODE_ERRORS, MAX_PIXELS, check_size
from lesionlens.data.dicom.classes import check_class
from lesionlens.data.dicom.codecs import CODECS, Frame, codec_of
from lesionlens.data.dicom.display import to_rgb
from lesionlens.data.dicom.header import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    OFFSET_TABLES,
    UNDEFINED,
    BoundedReader,
    Header,
    PixelElement,
    read_header,
)
from lesionlens.data.dicom.pixels import PixelModule, acquisition, check_length, pixel_element, pixel_module, pixel_spacing

MAX_FRAGMENT_READS = 200_000  # two for each fragment
SEQUENCE_END = b"\xfe\xff\xdd\xe0"
NO_META = "the DICOM file has no meta information; how it is encoded was derived from its content"
NATIVE = (IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN)


def decode_dicom(stream: BinaryIO, name: str, max_pixels: int = MAX_PIXELS, frame: int = 0) -> DecodedImage:
    """Decode one picture of a DICOM file to 8-bit RGB, as it is stored: no orientation is applied.

    VL Photographic and Dermoscopic Photography images with 8 or 16 bits; transfer syntaxes without
    compression (implicit, explicit, big endian, deflated), RLE, JPEG (baseline, extended and lossless
    with 8 bits), JPEG-LS and JPEG 2000. Header, sizes and limits are checked before anything is
    decoded; only the one frame is decoded. Needs the extra `dicom`.

    Args:
        stream: the opened file.
        name: what to call it in errors.
        max_pixels: largest width x height.
        frame: which picture, from 0.

    Raises:
        ImageError: if it is damaged, of another kind, too small or too large, or has no such frame.
    """
    if importlib.util.find_spec("pydicom") is None:
        raise ImageError(f"{name} is a DICOM file, which needs pydicom; install it with: pip install 'lesionlens[dicom]'")
    header = read_header(stream, name)
    if header.syntax not in NATIVE and header.syntax not in CODECS:
        raise ImageError(f"{name} has a transfer syntax (0002,0010) that is not read; export it uncompressed or as JPEG")
    check_class(header.sop_class, name)
    pixels = pixel_element(header, name)
    module, notes = pixel_module(header, name)
    check_size(module.columns, module.rows, name, max_pixels)
    if not 0 <= frame < module.frames:
        raise ImageError(f"{name} has no frame {frame}; it has {module.frames}, counted from 0")
    values = _decode(header, module, pixels, frame, name)
    colours = _shown(values, module, header, name)
    chosen = (f"frame {frame + 1} of {module.frames} was used",) if module.frames > 1 else ()
    derived = () if header.has_meta else (NO_META,)
    spacing, unusable = pixel_spacing(header, name)
    said = (*derived, *notes, *values.notes, *colours.notes, *chosen, *unusable)
    return DecodedImage(colours.image, module.frames, said, acquisition(header, name), spacing)


def _shown(values: Frame, module: PixelModule, header: Header, name: str) -> Colours:
    """Pixels as they are to be shown, in sRGB."""
    image = to_rgb(values, module.photometric, header, name)
    profile = header.value("ICCProfile", name)
    return apply_profile(image, bytes(profile)) if profile else Colours(image)


def _decode(header: Header, module: PixelModule, pixels: PixelElement, frame: int, name: str) -> Frame:
    fragments = pixels.length == UNDEFINED
    if header.has_meta and fragments != (header.syntax in CODECS):
        raise ImageError(f"{name}: its pixel data is not stored as its transfer syntax says; export it again")
    if not fragments:
        return _native(header, module, pixels, frame, name)
    codestream = _codestream(header, module, pixels, frame, name)
    codec = CODECS.get(header.syntax) or codec_of(codestream)
    return codec(codestream, module, name)


def _native(header: Header, module: PixelModule, pixels: PixelElement, frame: int, name: str) -> Frame:
    """Pixels without compression."""
    from pydicom.pixels.decoders.base import get_decoder

    check_length(header, module, pixels, name)
    header.stream.seek(pixels.offset)
    options: dict[str, Any] = {
        "rows": module.rows,
        "columns": module.columns,
        "samples_per_pixel": module.samples,
        "photometric_interpretation": module.photometric,
        "planar_configuration": int(module.planar),
        "number_of_frames": module.frames,
        "bits_allocated": module.bits_allocated,
        "bits_stored": module.bits_stored,
        "pixel_representation": 0,
        "pixel_keyword": "PixelData",
        "pixel_vr": pixels.vr,
        "view_only": True,  # saves a copy
    }
    try:
        values, _ = get_decoder(header.syntax).as_array(header.stream, index=frame, raw=True, **options)
    except (*DECODE_ERRORS, AttributeError):
        raise _damaged(name) from None
    values = values.astype(f"u{module.bits_allocated // 8}", copy=False).reshape(module.shape)
    return Frame(values, module.bits_stored, module.photometric.startswith("YBR"))


def _codestream(header: Header, module: PixelModule, pixels: PixelElement, frame: int, name: str) -> bytes:
    """The compressed bytes of one frame, out of one or several fragments (PS3.5 A.4)."""
    from pydicom.encaps import get_frame, parse_basic_offsets, parse_fragments

    tables = [header.value(keyword, name) for keyword in OFFSET_TABLES]
    reader = BoundedReader(header.stream, sys.maxsize, MAX_FRAGMENT_READS)
    reader.seek(pixels.offset)
    try:
        parse_basic_offsets(reader)
        count, starts = parse_fragments(reader)
        if not count:
            raise ImageError(f"{name} is a DICOM file without pixels; its Pixel Data (7FE0,0010) is empty")
        if not _is_ended(reader, starts[-1]):
            raise _damaged(name)
        reader = BoundedReader(header.stream, sys.maxsize, MAX_FRAGMENT_READS)
        reader.seek(pixels.offset)
        extended = (tables[0], tables[1]) if all(tables) else None
        return get_frame(reader, frame, number_of_frames=module.frames, extended_offsets=extended)
    except (*DECODE_ERRORS, StopIteration):
        problem = (
            "has too many DICOM fragments" if reader.exhausted else "is a DICOM file whose fragments are damaged or cut short"
        )
    raise ImageError(f"{name} {problem}; copy or export it again")


def _is_ended(reader: BoundedReader, last: int) -> bool:
    """Whether the fragment that starts at `last` is whole, and the end of the fragments follows it."""
    reader.seek(last + 4)
    length = int.from_bytes(reader.read(4), "little")
    reader.seek(last + 8 + length)
    return reader.read(4) == SEQUENCE_END


def _damaged(name: str) -> ImageError:
    return ImageError(f"{name} is a DICOM file that is damaged or cut short; copy or export it again")
