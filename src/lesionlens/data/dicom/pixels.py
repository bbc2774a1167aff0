"""The pixel module (PS3.3 C.7.6.3) of a DICOM header, checked before anything is decoded."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, replace

from lesionlens.core.errors import ImageError
from lesionlens.data.dicom.header import ACQUISITION, FLOAT_PIXEL_DATA, SPACING, UNDEFINED, Header, PixelElement, tag_name

GREY = ("MONOCHROME1", "MONOCHROME2")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
SAMPLES_OF = {**dict.fromkeys((*GREY, "PALETTE COLOR"), 1), **dict.fromkeys(COLOUR, 3)}
MAX_FRAMES = 100_000
SPACINGS_MM = (1e-4, 10.0)  # of photographs, from a microscope to a whole body
PLAIN_VALUE = re.compile(r"[A-Z0-9_ ]{1,16}|[0-9.]{1,12}")  # a code string or a number
NOT_SUBSAMPLED = "pixels are labelled YBR_FULL_422, but their length is that of RGB; they were taken as RGB"
NO_SPACING = "the pixel spacing (0028,0030) is not usable, so there is no scale"


@dataclass(frozen=True)
class PixelModule:
    """How the pixels are stored.

    Attributes:
        rows: height, pixels.
        columns: width, pixels.
        samples: 1 or 3 in each pixel.
        photometric: photometric interpretation.
        planar: whether samples of native pixels are stored plane by plane.
        frames: number of pictures.
        bits_allocated: 8 or 16 of each sample.
        bits_stored: of these in use, the lowest.
    """

    rows: int
    columns: int
    samples: int
    photometric: str
    planar: bool
    frames: int
    bits_allocated: int
    bits_stored: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns, samples."""
        return self.rows, self.columns, self.samples

    @property
    def native_bytes(self) -> int:
        """Size of all frames without compression."""
        values = self.rows * self.columns * (2 if self.photometric == "YBR_FULL_422" else self.samples)
        return self.frames * values * self.bits_allocated // 8


def pixel_element(header: Header, name: str) -> PixelElement:
    """Where the pixels are.

    Raises:
        ImageError: if there are none, or they are of floating point.
    """
    if header.pixels is None:
        raise ImageError(
            f"{name} is a DICOM file without pixels or cut short before them; export it with its Pixel Data (7FE0,0010)"
        )
    if header.pixels.tag in FLOAT_PIXEL_DATA:
        raise ImageError(f"{name} has floating-point pixels; those of a photograph are whole numbers")
    return header.pixels


def pixel_module(header: Header, name: str) -> tuple[PixelModule, tuple[str, ...]]:
    """Read and check the pixel module.

    Returns:
        The module, and notes on what its labels get wrong.

    Raises:
        ImageError: if a value is missing, not supported, or contradicts another.
    """
    keywords = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored")
    rows, columns, samples, allocated, stored = (_whole(header, keyword, name) for keyword in keywords)
    label = re.sub(r"[^A-Z0-9_ ]", "?", str(header.value("PhotometricInterpretation", name) or "")[:16].strip())
    planar = bool(_whole(header, "PlanarConfiguration", name, 0)) and samples > 1
    module = PixelModule(rows, columns, samples, label, planar, _frames(header, name), allocated, stored)
    _check_samples(module, name)
    _check_bits(module, _whole(header, "HighBit", name, stored - 1), name)
    if _whole(header, "PixelRepresentation", name, 0):
        raise ImageError(f"{name} has signed pixels {tag_name('PixelRepresentation')}; those of a photograph are not")
    return _without_wrong_label(module, header, name)


def acquisition(header: Header, name: str) -> dict[str, str]:
    """How the picture was taken: those of polarization, contact, immersion and magnification that are known.

    Only code strings and numbers are passed on, so that nothing else can hide in these elements.
    """
    found: dict[str, str] = {}
    for key, keyword in ACQUISITION.items():
        value = header.value(keyword, name)
        texts = [str(part) for part in ([value] if isinstance(value, str | int | float) else value or ())]
        if texts and all(PLAIN_VALUE.fullmatch(text) for text in texts):
            found[key] = ", ".join(texts)
    return found


