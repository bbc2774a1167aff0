"""Heat maps over images, with a colour bar in the map's own units; NumPy and Pillow only.

A map is never stretched to its own maximum without saying so: the colour bar carries raw values,
and several maps can share one scale, so that weak evidence looks weak.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lesionlens.bundle.colours import colourise
from lesionlens.core.errors import DataError
from lesionlens.data.image import InputSpec

OPACITY = 0.55
UNIT = "colour: what a cell adds to the logit"
NOTHING = "no evidence for this class"
FADE = 0.25  # below this share of the scale the map fades out, so that no evidence leaves the image as it is
SHORTEST_SIDE = 320
MARGIN, BAR_WIDTH, TEXT_SIZE = 10, 16, 15
INK, PAPER, BAR_GROUND = (30, 30, 30), (255, 255, 255), 205


def enlarge(map_: np.ndarray, width: int, height: int) -> np.ndarray:
    """Interpolate a map (h, w) bilinearly to float32 (height, width), cell centres on cell centres.

    Raises:
        DataError: if the map is not two-dimensional, or holds NaN or infinity.
    """
    if map_.ndim != 2 or not np.isfinite(map_).all():
        raise DataError(f"a map of shape {map_.shape} cannot be drawn; it must be (h, w) and finite. Explain the image again")
    picture = Image.fromarray(np.ascontiguousarray(map_, dtype=np.float32))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))


Part = tuple[float, float, float, float]
"""Left, top, width and height as shares of an image's width and height."""


def seen_part(spec: InputSpec, size: tuple[int, int]) -> Part:
    """Which part of an image of this width and height the network sees, and its maps cover."""
    if spec.resize == "squash":
        across = down = spec.size / spec.frame
    else:
        across, down = (min(size) / side * spec.size / spec.frame for side in size)
    return (1 - across) / 2, (1 - down) / 2, across, down


def spread(map_: np.ndarray, part: Part, width: int, height: int) -> np.ndarray:
    """Lay a map where the network looked on an image of another size.

    Args:
        map_: (h, w), of what the network saw.
        part: of the image that the network saw; its middle is the image's.
        width: of the image, pixels.
        height: likewise.

    Returns:
        float32 (height, width); NaN where the network did not look, because it was cut off.
    """
    inner = (max(1, round(width * part[2])), max(1, round(height * part[3])))
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    found = np.full((height, width), np.nan, dtype=np.float32)
    found[top : top + inner[1], left : left + inner[0]] = enlarge(map_, *inner)
    return found


def blend(image: np.ndarray, values: np.ndarray, limit: float, opacity: float = OPACITY) -> np.ndarray:
    """Colour an image by values.

    Args:
        image: uint8 (H, W, 3).
        values: raw, (H, W); NaN leaves the image as it is.
        limit: the value of the highest colour; if it is not positive, nothing is coloured.
        opacity: of the colours, from 0 (the image alone) to 1 (the colours alone).

    Returns:
        uint8 (H, W, 3).

    Raises:
        DataError: if the shapes differ or `opacity` is out of range.
    """
    if image.shape[:2] != values.shape:
        raise DataError(f"an image of shape {image.shape} and values of shape {values.shape}; height and width must be the same")
    if not 0 <= opacity <= 1:
        raise DataError(f"opacity {opacity}; it must be from 0 (the image alone) to 1 (the colours alone)")
    shares = np.nan_to_num(values, nan=0.0) / limit if limit > 0 else np.zeros(values.shape)
    weight = opacity * np.clip(shares / FADE, 0, 1)[..., None]
    return np.rint(image * (1 - weight) + colourise(shares) * weight).astype(np.uint8)


def nice_ticks(limit: float, most: int = 5) -> tuple[float, ...]:
    """Round numbers from 0 to at most `limit`, in at most `most` (3 or more) steps of 1, 2 or 5 times a power of ten."""
    if not limit > 0:
        return (0.0,)
    power = 10.0 ** math.floor(math.log10(limit / most))
    step = next(factor * power for factor in (1, 2, 5, 10, 20) if limit / (factor * power) <= most)
    return tuple(step * number for number in range(int(limit / step + 1e-9) + 1))


