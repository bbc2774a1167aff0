"""One frame of DICOM pixel data becomes an array of stored values, whatever its transfer syntax (PS3.5 8, A, G).

The codestream's own header is compared with the data set before a decoder sees it, so that no decoder
allocates for a size that was not checked.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

from lesionlens.core.errors import ImageError
from lesionlens.data.decoding_rules import DECODE_ERRORS, check_scans
from lesionlens.data.dicom.jpeg_ls import decode_jpeg_ls

RLE_HEADER_BYTES = 64
RLE_MOST_SEGMENTS = 15
LOSSLESS, JPEG_LS = 0xC3, 0xF7
JPEG_STARTS = {0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive", LOSSLESS: "lossless", JPEG_LS: "JPEG-LS"}
STANDALONE_MARKERS = (0x01, *range(0xD0, 0xD9))
MOST_TILES = 4096
MOST_SEGMENTS = 1000  # of a JPEG in front of its frame header


@dataclass(frozen=True)
class PixelModule:
    """What the elements of group 0028 say of the pixels (PS3.3 C.7.6.3).

    Attributes:
        rows: height, pixels.
        columns: width, pixels.
        samples: 1 or 3 in each pixel.
        photometric: photometric interpretation.
        planar: whether samples of native pixels are stored plane by plane.
        frames: number of pictures.
        bits_allocated: 8 or 16 of each sample.
        bits_stored: of these in use, the lowest.
    """

    rows: int
    columns: int
    samples: int
    photometric: str
    planar: bool
    frames: int
    bits_allocated: int
    bits_stored: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns, samples."""
        return self.rows, self.columns, self.samples

    @property
    def frame_bytes(self) -> int:
        """Size of one native frame."""
        values = self.rows * self.columns * (2 if self.photometric == "YBR_FULL_422" else self.samples)
        return values * self.bits_allocated // 8


class Frame(NamedTuple):
    """Stored values of one picture.

    Attributes:
        values: shape (rows, columns, samples), uint8 or uint16.
        bits: of each value in use, the lowest.
        is_ybr: whether the three samples are YCbCr rather than red, green and blue.
    """

    values: np.ndarray
    bits: int
    is_ybr: bool


def native(raw: bytes, module: PixelModule, little: bool, words: bool) -> Frame:
    """Uncompressed pixels.

    Args:
        raw: one frame.
        module: of the data set.
        little: byte order.
        words: whether big-endian 8-bit pixels were written as 16-bit words, and so stand in changed order.
    """
    if module.bits_allocated == 16:
        values = np.frombuffer(raw, "<u2" if little else ">u2").astype(np.uint16)
    else:
        values = np.frombuffer(raw, np.uint8)
        if words and not little and values.size % 2 == 0:
            values = values.reshape(-1, 2)[:, ::-1].reshape(-1)
    is_ybr = module.photometric.startswith("YBR")
    if module.photometric == "YBR_FULL_422":
        return Frame(_from_422(values, module), module.bits_stored, is_ybr)
    values = _from_planes(values, module) if module.planar else values.reshape(module.shape)
    return Frame(values, module.bits_stored, is_ybr)


def rle(codestream: bytes, module: PixelModule, name: str) -> Frame:
    """RLE Lossless (PS3.5 annex G): a PackBits stream for each byte of each sample, the high byte first.

    Raises:
        ImageError: if it is damaged.
    """
    n_bytes = module.bits_allocated // 8
    expected = module.samples * n_bytes
    if len(codestream) < RLE_HEADER_BYTES:
        raise _damaged(name, "RLE")
    count, *offsets = struct.unpack("<16I", codestream[:RLE_HEADER_BYTES])
    if count != expected:
        raise ImageError(f"{name}: its RLE data has {min(count, RLE_MOST_SEGMENTS + 1)} segments; its pixels need {expected}")
    ends = [*offsets[1:count], len(codestream)]
    planes = [_packbits(codestream[start:end], module, name) for start, end in zip(offsets[:count], ends, strict=True)]
    samples = [planes[first : first + n_bytes] for first in range(0, count, n_bytes)]
    if n_bytes == 1:
        values = np.stack([high for (high,) in samples], axis=-1)
    else:
        values = np.stack([high.astype(np.uint16) << 8 | low for high, low in samples], axis=-1)
    return Frame(values.reshape(module.shape), module.bits_stored, module.photometric.startswith("YBR"))


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
        silent = "jfif" not in image.info and "adobe" not in image.info and not _named_rgb(image)
        if silent and not lossless and module.photometric == "RGB":
            image.draft("YCbCr", image.size)  # libjpeg would take it for YCbCr
        image.load()
    except DECODE_ERRORS as error:
        raise _damaged(name, "JPEG") from error
    is_ybr = silent and lossless and module.photometric.startswith("YBR")  # libjpeg leaves lossless colours alone
    return Frame(np.asarray(image).reshape(module.shape), header.bits, is_ybr)


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
    values = _from_planes(values, module) if planes else values.reshape(module.shape)
    return Frame(values, header.bits, module.photometric.startswith("YBR"))


