"""What holds for decoding images of every format: how large and how small they may be, and how decoders fail."""

from __future__ import annotations

import struct
import zlib

from PIL import Image

from lesionlens.core.errors import ImageError

MAX_PIXELS = 50_000_000
MIN_SIDE = 32
# All that Pillow's readers are known to raise on damaged bytes; anything else is a bug to be seen.
DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    LookupError,
    TypeError,
    EOFError,
    ArithmeticError,
    NotImplementedError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


def check_size(width: int, height: int, name: str, max_pixels: int) -> None:
    """Refuse a size that a header states, before anything is decoded.

    Raises:
        ImageError: if width x height is above `max_pixels`, or the shorter side below `MIN_SIDE`.
    """
    if width * height > max_pixels:
        raise ImageError(f"{name} has {width}x{height} pixels; the most is {max_pixels:,}. Scale the image down first")
    if min(width, height) < MIN_SIDE:
        raise ImageError(f"{name} has {width}x{height} pixels; the shorter side needs at least {MIN_SIDE}")
