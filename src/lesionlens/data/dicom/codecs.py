"""Compressed DICOM pixels of one picture become stored values (PS3.5 8, A, G).

pydicom finds the bytes of the picture; the libraries that its plugins call decode them. They are called
directly because the plugins for Pillow know no lossless JPEG and convert Adobe's YCbCr twice, and because the
codestream's own header is compared with the data set first: no decoder allocates for a size that was not checked.
"""

from __future__ import annotations

import importlib.util
import io
import struct
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

from lesionlens.core.errors import ImageError
from lesionlens.data.decoding_rules import DECODE_ERRORS, check_scans
from lesionlens.data.dicom.jpeg_ls import decode_jpeg_ls
from lesionlens.data.dicom.pixels import PixelModule

RLE_HEADER_BYTES = 64
LOSSLESS, JPEG_LS = 0xC3, 0xF7
JPEG_STARTS = {0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive", LOSSLESS: "lossless", JPEG_LS: "JPEG-LS"}
STANDALONE_MARKERS = (0x01, *range(0xD0, 0xD9))
JPEG_2000_START = b"\xff\x4f\xff\x51"
MOST_TILES = 4096
MOST_SEGMENTS = 1000  # of a JPEG in front of its frame header
OTHER_COLOURS = "the compressed pixels and the DICOM label name different colour spaces; the compressed pixels were believed"


class Frame(NamedTuple):
    """Stored values of one picture.

    Attributes:
        values: shape (rows, columns, samples), uint8 or uint16.
        bits: of each value in use, the lowest.
        is_ybr: whether the three samples are YCbCr rather than red, green and blue.
        notes: what was assumed.
    """

    values: np.ndarray
    bits: int
    is_ybr: bool = False
    notes: tuple[str, ...] = ()


def rle(codestream: bytes, module: PixelModule, name: str) -> Frame:
    """RLE Lossless (PS3.5 annex G): a PackBits stream for each byte of each sample, the high byte first.

    Pillow unpacks, because pydicom does so in Python: 1.1 s for 12 megapixels.

    Raises:
        ImageError: if it is damaged.
    """
    n_bytes = module.bits_allocated // 8
    expected = module.samples * n_bytes
    if len(codestream) < RLE_HEADER_BYTES:
        raise _damaged(name, "RLE")
    count, *offsets = struct.unpack("<16I", codestream[:RLE_HEADER_BYTES])
    if count != expected:
        raise ImageError(f"{name}: its RLE data has {count:,} segments; its pixels need {expected}. Export it again")
    ends = [*offsets[1:count], len(codestream)]
    planes = [_packbits(codestream[start:end], module, name) for start, end in zip(offsets[:count], ends, strict=True)]
    if n_bytes == 2:
        planes = [high.astype(np.uint16) << 8 | low for high, low in zip(planes[::2], planes[1::2], strict=True)]
    return Frame(np.stack(planes, axis=-1).reshape(module.shape), module.bits_stored, module.photometric.startswith("YBR"))


def jpeg(codestream: bytes, module: PixelModule, name: str) -> Frame:
    """JPEG: baseline, extended and lossless with 8 bits, by Pillow's libjpeg-turbo.

    The codestream says itself (JFIF, Adobe, component names) whether it is YCbCr; if it does not, the data set does.

    Raises:
        ImageError: if it is damaged, or has more than 8 bits.
    """
    header = _check_jpeg(codestream, module, name, tuple(JPEG_STARTS)[:4])
    check_scans(codestream, module.columns, module.rows, name)
    lossless = header.marker == LOSSLESS
    try:
        image = Image.open(io.BytesIO(codestream), formats=("JPEG",))
        named_rgb = bytes(layer[0] for layer in image.layer) in (b"RGB", b"rgb")  # type: ignore[attr-defined]
        silent = "jfif" not in image.info and "adobe" not in image.info and not named_rgb
        if silent and not lossless and module.photometric == "RGB":
            image.draft("YCbCr", image.size)  # libjpeg would take it for YCbCr
        image.load()
    except DECODE_ERRORS:
        raise _damaged(name, "JPEG") from None
    stored_ybr = "jfif" in image.info or image.info.get("adobe_transform", 0) != 0
    contradicts = module.samples == 3 and not silent and stored_ybr != module.photometric.startswith("YBR")
    is_ybr = silent and lossless and module.photometric.startswith("YBR")  # libjpeg leaves lossless colours alone
    notes = (OTHER_COLOURS,) if contradicts and not lossless else ()
    return Frame(np.asarray(image).reshape(module.shape), header.bits, is_ybr, notes)


def jpeg_ls(codestream: bytes, module: PixelModule, name: str) -> Frame:
    """JPEG-LS, lossless and near-lossless, by CharLS.

    Raises:
        ImageError: if it is damaged, or its decoder is not installed.
    """
    header = _check_jpeg(codestream, module, name, (JPEG_LS,))
    raw, planes = decode_jpeg_ls(codestream, int(np.prod(module.shape)), name)
    values = np.frombuffer(raw, "<u2" if header.bits > 8 else np.uint8)
    if values.size != np.prod(module.shape):
        raise _damaged(name, "JPEG-LS")
    rows, columns, samples = module.shape
    values = values.reshape(samples, rows, columns).transpose(1, 2, 0) if planes else values.reshape(module.shape)
    return Frame(values, header.bits, module.photometric.startswith("YBR"))


def jpeg_2000(codestream: bytes, module: PixelModule, name: str) -> Frame:
    """JPEG 2000, bare or boxed as in a .jp2 file, by OpenJPEG.

    A codestream that transforms its colours comes out as RGB, whatever the data set calls it.

    Raises:
        ImageError: if it is damaged, or its decoder is not installed.
    """
    header = _check_jpeg_2000(codestream, module, name)
    if importlib.util.find_spec("openjpeg") is None:
        raise ImageError(
            f"{name} is compressed with JPEG 2000, which needs pylibjpeg-openjpeg; install it with: "
            "pip install 'lesionlens[dicom]'"
        )
    from openjpeg.utils import decode, get_parameters

    try:
        values = decode(codestream).reshape(module.shape)
        boxed_ybr = header.boxed and get_parameters(codestream)["colourspace"] == "YUV"
    except DECODE_ERRORS:
        raise _damaged(name, "JPEG 2000") from None
    labelled_ybr = module.photometric in ("YBR_FULL", "YBR_FULL_422")
    is_ybr = not header.transforms_colour and (labelled_ybr or boxed_ybr)
    expects_transform = module.photometric in ("YBR_ICT", "YBR_RCT")
    contradicts = labelled_ybr != is_ybr or (expects_transform and not header.transforms_colour)
    return Frame(values, header.bits, is_ybr, (OTHER_COLOURS,) if contradicts else ())


CODECS: dict[str, Callable[[bytes, PixelModule, str], Frame]] = {
    "1.2.840.10008.1.2.4.50": jpeg,
    "1.2.840.10008.1.2.4.51": jpeg,
    "1.2.840.10008.1.2.4.57": jpeg,
    "1.2.840.10008.1.2.4.70": jpeg,
    "1.2.840.10008.1.2.4.80": jpeg_ls,
    "1.2.840.10008.1.2.4.81": jpeg_ls,
    "1.2.840.10008.1.2.4.90": jpeg_2000,
    "1.2.840.10008.1.2.4.91": jpeg_2000,
    "1.2.840.10008.1.2.5": rle,
}


def codec_of(codestream: bytes) -> Callable[[bytes, PixelModule, str], Frame]:
    """The codec of a codestream, where no transfer syntax names it; RLE has no mark of its own."""
    if codestream.startswith(b"\xff\xd8"):
        return jpeg_ls if b"\xff\xf7" in codestream[: 1 << 16] else jpeg
    return jpeg_2000 if JPEG_2000_START in codestream[:1024] else rle


def _packbits(packed: bytes, module: PixelModule, name: str) -> np.ndarray:
    # One long row: the standard ends runs at the end of a row, not every writer does.
    n_pixels = module.rows * module.columns
    try:
        image = Image.frombytes("L", (n_pixels, 1), packed, "packbits", "L")
    except DECODE_ERRORS:
        raise _damaged(name, "RLE") from None
    return np.asarray(image).reshape(-1)


class _JpegHeader(NamedTuple):
    marker: int
    bits: int


class _Jpeg2000Header(NamedTuple):
    bits: int
    transforms_colour: bool
    boxed: bool


def _check_jpeg(codestream: bytes, module: PixelModule, name: str, starts: tuple[int, ...]) -> _JpegHeader:
    """Compare the frame header (ITU-T T.81 B.2.2) with the data set."""
    at = 2 if codestream[:2] == b"\xff\xd8" else len(codestream)
    for _ in range(MOST_SEGMENTS):
        if codestream[at : at + 1] != b"\xff" or at + 4 > len(codestream):
            break
        marker, length = codestream[at + 1], int.from_bytes(codestream[at + 2 : at + 4], "big")
        if marker in JPEG_STARTS and at + 10 <= len(codestream):
            precision, rows, columns, samples = struct.unpack(">BHHB", codestream[at + 4 : at + 10])
            kind = JPEG_STARTS[marker]
            if marker not in starts:
                raise ImageError(f"{name} holds {kind} data where its transfer syntax says otherwise; export it again")
            _check_codestream(rows, columns, samples, precision, module, name)
            if precision > 8 and marker != JPEG_LS:
                raise ImageError(
                    f"{name} holds {precision}-bit {kind} JPEG; only 8 bits are read. Export it uncompressed, as JPEG 2000 or RLE"
                )
            return _JpegHeader(marker, precision)
        at += 1 if marker == 0xFF else 2 if marker in STANDALONE_MARKERS else 2 + length
    raise _damaged(name, "JPEG")


def _check_jpeg_2000(codestream: bytes, module: PixelModule, name: str) -> _Jpeg2000Header:
    """Compare the SIZ segment (ITU-T T.800 A.5.1) with the data set, and look for a colour transform (A.6.1)."""
    start = codestream.find(JPEG_2000_START, 0, 1 << 16)
    size = codestream[start + 4 :][:38] if start >= 0 else b""
    if len(size) < 38:
        raise _damaged(name, "JPEG 2000")
    length, _, x_size, y_size, x_start, y_start, tile_x, tile_y, tile_x_start, tile_y_start, samples = struct.unpack(
        ">HH8IH", size
    )
    components = codestream[start + 42 :][: 3 * samples]
    if len(components) < 3 * samples or not tile_x or not tile_y:
        raise _damaged(name, "JPEG 2000")
    depths = set(components[::3])
    if len(depths) != 1 or max(depths) > 127:
        raise ImageError(f"{name} holds JPEG 2000 data that is signed or of several depths; export it as JPEG")
    _check_codestream(y_size - y_start, x_size - x_start, samples, max(depths) + 1, module, name)
    if -(-(x_size - tile_x_start) // tile_x) * -(-(y_size - tile_y_start) // tile_y) > MOST_TILES:
        raise ImageError(f"{name} holds JPEG 2000 data in more than {MOST_TILES:,} tiles; export it as JPEG")
    return _Jpeg2000Header(max(depths) + 1, _transforms_colour(codestream, start + 4 + length), start > 0)


def _transforms_colour(codestream: bytes, at: int) -> bool:
    """Whether the coding style (COD) among the segments from `at` on names a multiple component transform."""
    for _ in range(MOST_SEGMENTS):
        marker, length = codestream[at : at + 2], int.from_bytes(codestream[at + 2 : at + 4], "big")
        if marker == b"\xff\x52":
            return codestream[at + 8 : at + 9] == b"\1"
        if marker == b"\xff\x90" or marker[:1] != b"\xff":  # the first tile
            break
        at += 2 + length
    return False


def _check_codestream(rows: int, columns: int, samples: int, precision: int, module: PixelModule, name: str) -> None:
    if (rows, columns, samples) != module.shape:
        raise ImageError(
            f"{name} holds compressed pixels of {columns}x{rows}, {samples} samples each, but says "
            f"{module.columns}x{module.rows}, {module.samples}; export it again"
        )
    if precision > module.bits_allocated:
        raise ImageError(
            f"{name} holds {precision}-bit compressed pixels, but allocates {module.bits_allocated}; export it again"
        )


def _damaged(name: str, kind: str) -> ImageError:
    return ImageError(f"{name} holds {kind} data that is damaged or cut short; copy or export it again")