def jpeg_2000(codestream: bytes, module: PixelModule, name: str) -> Frame:
    """JPEG 2000, by Pillow's OpenJPEG.

    Raises:
        ImageError: if it is damaged, or colour with more than 8 bits.
    """
    bits = _check_jpeg_2000(codestream, module, name)
    if bits > 8 and module.samples == 3:  # Pillow 13 rounds these, and its highest values become 0
        raise ImageError(f"{name} holds {bits}-bit colour as JPEG 2000; only 8 bits are read. Export it uncompressed or as RLE")
    try:
        image = Image.open(io.BytesIO(codestream), formats=("JPEG2000",))
        image.load()
    except DECODE_ERRORS as error:
        raise _damaged(name, "JPEG 2000") from error
    values = np.asarray(image).reshape(module.shape)
    is_ybr = module.photometric in ("YBR_FULL", "YBR_FULL_422")  # of YBR_ICT and YBR_RCT the decoder makes RGB itself
    kept = 8 * values.itemsize
    if kept > bits:
        return Frame(values >> (kept - bits), bits, is_ybr)  # Pillow fills its bytes from the top
    return Frame(values, kept, is_ybr)


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


def _from_422(values: np.ndarray, module: PixelModule) -> np.ndarray:
    # Two pixels are stored as Y1 Y2 Cb Cr (PS3.3 C.7.6.3.1.2); both take the one Cb and Cr.
    pairs = values.reshape(-1, 4)
    full = np.empty((pairs.shape[0], 2, 3), values.dtype)
    full[:, :, 0] = pairs[:, :2]
    full[:, :, 1:] = pairs[:, None, 2:]
    return full.reshape(module.shape)


def _from_planes(values: np.ndarray, module: PixelModule) -> np.ndarray:
    return np.ascontiguousarray(values.reshape(module.samples, module.rows, module.columns).transpose(1, 2, 0))


def _packbits(packed: bytes, module: PixelModule, name: str) -> np.ndarray:
    # One long row: the standard ends runs at the end of a row, not every writer does.
    n_pixels = module.rows * module.columns
    try:
        image = Image.frombytes("L", (n_pixels, 1), packed, "packbits", "L")
    except DECODE_ERRORS as error:
        raise _damaged(name, "RLE") from error
    return np.asarray(image).reshape(-1)


class _FrameHeader(NamedTuple):
    marker: int
    bits: int


def _check_jpeg(codestream: bytes, module: PixelModule, name: str, starts: tuple[int, ...]) -> _FrameHeader:
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
            return _FrameHeader(marker, precision)
        at += 1 if marker == 0xFF else 2 if marker in STANDALONE_MARKERS else 2 + length
    raise _damaged(name, "JPEG")


def _check_jpeg_2000(codestream: bytes, module: PixelModule, name: str) -> int:
    """Compare the SIZ segment (ITU-T T.800 A.5.1) with the data set; gives the bits of a sample."""
    if codestream[:4] != b"\xff\x4f\xff\x51" or len(codestream) < 42:
        raise _damaged(name, "JPEG 2000")
    x_size, y_size, x_start, y_start, tile_x, tile_y, tile_x_start, tile_y_start, samples = struct.unpack(
        ">8IH", codestream[8:42]
    )
    components = codestream[42 : 42 + 3 * samples]
    if len(components) < 3 * samples or not tile_x or not tile_y:
        raise _damaged(name, "JPEG 2000")
    depths, steps = set(components[::3]), set(components[1::3]) | set(components[2::3])
    if steps != {1} or len(depths) != 1 or max(depths) > 127:
        raise ImageError(f"{name} holds JPEG 2000 data that is subsampled or signed; export it as JPEG")
    _check_codestream(y_size - y_start, x_size - x_start, samples, max(depths) + 1, module, name)
    if -(-(x_size - tile_x_start) // tile_x) * -(-(y_size - tile_y_start) // tile_y) > MOST_TILES:
        raise ImageError(f"{name} holds JPEG 2000 data in more than {MOST_TILES:,} tiles; export it as JPEG")
    return max(depths) + 1


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


def _named_rgb(image: Image.Image) -> bool:
    names = bytes(layer[0] for layer in image.layer)  # type: ignore[attr-defined]
    return names in (b"RGB", b"rgb")


def _damaged(name: str, kind: str) -> ImageError:
    return ImageError(f"{name} holds {kind} data that is damaged or cut short; copy or export it again")
