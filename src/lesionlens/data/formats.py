"""Image formats, told by the first bytes of a file: content decides, never the name."""

from __future__ import annotations

import importlib.util

from PIL import features

from lesionlens.core.errors import ImageError
from lesionlens.data.dicom.header import is_dicom_head

HEAD_BYTES = 512
DICOM, HEIC, AVIF, JPEG_2000, JPEG_XL = "DICOM", "HEIC", "AVIF", "JPEG 2000", "JPEG XL"
KNOWN_FORMATS = ", ".join(("JPEG", "PNG", "TIFF", "BMP", "WEBP", "GIF", JPEG_2000, AVIF, HEIC, DICOM))
EXTENSIONS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif"),
    *(".jp2", ".j2k", ".j2c", ".jpc", ".jpx", ".jpf", ".avif", ".heic", ".heif", ".hif", ".jxl", ".dcm", ".dicom"),
)
STARTS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"\0\0\0\x0cjP  \r\n\x87\n": JPEG_2000,
    b"\xff\x4f\xff\x51": JPEG_2000,
    b"\0\0\0\x0cJXL \r\n\x87\n": JPEG_XL,
    b"\xff\x0a": JPEG_XL,
}
BRANDS = {
    AVIF: {b"avif", b"avis"},
    HEIC: {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"},
}
BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)
CAMERA = "or save it as JPEG (on an iPhone: Settings > Camera > Formats > Most Compatible)"


def format_of(head: bytes) -> str:
    """Name of the format of a file that begins with these bytes; empty if it is no known image.

    Args:
        head: the first `HEAD_BYTES` of it, or all if it has fewer.

    Example:
        >>> format_of(b"\\x89PNG\\r\\n\\x1a\\n...")
        'PNG'
        >>> format_of(b"\\0\\0\\0\\x18ftypheic\\0\\0\\0\\0mif1heic")
        'HEIC'
        >>> format_of(b"image,diagnosis")
        ''
    """
    for start, name in STARTS.items():
        if head.startswith(start):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        length = int.from_bytes(head[:4], "big")
        brands = {head[at : at + 4] for at in (8, *range(16, min(length, len(head)), 4))}
        return next((name for name, known in BRANDS.items() if brands & known), "")
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in BMP_HEADERS:
        return "BMP"
    return DICOM if is_dicom_head(head) else ""


def check_decodable(kind: str, name: str) -> None:
    """Refuse a format that cannot be decoded here.

    Args:
        kind: as `format_of` gives it.
        name: what to call the file.

    Raises:
        ImageError: naming the format and the remedy.
    """
    if kind == JPEG_XL:
        raise ImageError(f"{name} is a JPEG XL image, which is not read; save it as JPEG or PNG")
    if kind == HEIC and importlib.util.find_spec("pi_heif") is None:
        raise ImageError(
            f"{name} is a HEIC image, which needs pi-heif; install it with: pip install 'lesionlens[heif]', {CAMERA}"
        )
    codec = {AVIF: "avif", JPEG_2000: "jpg_2000"}.get(kind)
    if codec and not features.check(codec):
        raise ImageError(f"{name} is a {kind} image, which this Pillow was built without; save it as JPEG or PNG")