def font(size: int = TEXT_SIZE) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font that comes with Pillow, so that a picture looks the same everywhere."""
    return ImageFont.load_default(size)


def colour_bar(height: int, limit: float, opacity: float = OPACITY, size: int = TEXT_SIZE) -> Image.Image:
    """A vertical colour bar with raw values beside it.

    Args:
        height: of the bar, pixels.
        limit: raw value at its top.
        opacity: as in `blend`, so that the bar shows the colours of the overlay.
        size: of the numbers, pixels.
    """
    letters = font(size)
    ticks = nice_ticks(limit, most=max(3, min(5, height // (3 * size))))
    texts = [f"{tick:.6g}" for tick in ticks]
    width = BAR_WIDTH + 8 + math.ceil(max(letters.getlength(text) for text in texts))
    bar = Image.new("RGB", (width, height + size), PAPER)
    ramp = np.linspace(max(limit, 0), 0, height)[:, None].repeat(BAR_WIDTH, axis=1)
    ground = np.full((height, BAR_WIDTH, 3), BAR_GROUND, dtype=np.uint8)
    bar.paste(Image.fromarray(blend(ground, ramp, limit, opacity)), (0, size // 2))
    draw = ImageDraw.Draw(bar)
    draw.rectangle((0, size // 2, BAR_WIDTH - 1, size // 2 + height - 1), outline=INK)
    for tick, text in zip(ticks, texts, strict=True):
        y = size // 2 + (height - 1) * (1 - (tick / limit if limit > 0 else 0))
        draw.line((BAR_WIDTH, y, BAR_WIDTH + 4, y), fill=INK)
        draw.text((BAR_WIDTH + 7, y), text, fill=INK, font=letters, anchor="lm")
    return bar


@dataclass(frozen=True)
class Caption:
    """What is written around an overlay.

    Attributes:
        title: the class that the map is of, for example `Melanoma (mel), probability 0.83`.
        unit: what a value of the map means.
    """

    title: str
    unit: str = UNIT


def overlay(
    image: np.ndarray, map_: np.ndarray, caption: Caption | str, limit: float | None = None, opacity: float = OPACITY
) -> Image.Image:
    """Draw a map over an image, with the class named and a colour bar in raw units.

    Args:
        image: uint8 (H, W, 3).
        map_: raw map, (h, w), stretched over the whole image; or (H, W) from `spread`, NaN where
            the network did not look.
        caption: the class named, and the unit.
        limit: raw value of the highest colour, so that several maps share a scale; the map's own
            maximum if None.
        opacity: of the colours, from 0 to 1.

    Raises:
        DataError: if the map cannot be drawn.
    """
    caption = Caption(caption) if isinstance(caption, str) else caption
    height, width = image.shape[:2]
    values = map_ if map_.shape == (height, width) else enlarge(map_, width, height)
    limit = float(np.nanmax(values, initial=0.0)) if limit is None else limit
    picture = Image.fromarray(blend(image, values, limit, opacity))
    scale = max(1.0, SHORTEST_SIDE / min(width, height))
    picture = picture.resize((round(width * scale), round(height * scale)), Image.Resampling.BICUBIC)
    unit = caption.unit if limit > 0 else NOTHING
    return _framed(picture, Caption(caption.title, unit), colour_bar(picture.height, limit, opacity))


def _framed(picture: Image.Image, caption: Caption, bar: Image.Image) -> Image.Image:
    letters, line = font(), TEXT_SIZE + 8
    inner = picture.width + MARGIN + bar.width
    width = 2 * MARGIN + max(inner, *(math.ceil(letters.getlength(text)) for text in (caption.title, caption.unit)))
    top = MARGIN + line
    canvas = Image.new("RGB", (width, top + picture.height + line + MARGIN), PAPER)
    canvas.paste(picture, (MARGIN, top))
    canvas.paste(bar, (2 * MARGIN + picture.width, top - TEXT_SIZE // 2))
    draw = ImageDraw.Draw(canvas)
    draw.text((MARGIN, MARGIN), caption.title, fill=INK, font=letters)
    draw.text((MARGIN + inner, top + picture.height + MARGIN), caption.unit, fill=INK, font=letters, anchor="ra")
    return canvas
