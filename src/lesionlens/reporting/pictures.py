"""Embedded pictures: scaled down and encoded as data URIs within a byte budget."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from lesionlens.core.errors import ArtifactError, ImageError
from lesionlens.data.image import open_image
from lesionlens.data.index import Index
from lesionlens.data.store import Store

CASE_SIDE = 360
SHEET_SIDE = 3200
SHEET_BYTES = 1_200_000
QUALITIES = (85, 75, 60, 45)


@dataclass(frozen=True)
class Picture:
    """One embedded picture.

    Attributes:
        uri: the picture as a data URI.
        width: pixels.
        height: pixels.
    """

    uri: str
    width: int
    height: int


def embed(image: Image.Image, max_side: int, max_bytes: int) -> Picture:
    """Encode as JPEG with sides of at most `max_side` pixels and, where possible, at most `max_bytes` bytes.

    The quality is lowered first; then the size is halved until the file fits.
    """
    image = image.convert("RGB")
    image.thumbnail((max_side, max_side))
    while True:
        for quality in QUALITIES:
            encoded = _jpeg(image, quality)
            if len(encoded) <= max_bytes:
                return Picture(_data_uri(encoded), *image.size)
        if min(image.size) < 32:
            return Picture(_data_uri(encoded), *image.size)
        image = image.resize((image.width // 2, image.height // 2))


def embed_file(path: Path, max_side: int = SHEET_SIDE, max_bytes: int = SHEET_BYTES) -> Picture | None:
    """Embed the picture at `path`; None if there is no such file.

    Raises:
        ArtifactError: if the file is not a picture.
    """
    if not path.is_file():
        return None
    try:
        return embed(open_image(path), max_side, max_bytes)
    except ImageError as error:
        raise ArtifactError(f"{path} is not a readable picture ({error}); delete it and run its stage again") from error


def case_picture(image_id: str, index: Index, store: Store | None, max_bytes: int = 40_000) -> Picture | None:
    """The image of one case: the file that the index names, else the pixels in the store, else None."""
    path = index.image_path(index.by_id()[image_id])
    try:
        return embed(open_image(path), CASE_SIDE, max_bytes)
    except (ImageError, OSError):
        pass  # the file has moved; the store may still hold its pixels
    if store is None or image_id not in store.ids:
        return None
    return embed(Image.fromarray(store.images[int(store.rows([image_id])[0])]), CASE_SIDE, max_bytes)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality, optimize=True)
    return stream.getvalue()


def _data_uri(encoded: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(encoded).decode()
