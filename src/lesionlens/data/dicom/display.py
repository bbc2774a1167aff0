"""Stored values of a DICOM picture become 8-bit RGB, as the data set says they are to be shown (PS3.3 C.7.6.3, C.11).

Palettes, lookup tables and windows are pydicom's, applied once to every value that can be stored and not to
every pixel.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from lesionlens.core.errors import ImageError
from lesionlens.data.decoding_rules import DECODE_ERRORS
from lesionlens.data.dicom.codecs import Frame
from lesionlens.data.dicom.header import PALETTE, Header, tag_name
from lesionlens.data.dicom.pixels import GREY

WINDOWS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
DISPLAY_ERRORS = (*DECODE_ERRORS, AttributeError)


def to_rgb(frame: Frame, photometric: str, header: Header, name: str) -> Image.Image:
    """Show one picture.

    Colour and grey of more than 8 bits keep their highest 8, as in other formats; grey with a window or a lookup
    table is shown through the first one, and MONOCHROME1 is inverted.

    Args:
        frame: stored values.
        photometric: photometric interpretation of the data set.
        header: of the file.
        name: what to call the file in errors.

    Raises:
        ImageError: if a palette, lookup table or window is missing or wrong.
    """
    if photometric == "PALETTE COLOR":
        return Image.fromarray(_colours(frame.bits, header, name)[_table_index(frame)[:, :, 0]])
    if photometric in GREY:
        shades = _shades(frame.bits, header, name)[_table_index(frame)[:, :, 0]]
        return Image.fromarray(255 - shades if photometric == "MONOCHROME1" else shades).convert("RGB")
    shown = np.ascontiguousarray(_eight_bits(_table_index(frame), frame.bits))
    height, width = shown.shape[:2]
    mode = "YCbCr" if frame.is_ybr else "RGB"
    image = Image.frombuffer(mode, (width, height), shown, "raw", mode, 0, 1)
    return image.convert("RGB") if frame.is_ybr else image


def _eight_bits(values: np.ndarray, bits: int) -> np.ndarray:
    if bits >= 8:
        return np.asarray(values >> (bits - 8), np.uint8)
    return np.asarray(np.round(values * (255 / (2**bits - 1))), np.uint8)


def _table_index(frame: Frame) -> np.ndarray:
    # Bits above the stored ones may hold anything (once: overlays).
    full = 8 * frame.values.itemsize == frame.bits
    return frame.values if full else frame.values & frame.values.dtype.type(2**frame.bits - 1)


def _shades(bits: int, header: Header, name: str) -> np.ndarray:
    """What each stored value looks like, shape (2 ** bits,), uint8."""
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

    stored = np.arange(2**bits, dtype=np.uint16)
    elements = header.elements
    _check_window(header, name)
    try:
        elements.BitsStored, elements.PixelRepresentation = bits, 0
        elements.VOILUTFunction = _window_function(header, name)
        rescaled = apply_modality_lut(stored, elements)
        shown = apply_voi_lut(rescaled.astype(np.int64) if elements.get("VOILUTSequence") else rescaled, elements)
        if shown is stored or (shown is rescaled and "ModalityLUTSequence" not in elements):
            plain = _eight_bits(stored, bits)
            return plain if rescaled[-1] >= rescaled[0] else plain[::-1]
        darkest, brightest = _range(bits, header)
        return np.asarray(np.round(255 * np.clip((shown - darkest) / (brightest - darkest), 0, 1)), np.uint8)
    except DISPLAY_ERRORS:
        raise ImageError(f"{name} has a window or lookup table that cannot be applied; export it as JPEG") from None


def _range(bits: int, header: Header) -> tuple[float, float]:
    """Least and greatest value after the last lookup table, or after the rescale that a window keeps."""
    for keyword in ("VOILUTSequence", "ModalityLUTSequence"):
        if table := header.elements.get(keyword):
            return 0.0, 2.0 ** table[0].LUTDescriptor[2] - 1
    slope, intercept = (
        float(header.elements.get(keyword, default)) for keyword, default in (("RescaleSlope", 1), ("RescaleIntercept", 0))
    )
    return intercept, (2**bits - 1) * slope + intercept


def _window_function(header: Header, name: str) -> str:
    function = str(header.value("VOILUTFunction", name) or "LINEAR")
    if function not in WINDOWS:
        raise ImageError(
            f"{name}: VOI LUT Function {tag_name('VOILUTFunction')} is none of {', '.join(WINDOWS)}; export it as JPEG"
        )
    return function


def _check_window(header: Header, name: str) -> None:
    if header.value("RescaleSlope", name) == 0:
        raise ImageError(f"{name}: Rescale Slope {tag_name('RescaleSlope')} is 0; export it again")
    centre, width = header.value("WindowCenter", name), header.value("WindowWidth", name)
    if centre is None or width is None:
        for keyword in ("WindowCenter", "WindowWidth"):
            header.elements.pop(keyword, None)
        return
    least = width if isinstance(width, float) else min(width, default=0)
    if least <= 0 or (least < 1 and _window_function(header, name) == "LINEAR"):
        raise ImageError(
            f"{name}: Window Width {tag_name('WindowWidth')} is {least:g}; it must be above 0, and 1 or more if LINEAR. "
            "Export it as JPEG"
        )


def _colours(bits: int, header: Header, name: str) -> np.ndarray:
    """The colour of each index, shape (2 ** bits, 3), uint8 (PS3.3 C.7.6.3.1.5, C.7.6.3.1.6)."""
    from pydicom.pixels.processing import apply_color_lut

    try:
        if not header.little:
            for keyword in PALETTE[3:]:  # pydicom leaves these words as they are
                words = np.frombuffer(header.elements[keyword].value, ">u2")
                header.elements[keyword].value = words.astype("<u2").tobytes()
        colours = apply_color_lut(np.arange(2**bits, dtype=np.uint16), header.elements)[:, :3]
        depth = header.elements[PALETTE[0]].value[2]
    except DISPLAY_ERRORS:
        tags = f"{tag_name(PALETTE[0])} to {tag_name(PALETTE[-1])}"
        raise ImageError(f"{name}: its palette {tags} is missing or damaged; export it as JPEG") from None
    return np.asarray(colours >> 8 if depth == 16 and colours.dtype == np.uint16 else colours, np.uint8)