def pixel_spacing(header: Header, name: str) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """Millimetres between rows and between columns (PS3.3 10.7.1.1).

    Returns:
        The spacing, None if there is none or none that a photograph can have; and a note in the second case.
    """
    least, most = SPACINGS_MM
    try:
        value = header.value(SPACING, name)
        if value is None:
            return None, ()
        rows, columns = (float(part) for part in value)
    except (ImageError, TypeError, ValueError):  # the pixels are none the worse for it
        return None, (NO_SPACING,)
    usable = least <= rows <= most and least <= columns <= most  # NaN is not
    return ((rows, columns), ()) if usable else (None, (NO_SPACING,))


def _whole(header: Header, keyword: str, name: str, default: int | None = None) -> int:
    value = header.value(keyword, name)
    if isinstance(value, int):
        return int(value)
    if value is not None or default is None:
        raise ImageError(
            f"{name} does not say {tag_name(keyword)} as it must; it is a DICOM file that is damaged. Export it again"
        )
    return default


def _frames(header: Header, name: str) -> int:
    frames = _whole(header, "NumberOfFrames", name, 1)
    if not 1 <= frames <= MAX_FRAMES:
        raise ImageError(
            f"{name}: number of frames {tag_name('NumberOfFrames')} is {frames}; it must be from 1 to {MAX_FRAMES:,}. "
            "Export it again"
        )
    return frames


def _check_samples(module: PixelModule, name: str) -> None:
    samples = SAMPLES_OF.get(module.photometric)
    if samples is None:
        raise ImageError(
            f"{name}: photometric interpretation {tag_name('PhotometricInterpretation')} {module.photometric!r} is not read; "
            f"it must be one of {', '.join(SAMPLES_OF)}"
        )
    if module.samples != samples:
        raise ImageError(
            f"{name}: {module.photometric} has {samples} samples a pixel, but {tag_name('SamplesPerPixel')} says {module.samples}"
        )


def _check_bits(module: PixelModule, high_bit: int, name: str) -> None:
    if module.bits_allocated not in (8, 16):
        raise ImageError(
            f"{name} has {module.bits_allocated} bits a sample {tag_name('BitsAllocated')}; it must have 8 or 16. Export it again"
        )
    if not 1 <= module.bits_stored <= module.bits_allocated or high_bit != module.bits_stored - 1:
        raise ImageError(
            f"{name}: {module.bits_stored} bits stored {tag_name('BitsStored')}, highest {high_bit} {tag_name('HighBit')}, "
            f"of {module.bits_allocated}; they must be the lowest ones. Export it again"
        )


def _without_wrong_label(module: PixelModule, header: Header, name: str) -> tuple[PixelModule, tuple[str, ...]]:
    """Of native pixels, take YBR_FULL_422 for RGB where there are three bytes for each pixel and not two."""
    native = header.pixels is not None and header.pixels.length != UNDEFINED
    if module.photometric != "YBR_FULL_422" or not native:
        return module, ()
    assert header.pixels is not None
    as_rgb = replace(module, photometric="RGB")
    if header.pixels.length in (as_rgb.native_bytes, as_rgb.native_bytes + as_rgb.native_bytes % 2):
        return as_rgb, (NOT_SUBSAMPLED,)
    if module.columns % 2 or module.bits_allocated != 8 or module.planar:
        raise ImageError(f"{name}: YBR_FULL_422 needs an even width, 8 bits and no planes; export it as RGB")
    return module, ()


def check_length(header: Header, module: PixelModule, pixels: PixelElement, name: str) -> None:
    """Compare the length of native pixels with their size and with the file.

    Raises:
        ImageError: if it is too short.
    """
    if module.native_bytes > pixels.length:
        raise ImageError(f"{name} has {pixels.length:,} bytes of pixels; its size needs {module.native_bytes:,}")
    if pixels.offset + pixels.length > header.stream.seek(0, io.SEEK_END):
        raise ImageError(f"{name} is a DICOM file that is cut short; copy or download it again")
