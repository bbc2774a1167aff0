"""Rules for images of every format: how large and how small they may be, and how decoders fail."""

from __future__ import annotations

import struct
import zlib

from PIL import Image

from lesionlens.core.errors import ImageError, ImageTooLargeError

MAX_PIXELS = 50_000_000
MIN_SIDE = 32
MAX_SCANNED = 2_000_000_000
JPEG_SCAN = b"\xff\xda"
# All that readers are known to raise on damaged bytes (RuntimeError: libavif and libheif); anything else is a bug.
DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    LookupError,
    TypeError,
    EOFError,
    ArithmeticError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


def check_size(width: int, height: int, name: str, max_pixels: int) -> None:
    """Refuse a size that a header states, before anything is decoded.

    Raises:
        ImageTooLargeError: if width x height is above `max_pixels`.
        ImageError: if the shorter side is below `MIN_SIDE`.
    """
    if width * height > max_pixels:
        raise ImageTooLargeError(f"{name} has {width}x{height} pixels; the most is {max_pixels:,}. Scale the image down first")
    if min(width, height) < MIN_SIDE:
        raise ImageError(f"{name} has {width}x{height} pixels; the shorter side needs at least {MIN_SIDE}")


def check_scans(jpeg: bytes, width: int, height: int, name: str) -> None:
    """Refuse a JPEG with so many scans that decoding takes minutes; ten are usual.

    The marker of a scan cannot occur within coded data, so counting markers is enough.

    Raises:
        ImageError: if scans x pixels is above `MAX_SCANNED`.
    """
    scans = jpeg.count(JPEG_SCAN)
    if scans * width * height > MAX_SCANNED:
        raise ImageError(f"{name} has {scans:,} scans of {width}x{height} pixels; that takes too long. Save it again as JPEG")
