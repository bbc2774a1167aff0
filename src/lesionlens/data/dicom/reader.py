"""DICOM: photographs and dermoscopic images, read without touching what is known of the patient.

Errors name tags, and values of the pixel module (group 0028) only.
"""

from __future__ import annotations

import io
import re
import sys
from itertools import pairwise
from typing import BinaryIO, NamedTuple

from lesionlens.core.errors import ImageError
from lesionlens.data.decoded_image import DecodedImage
from lesionlens.data.decoding_rules import MAX_PIXELS, check_size
from lesionlens.data.dicom.codecs import CODECS, Frame, PixelModule, native
from lesionlens.data.dicom.display import DISPLAY_TAGS, GREY, to_rgb
from lesionlens.data.dicom.elements import (
    MAX_INFLATED_BYTES,
    STORED_CLASS,
    TRANSFER_SYNTAX,
    Coding,
    Elements,
    Fragment,
    Inflated,
    Stream,
    read_elements,
    read_fragments,
    read_meta,
    tag_name,
)

EXPLICIT = Coding(implicit=False, little=True)
NATIVE = {
    "1.2.840.10008.1.2": Coding(implicit=True, little=True),
    "1.2.840.10008.1.2.1": EXPLICIT,
    "1.2.840.10008.1.2.1.99": Coding(implicit=False, little=True, deflated=True),
    "1.2.840.10008.1.2.2": Coding(implicit=False, little=False),
}
ACCEPTED = {
    "1.2.840.10008.5.1.4.1.1.77.1.4": "VL Photographic Image",
    "1.2.840.10008.5.1.4.1.1.77.1.7": "Dermoscopic Photography Image",
}
REFUSED = {
    "1.2.840.10008.1.3.10": "a directory (DICOMDIR)",
    "1.2.840.10008.5.1.4.1.1.1": "a radiograph",
    "1.2.840.10008.5.1.4.1.1.2": "a CT image",
    "1.2.840.10008.5.1.4.1.1.2.1": "a CT image",
    "1.2.840.10008.5.1.4.1.1.4": "an MR image",
    "1.2.840.10008.5.1.4.1.1.4.1": "an MR image",
    "1.2.840.10008.5.1.4.1.1.6.1": "an ultrasound image",
    "1.2.840.10008.5.1.4.1.1.7": "a secondary capture",
    "1.2.840.10008.5.1.4.1.1.77.1.2": "a microscopic image",
    "1.2.840.10008.5.1.4.1.1.77.1.4.1": "a video",
    "1.2.840.10008.5.1.4.1.1.77.1.6": "a whole slide image",
    "1.2.840.10008.5.1.4.1.1.104.1": "an encapsulated PDF",
    "1.2.840.10008.5.1.4.1.1.104.2": "an encapsulated document",
    "1.2.840.10008.5.1.4.1.1.128": "a PET image",
}
SOP_CLASS = 0x00080016
SAMPLES, PHOTOMETRIC, PLANAR, FRAMES, ROWS, COLUMNS = 0x00280002, 0x00280004, 0x00280006, 0x00280008, 0x00280010, 0x00280011
BITS_ALLOCATED, BITS_STORED, HIGH_BIT, SIGNED = 0x00280100, 0x00280101, 0x00280102, 0x00280103
OFFSETS, LENGTHS = 0x7FE00001, 0x7FE00002
WANTED = (
    *(SOP_CLASS, SAMPLES, PHOTOMETRIC, PLANAR, FRAMES, ROWS, COLUMNS, BITS_ALLOCATED, BITS_STORED, HIGH_BIT, SIGNED),
    *(OFFSETS, LENGTHS, *DISPLAY_TAGS),
)
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
SAMPLES_OF = {**dict.fromkeys((*GREY, "PALETTE COLOR"), 1), **dict.fromkeys(COLOUR, 3)}
MAX_FRAMES = 100_000


class _File(NamedTuple):
    """An opened file whose header was read and found in order."""

    stream: Stream
    size: int
    syntax: str
    coding: Coding
    elements: Elements
    pixels: Fragment
    module: PixelModule
    name: str


