"""Images that Python and a browser must prepare alike: drawn lesions in every format and geometry that both read."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from lesionlens.core.seeds import generator
from lesionlens.synthetic.photo import Lesion, take_photo

ORIENTATION = 0x0112
CODES = ("mel", "nv", "bcc", "akiec", "bkl", "df", "vasc")
SIZES = ((600, 450), (450, 600), (601, 449), (224, 224), (640, 97), (97, 640), (1023, 769), (1600, 1200), (64, 64), (192, 192))


def drawn(number: int, size: tuple[int, int] = (600, 450)) -> Image.Image:
    """A drawn photograph of a lesion."""
    lesion = Lesion(7, f"lesion-{number}", CODES[number % len(CODES)])
    return take_photo(lesion, number, *size)[0]


def parity_images(folder: Path) -> list[Path]:
    """Write the images, more than 50, and return their paths."""
    paths = []
    for name, data in _images():
        path = folder / name
        path.write_bytes(data)
        paths.append(path)
    return paths


def _images() -> Iterator[tuple[str, bytes]]:
    for number, size in enumerate(SIZES):
        yield f"size-{size[0]}x{size[1]}.jpg", _saved(drawn(number, size), "JPEG", quality=90)
    for number in range(12):
        yield f"diagnosis-{number}.jpg", _saved(drawn(20 + number), "JPEG", quality=85)
    for orientation in range(1, 9):
        for kind, suffix in (("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp")):
            if kind == "JPEG" or orientation in (3, 6):
                yield f"turned-{orientation}.{suffix}", _turned(drawn(40 + orientation, (301, 200)), orientation, kind)
    for number, (name, save) in enumerate(KINDS.items()):
        yield name, save(drawn(60 + number, (320, 241)))
    yield "flat.png", _saved(Image.new("RGB", (300, 200), (128, 90, 80)), "PNG")  # no lesion: refused by the gate
    yield "noise.png", _saved(Image.fromarray(generator(1, "noise").integers(0, 256, (233, 311, 3), dtype=np.uint8)), "PNG")


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _turned(image: Image.Image, orientation: int, kind: str) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return _saved(image, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))


def _with_alpha(image: Image.Image) -> Image.Image:
    alpha = Image.linear_gradient("L").resize(image.size)
    image.putalpha(alpha)
    return image


def _deep_png(image: Image.Image) -> bytes:
    """Grey with 16 bits, whose low byte differs from its high one."""
    grey = np.asarray(image.convert("L")).astype(np.uint16)
    return _saved(Image.fromarray(grey * 256 + (255 - grey)), "PNG")


def _with_xmp(image: Image.Image) -> bytes:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="8"/></x:xmpmeta>'
    return _saved(image, "JPEG", quality=92, xmp=xmp)


def _srgb_profile(image: Image.Image) -> bytes:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return _saved(image, "JPEG", quality=92, icc_profile=profile)


KINDS: dict[str, Callable[[Image.Image], bytes]] = {
    "plain.png": lambda image: _saved(image, "PNG"),
    "grey.png": lambda image: _saved(image.convert("L"), "PNG"),
    "palette.png": lambda image: _saved(image.quantize(64), "PNG"),
    "alpha.png": lambda image: _saved(_with_alpha(image), "PNG"),
    "deep.png": _deep_png,
    "grey.jpg": lambda image: _saved(image.convert("L"), "JPEG", quality=90),
    "full-colour.jpg": lambda image: _saved(image, "JPEG", quality=95, subsampling=0),
    "half-colour.jpg": lambda image: _saved(image, "JPEG", quality=88, subsampling=1),
    "progressive.jpg": lambda image: _saved(image, "JPEG", quality=80, progressive=True),
    "xmp.jpg": _with_xmp,
    "srgb-profile.jpg": _srgb_profile,
    "lossless.webp": lambda image: _saved(image, "WEBP", lossless=True),
    "lossy.webp": lambda image: _saved(image, "WEBP", quality=85),
    "plain.bmp": lambda image: _saved(image, "BMP"),
    "still.gif": lambda image: _saved(image.quantize(128), "GIF"),
}
