"""Heat maps as pictures: alone and transparent, or over their image."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from lesionlens.bundle.colours import colourise
from lesionlens.bundle.overlay import FADE, Part, overlay, spread

LONGEST_SIDE = 1024


def fitted(size: tuple[int, int], longest: int = LONGEST_SIDE) -> tuple[int, int]:
    """Width and height of the same shape with no side longer than `longest`."""
    share = min(1.0, longest / max(size))
    return max(1, round(size[0] * share)), max(1, round(size[1] * share))


def map_png(map_: np.ndarray, part: Part, size: tuple[int, int], limit: float) -> Image.Image:
    """A heat map alone, for a page that lays it over the image.

    Args:
        map_: raw, float32 (h, w).
        part: of the image that the map covers.
        size: width and height of the whole image, pixels; the picture has the same shape and at most 1024 pixels a side.
        limit: raw value of the highest colour.

    Returns:
        RGBA, transparent where there is no evidence and outside of what the network sees.
    """
    values = np.nan_to_num(spread(map_, part, *fitted(size)), nan=0.0)
    shares = values / limit if limit > 0 else np.zeros_like(values)
    alpha = np.rint(255 * np.clip(shares / FADE, 0, 1)).astype(np.uint8)
    return Image.fromarray(np.dstack([colourise(shares), alpha]))


def overlay_png(image: Image.Image, map_: np.ndarray, part: Part, title: str, limit: float) -> Image.Image:
    """A heat map blended onto its image, with title and colour bar; see `map_png`."""
    size = fitted(image.size)
    small = np.asarray(image if image.size == size else image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
    return overlay(small, spread(map_, part, *size), title, limit)


def png(image: Image.Image) -> bytes:
    """The bytes of a PNG file, compressed for speed rather than size."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()