def decode_dicom(stream: BinaryIO, name: str, max_pixels: int = MAX_PIXELS, frame: int = 0) -> DecodedImage:
    """Decode one picture of a DICOM file to 8-bit RGB, as it is stored: no orientation is applied.

    VL Photographic and Dermoscopic Photography images with 8 or 16 bits; transfer syntaxes without
    compression (implicit, explicit, big endian, deflated), RLE, JPEG (baseline, extended and lossless
    with 8 bits), JPEG-LS (needs the extra `dicom`) and JPEG 2000. Header, sizes and limits are checked
    before anything is decoded; only the one frame is read.

    Args:
        stream: the opened file.
        name: what to call it in errors.
        max_pixels: largest width x height.
        frame: which picture, from 0.

    Raises:
        ImageError: if it is damaged, of another kind, too small or too large, or has no such frame.
    """
    file = _read_header(stream, name)
    module = file.module
    check_size(module.columns, module.rows, name, max_pixels)
    if not 0 <= frame < module.frames:
        raise ImageError(f"{name} has no frame {frame}; it has {module.frames}, counted from 0")
    image = to_rgb(_decoded(file, frame), module.photometric, file.elements.values, file.coding.little, name)
    notes = (f"frame {frame + 1} of {module.frames} was used",) if module.frames > 1 else ()
    return DecodedImage(image, module.frames, notes)


def _read_header(file: BinaryIO, name: str) -> _File:
    size = file.seek(0, io.SEEK_END)
    meta = read_meta(file, name)
    syntax = _uid(meta.get(TRANSFER_SYNTAX, b""))
    if syntax not in NATIVE and syntax not in CODECS:
        raise ImageError(
            f"{name} has a transfer syntax {tag_name(TRANSFER_SYNTAX)} that is not read; export it uncompressed or as JPEG"
        )
    stored = _uid(meta.get(STORED_CLASS, b""))
    if stored in REFUSED:
        raise _other_class(stored, name)
    coding = NATIVE.get(syntax, EXPLICIT)
    stream: Stream = Inflated(file, name) if coding.deflated else file
    size = sys.maxsize if coding.deflated else size  # it ends where it ends
    elements = read_elements(stream, size, coding, WANTED, name)
    kind = _uid(elements.values.get(SOP_CLASS, b"")) or stored
    if kind not in ACCEPTED:
        raise _other_class(kind, name)
    if elements.pixels is None:
        raise ImageError(f"{name} is a DICOM file without pixels; export the image with its Pixel Data (7FE0,0010)")
    if elements.encapsulated != (syntax in CODECS):
        raise ImageError(f"{name}: its pixel data is not stored as its transfer syntax says; export it again")
    module = _pixel_module(elements.values, coding.little, name)
    return _File(stream, size, syntax, coding, elements, elements.pixels, module, name)


def _other_class(uid: str, name: str) -> ImageError:
    what = REFUSED.get(uid, "a DICOM file of another kind (0008,0016)")
    return ImageError(f"{name} is {what}; only {' and '.join(ACCEPTED.values())} are read")


def _pixel_module(values: dict[int, bytes], little: bool, name: str) -> PixelModule:
    numbers = {
        tag: _whole(values, tag, little, name, default)
        for tag, default in (
            *((tag, None) for tag in (ROWS, COLUMNS, SAMPLES, BITS_ALLOCATED, BITS_STORED)),
            *((PLANAR, 0), (SIGNED, 0)),
        )
    }
    photometric = re.sub(r"[^A-Z0-9_ ]", "?", values.get(PHOTOMETRIC, b"")[:16].decode("ascii", "replace").strip(" \0"))
    module = PixelModule(
        numbers[ROWS],
        numbers[COLUMNS],
        numbers[SAMPLES],
        photometric,
        bool(numbers[PLANAR]) and numbers[SAMPLES] > 1,
        _frames(values, name),
        numbers[BITS_ALLOCATED],
        numbers[BITS_STORED],
    )
    high_bit = _whole(values, HIGH_BIT, little, name, module.bits_stored - 1)
    _check_module(module, high_bit, bool(numbers[SIGNED]), name)
    return module


def _check_module(module: PixelModule, high_bit: int, signed: bool, name: str) -> None:
    samples = SAMPLES_OF.get(module.photometric)
    if samples is None:
        raise ImageError(
            f"{name}: photometric interpretation {tag_name(PHOTOMETRIC)} {module.photometric!r} is not read; "
            f"it must be one of {', '.join(SAMPLES_OF)}"
        )
    if module.samples != samples:
        raise ImageError(
            f"{name}: {module.photometric} has {samples} samples a pixel, but {tag_name(SAMPLES)} says {module.samples}"
        )
    if module.bits_allocated not in (8, 16):
        raise ImageError(f"{name} has {module.bits_allocated} bits a sample {tag_name(BITS_ALLOCATED)}; it must have 8 or 16")
    if not 1 <= module.bits_stored <= module.bits_allocated or high_bit != module.bits_stored - 1:
        raise ImageError(
            f"{name}: {module.bits_stored} bits stored {tag_name(BITS_STORED)}, highest {high_bit} {tag_name(HIGH_BIT)}, "
            f"of {module.bits_allocated}; they must be the lowest ones. Export it again"
        )
    if signed:
        raise ImageError(f"{name} has signed pixels {tag_name(SIGNED)}; those of a photograph are not")
    if module.photometric == "YBR_FULL_422" and (module.columns % 2 or module.bits_allocated != 8 or module.planar):
        raise ImageError(f"{name}: YBR_FULL_422 needs an even width, 8 bits and no planes; export it as RGB")


