"""Stored values of a DICOM picture become 8-bit RGB, as the data set says they are to be shown (PS3.3 C.7.6.3, C.11)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image

from lesionlens.core.errors import ImageError
from lesionlens.data.dicom.codecs import Frame
from lesionlens.data.dicom.elements import tag_name

WINDOW_CENTRE, WINDOW_WIDTH, INTERCEPT, SLOPE, WINDOW_FUNCTION = 0x00281050, 0x00281051, 0x00281052, 0x00281053, 0x00281056
MODALITY_LUT, VOI_LUT = 0x00283000, 0x00283010
PALETTES = ((0x00281101, 0x00281201), (0x00281102, 0x00281202), (0x00281103, 0x00281203))
DISPLAY_TAGS = (
    *(WINDOW_CENTRE, WINDOW_WIDTH, INTERCEPT, SLOPE, WINDOW_FUNCTION, MODALITY_LUT, VOI_LUT),
    *(tag for palette in PALETTES for tag in palette),
)
GREY = ("MONOCHROME1", "MONOCHROME2")


def to_rgb(frame: Frame, photometric: str, values: Mapping[int, bytes], little: bool, name: str) -> Image.Image:
    """Show one picture.

    Colour and grey of more than 8 bits keep their highest 8, as in other formats; grey with a window is shown
    through the first one, and MONOCHROME1 is inverted.

    Args:
        frame: stored values.
        photometric: photometric interpretation of the data set.
        values: bytes of the elements in `DISPLAY_TAGS` that there are.
        little: byte order of `values`.
        name: what to call the file in errors.

    Raises:
        ImageError: if a palette or window is missing or wrong.
    """
    if photometric == "PALETTE COLOR":
        return Image.fromarray(_through_palette(frame, values, little, name))
    if photometric in GREY:
        shades = _shades(frame, values, name)[_table_index(frame)][:, :, 0]
        return Image.fromarray(255 - shades if photometric == "MONOCHROME1" else shades).convert("RGB")
    shown = np.ascontiguousarray(_eight_bits(frame))
    height, width = shown.shape[:2]
    image = Image.frombuffer(
        "YCbCr" if frame.is_ybr else "RGB", (width, height), shown, "raw", "YCbCr" if frame.is_ybr else "RGB", 0, 1
    )
    return image.convert("RGB") if frame.is_ybr else image.copy()


def _eight_bits(frame: Frame) -> np.ndarray:
    values = _table_index(frame)
    if frame.bits > 8:
        return np.asarray(values >> (frame.bits - 8), np.uint8)
    if frame.bits < 8:
        return np.asarray(np.round(values * (255 / (2**frame.bits - 1))), np.uint8)
    return np.asarray(values, np.uint8)


def _table_index(frame: Frame) -> np.ndarray:
    # Bits above the stored ones may hold anything (once: overlays).
    full = 8 * frame.values.itemsize == frame.bits
    return frame.values if full else frame.values & frame.values.dtype.type(2**frame.bits - 1)


def _shades(frame: Frame, values: Mapping[int, bytes], name: str) -> np.ndarray:
    """What each stored value looks like, shape (2 ** bits,), uint8."""
    for tag in (MODALITY_LUT, VOI_LUT):
        if tag in values:
            raise ImageError(f"{name} is shown through a lookup table {tag_name(tag)}, which is not read; export it as JPEG")
    stored = np.arange(2**frame.bits, dtype=np.float64)
    slope, intercept = _number(values, SLOPE, 1.0, name), _number(values, INTERCEPT, 0.0, name)
    if slope == 0:
        raise ImageError(f"{name}: Rescale Slope {tag_name(SLOPE)} is 0; export it again")
    if WINDOW_CENTRE in values and WINDOW_WIDTH in values:
        return _windowed(stored * slope + intercept, values, name)
    plain = _eight_bits(Frame(np.arange(2**frame.bits, dtype=np.uint16), frame.bits, False))
    return plain if slope > 0 else plain[::-1]


def _windowed(rescaled: np.ndarray, values: Mapping[int, bytes], name: str) -> np.ndarray:
    function = _text(values.get(WINDOW_FUNCTION, b"")) or "LINEAR"
    if function not in WINDOWS:
        raise ImageError(
            f"{name}: VOI LUT Function {tag_name(WINDOW_FUNCTION)} is none of {', '.join(WINDOWS)}; export it as JPEG"
        )
    centre, width = _number(values, WINDOW_CENTRE, 0.0, name), _number(values, WINDOW_WIDTH, 0.0, name)
    if width < 1 if function == "LINEAR" else width <= 0:
        raise ImageError(f"{name}: Window Width {tag_name(WINDOW_WIDTH)} is {width:g}; it must be above 0. Export it as JPEG")
    return np.round(255 * WINDOWS[function](rescaled, centre, width)).astype(np.uint8)


def _linear(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    # PS3.3 C.11.2.1.2.1; a width of 1 is a step.
    if width == 1:
        return (values > centre - 0.5).astype(np.float64)
    return np.clip((values - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)


def _linear_exact(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    return np.clip((values - centre) / width + 0.5, 0, 1)  # PS3.3 C.11.2.1.3.2


def _sigmoid(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    return 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -700, 700)))  # PS3.3 C.11.2.1.3.1


WINDOWS: dict[str, Callable[[np.ndarray, float, float], np.ndarray]] = {
    "LINEAR": _linear,
    "LINEAR_EXACT": _linear_exact,
    "SIGMOID": _sigmoid,
}


def _through_palette(frame: Frame, values: Mapping[int, bytes], little: bool, name: str) -> np.ndarray:
    """Colours of indices (PS3.3 C.7.6.3.1.5, C.7.6.3.1.6)."""
    index = _table_index(frame)[:, :, 0].astype(np.int64)
    channels = []
    for descriptor_tag, data_tag in PALETTES:
        entries, first, table = _palette(values.get(descriptor_tag, b""), values.get(data_tag, b""), little)
        if not entries or len(table) < entries:
            raise ImageError(f"{name}: its palette {tag_name(descriptor_tag)} or {tag_name(data_tag)} is missing or short")
        channels.append(table[np.clip(index - first, 0, entries - 1)])
    return np.stack(channels, axis=-1)


def _palette(descriptor: bytes, data: bytes, little: bool) -> tuple[int, int, np.ndarray]:
    """Number of entries, first index, and the entries as 8 bits; 0 entries if it is not readable."""
    order = "<u2" if little else ">u2"
    if len(descriptor) != 6:
        return 0, 0, np.empty(0, np.uint8)
    entries, first, bits = (int(number) for number in np.frombuffer(descriptor, order))
    entries = entries or 65_536
    if bits == 8 and len(data) < 2 * entries:
        return entries, first, _bytes(data, little)
    if bits not in (8, 16) or len(data) % 2:
        return 0, 0, np.empty(0, np.uint8)
    table = np.frombuffer(data, order)
    return entries, first, (table >> 8 if bits == 16 else table).astype(np.uint8)


def _bytes(data: bytes, little: bool) -> np.ndarray:
    # 8-bit entries are packed two to a word (OW).
    table = np.frombuffer(data[: len(data) // 2 * 2], "<u2" if little else ">u2")
    return np.frombuffer(table.astype("<u2").tobytes(), np.uint8)


def _number(values: Mapping[int, bytes], tag: int, default: float, name: str) -> float:
    """The first number of a decimal string."""
    text = _text(values.get(tag, b"")).split("\\")[0]
    if not text:
        return default
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or abs(number) > 1e9:
        raise ImageError(f"{name}: element {tag_name(tag)} is no number; export it again")
    return number


def _text(value: bytes) -> str:
    return value.decode("ascii", "replace").strip(" \0")
