"""Pixels of every kind become 8-bit sRGB: embedded colour profiles are applied, transparency is laid on white.

Whatever changes colours, or is assumed about them, gives a note.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

from lesionlens.core.errors import ImageError
from lesionlens.data.decoding_rules import DECODE_ERRORS

WHITE = (255, 255, 255, 255)
PROFILE_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
NOT_VISIBLE = 2  # grey levels: a profile that changes no colour by more is sRGB
CACHED_PROFILE_BYTES = 1 << 16
PHOTOMETRIC_TAG, WHITE_IS_ZERO = 262, 0
INTEROPERABILITY, INTEROPERABILITY_INDEX, ADOBE_RGB_BY_EXIF = 0xA005, 1, "R03"
SRGB_GAMMA, SRGB_PRIMARIES = 1 / 2.2, (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
BT_709, UNSPECIFIED = 1, 2  # colour primaries (ITU-T H.273)

ON_WHITE = "transparent pixels were laid on white"
PROFILE_DAMAGED = "the embedded colour profile is damaged; colours were taken as sRGB"
PROFILE_UNFIT = "the embedded colour profile is for pixels of another kind; colours were taken as sRGB"
NO_PROFILE = "colours are tagged as other than sRGB, but no profile is embedded; they were taken as sRGB"
CMYK_BY_FORMULA = "CMYK without a colour profile was converted by the simple formula"
LAB_CONVERTED = "colours were converted to sRGB from CIELAB"


class Colours(NamedTuple):
    """An image and what there is to say about its colours."""

    image: Image.Image
    notes: tuple[str, ...] = ()


def to_srgb(image: Image.Image, name: str, profile: bytes = b"") -> Colours:
    """Convert an image of any mode to RGB.

    An image that is RGB already and has no profile, or one that is sRGB's, keeps every byte. 16 bits keep
    their high byte. What is transparent is laid on white rather than refused: a transparent margin is common in
    exported crops, and white is what viewers show; a note says so.

    Args:
        image: decoded by Pillow; may be changed.
        name: what to call it in errors.
        profile: ICC profile.

    Raises:
        ImageError: if it has 32-bit pixels.
    """
    if image.mode == "RGB" and not profile and "transparency" not in image.info:
        return Colours(image.copy() if image.readonly else image)
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        image = _high_byte(image)
    if image.mode in ("I", "F"):
        raise ImageError(f"{name} has 32-bit pixels, whose white is unknown; save it with 8 or 16 bits per channel")
    if not image.has_transparency_data:
        return _opaque(image, profile)
    alpha = image.convert("RGBA").getchannel("A")
    colours = _opaque(image.convert("L" if image.mode in ("LA", "La") else "RGBA"), profile)
    if alpha.getextrema() == (255, 255):
        return colours
    colours.image.putalpha(alpha)
    ground = Image.new("RGBA", image.size, WHITE)
    return Colours(Image.alpha_composite(ground, colours.image).convert("RGB"), (*colours.notes, ON_WHITE))


def untagged_notes(image: Image.Image) -> tuple[str, ...]:
    """Whether an image without a profile says otherwise that its colours are not sRGB."""
    return (NO_PROFILE,) if any(_tags_of_other_colours(image)) else ()


def _tags_of_other_colours(image: Image.Image) -> Iterator[bool]:
    try:
        yield image.getexif().get_ifd(INTEROPERABILITY).get(INTEROPERABILITY_INDEX) == ADOBE_RGB_BY_EXIF
    except DECODE_ERRORS:
        yield False
    if image.format == "PNG" and "srgb" not in image.info:
        yield abs(image.info.get("gamma", SRGB_GAMMA) - SRGB_GAMMA) > 0.02
        primaries = image.info.get("chromaticity", SRGB_PRIMARIES)
        yield max(abs(one - other) for one, other in zip(primaries, SRGB_PRIMARIES, strict=True)) > 0.01
    yield image.info.get("nclx_profile", {}).get("color_primaries", BT_709) not in (BT_709, UNSPECIFIED)


def _opaque(image: Image.Image, profile: bytes) -> Colours:
    if image.mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        return Colours(_converted(image, ImageCms.buildTransform(lab, _srgb(), "LAB", "RGB")), (LAB_CONVERTED,))
    if image.mode not in PROFILE_MODES.values():
        image = image.convert("RGB")
    if profile:
        return apply_profile(image, profile)
    return Colours(image.convert("RGB"), (CMYK_BY_FORMULA,) if image.mode == "CMYK" else ())


def apply_profile(image: Image.Image, profile: bytes) -> Colours:
    """Convert from a colour profile to sRGB; one that cannot be used is noted, and colours are taken as they are.

    Args:
        image: RGB, L or CMYK.
        profile: ICC profile.
    """
    conversion = (_cached_conversion if len(profile) <= CACHED_PROFILE_BYTES else _conversion)(profile)
    if isinstance(conversion, str):
        return Colours(image.convert("RGB"), (conversion,))
    if image.mode == "L" and conversion.mode == "RGB":
        image = image.convert("RGB")
    if image.mode != conversion.mode:
        return Colours(image.convert("RGB"), (PROFILE_UNFIT,))
    if conversion.is_srgb:
        return Colours(image.convert("RGB"))
    note = f"colours were converted to sRGB from the embedded profile {conversion.name}"
    return Colours(_converted(image, conversion.transform), (note,))


class _Conversion(NamedTuple):
    name: str
    mode: str
    transform: ImageCms.ImageCmsTransform
    is_srgb: bool


def _conversion(profile: bytes) -> _Conversion | str:
    """How to convert from a profile to sRGB, or the note on why that cannot be done."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = PROFILE_MODES.get(source.profile.xcolor_space.strip())
        if mode is None:
            return PROFILE_UNFIT
        transform = ImageCms.buildTransform(
            source,
            _srgb(),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        name = re.sub(r"[^A-Za-z0-9 ().,_+-]", "", source.profile.profile_description or "")[:40].strip()
        return _Conversion(name or "without a name", mode, transform, _is_srgb(mode, transform))
    except (ImageCms.PyCMSError, *DECODE_ERRORS):
        return PROFILE_DAMAGED


_cached_conversion = lru_cache(maxsize=8)(_conversion)


def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _is_srgb(mode: str, transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether a transform leaves a grid of colours as they are."""
    if mode == "CMYK":
        return False
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    axes = np.meshgrid(*[steps] * 3) if mode == "RGB" else [np.arange(256, dtype=np.uint8)]
    grid = np.stack(axes, axis=-1).reshape(1, -1, len(axes))
    image = Image.fromarray(grid if mode == "RGB" else grid[:, :, 0])
    expected = np.asarray(image.convert("RGB")).astype(int)
    return bool(np.abs(np.asarray(_converted(image, transform)).astype(int) - expected).max() <= NOT_VISIBLE)


def _converted(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None
    return converted


def _high_byte(image: Image.Image) -> Image.Image:
    # Pillow itself keeps the high byte of 16-bit colour, so grey and colour agree.
    grey = np.clip(np.asarray(image).astype(np.int64) >> 8, 0, 255).astype(np.uint8)
    tags = getattr(image, "tag_v2", {})
    return Image.fromarray(255 - grey if tags.get(PHOTOMETRIC_TAG) == WHITE_IS_ZERO else grey)