def _decoded(file: _File, frame: int) -> Frame:
    if file.syntax in CODECS:
        codestream = _codestream(file, frame)
        return CODECS[file.syntax](codestream, file.module, file.name)
    n_bytes = file.module.frame_bytes
    if n_bytes * file.module.frames > file.pixels.length:
        raise ImageError(
            f"{file.name} has {file.pixels.length:,} bytes of pixels; its size needs {n_bytes * file.module.frames:,}"
        )
    if isinstance(file.stream, Inflated):
        file.stream.most = MAX_INFLATED_BYTES
    file.stream.seek(file.pixels.offset + frame * n_bytes)
    raw = file.stream.read(n_bytes)
    if len(raw) < n_bytes or file.pixels.offset + file.pixels.length > file.size:
        raise ImageError(f"{file.name} is a DICOM file that is cut short; copy or download it again")
    return native(raw, file.module, file.coding.little, file.elements.vr == b"OW")


def _codestream(file: _File, frame: int) -> bytes:
    """The compressed bytes of one frame, out of one or several fragments (PS3.5 A.4)."""
    table, *fragments = read_fragments(file.stream, file.pixels.offset, file.size, file.coding.little, file.name) or [
        Fragment(0, 0)
    ]
    if not fragments:
        raise ImageError(f"{file.name} is a DICOM file without pixels; its Pixel Data (7FE0,0010) is empty")
    frames = file.module.frames
    if frames == 1:
        chosen = fragments
    elif len(fragments) == frames:
        chosen = [fragments[frame]]
    else:
        starts = _frame_starts(file, table, fragments)
        if len(starts) != frames:
            raise ImageError(f"{file.name} has {len(fragments)} fragments for {frames} frames and no table that parts them")
        ends = [*starts[1:], len(fragments)]
        chosen = fragments[starts[frame] : ends[frame]]
    return b"".join(_bytes_of(file, fragment) for fragment in chosen)


def _frame_starts(file: _File, table: Fragment, fragments: list[Fragment]) -> list[int]:
    """The number of each frame's first fragment, by the extended or basic offset table; empty if they do not fit."""
    extended = file.elements.values.get(OFFSETS, b"")
    raw, width = (extended, 8) if extended else (_bytes_of(file, table), 4)
    offsets = [int.from_bytes(raw[at : at + width], "little") for at in range(0, len(raw) // width * width, width)]
    first_item = fragments[0].offset - 8
    numbers = {fragment.offset - 8 - first_item: number for number, fragment in enumerate(fragments)}
    starts = [numbers.get(offset, -1) for offset in offsets]
    in_order = bool(starts) and starts[0] == 0 and all(one < other for one, other in pairwise(starts))
    return starts if in_order else []


def _bytes_of(file: _File, fragment: Fragment) -> bytes:
    file.stream.seek(fragment.offset)
    return file.stream.read(fragment.length)


def _whole(values: dict[int, bytes], tag: int, little: bool, name: str, default: int | None) -> int:
    """An unsigned short."""
    value = values.get(tag, b"")
    if len(value) == 2:
        return int.from_bytes(value, "little" if little else "big")
    if value or default is None:
        raise ImageError(f"{name} does not say {tag_name(tag)} as it must; it is a DICOM file that is damaged. Export it again")
    return default


def _frames(values: dict[int, bytes], name: str) -> int:
    text = values.get(FRAMES, b"").decode("ascii", "replace").strip(" \0")
    if not text:
        return 1
    if not text.isdecimal() or len(text) > 9 or not 1 <= int(text) <= MAX_FRAMES:
        raise ImageError(f"{name}: number of frames {tag_name(FRAMES)} is not a number from 1 to {MAX_FRAMES:,}; export it again")
    return int(text)


def _uid(value: bytes) -> str:
    return value.decode("ascii", "replace").strip(" \0")
