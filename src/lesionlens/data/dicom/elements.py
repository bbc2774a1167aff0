"""The elements of a DICOM file, walked in bounded memory and time (DICOM PS3.5 chapter 7, PS3.10).

Only elements that were asked for are read; all others, and with them all that is known of the patient,
are passed over by their length and never become values of this program. A general reader builds an
object for each element before one can say no: 16 MB of empty items took pydicom 3.0 13 s and 640 MB.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple, Protocol

from lesionlens.core.errors import ImageError

PREAMBLE_BYTES = 128
MAGIC = b"DICM"
STORED_CLASS, TRANSFER_SYNTAX = META = (0x00020002, 0x00020010)
PIXEL_DATA = 0x7FE00010
FLOAT_PIXEL_DATA = (0x7FE00008, 0x7FE00009)
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
LONG_VRS = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
MAX_ELEMENTS = 100_000
MAX_DEPTH = 64
MAX_VALUE_BYTES = 1 << 18  # the largest that is read: a palette of 65,536 16-bit entries
MAX_INFLATED_HEADER_BYTES = 1 << 25
MAX_INFLATED_BYTES = 160_000_000  # 50 million pixels of colour, and what stands before them
INFLATE_STEP = 1 << 18


class Stream(Protocol):
    """What the walk needs of a file: reading, and jumping forward."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes; fewer at the end."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go on to a later place."""

    def tell(self) -> int:
        """Where we are, bytes."""


class Coding(NamedTuple):
    """How the elements of a data set are written."""

    implicit: bool
    little: bool
    deflated: bool = False


class Fragment(NamedTuple):
    """A stretch of a file."""

    offset: int
    length: int


@dataclass(frozen=True)
class Elements:
    """What was found in front of, and as, the pixel data.

    Attributes:
        values: bytes of the elements that were asked for, by tag; of a sequence only that it is there.
        pixels: where the pixel data lies, or None: no Pixel Data.
        vr: of the pixel data; empty in an implicit data set.
        encapsulated: whether the pixel data comes in items, of which the first is the offset table.
    """

    values: dict[int, bytes]
    pixels: Fragment | None
    vr: bytes
    encapsulated: bool


class Header(NamedTuple):
    """Tag, VR (empty if implicit) and length of one element."""

    tag: int
    vr: bytes
    length: int


def is_dicom(stream: BinaryIO) -> bool:
    """Whether a file has the mark of DICOM behind its preamble; leaves `stream` at its start."""
    head = stream.read(PREAMBLE_BYTES + len(MAGIC))
    stream.seek(0)
    return head[PREAMBLE_BYTES:] == MAGIC


def read_meta(stream: BinaryIO, name: str) -> dict[int, bytes]:
    """What the file meta information says of class and transfer syntax; leaves `stream` where the data set begins.

    Raises:
        ImageError: if it is cut short or damaged.
    """
    stream.seek(PREAMBLE_BYTES + len(MAGIC))
    values: dict[int, bytes] = {}
    for _ in range(MAX_ELEMENTS):
        start = stream.tell()
        header = read_header(stream, Coding(implicit=False, little=True), name)
        if header is None or header.tag >> 16 != 2:
            stream.seek(start)
            return values
        if header.length > MAX_VALUE_BYTES:
            raise _damaged(name)
        value = _read(stream, header.length, name)
        if header.tag in META:
            values[header.tag] = value
    raise _too_many(name)


def read_elements(stream: Stream, size: int, coding: Coding, wanted: Collection[int], name: str) -> Elements:
    """Walk a data set up to its pixel data.

    Args:
        stream: stands where the data set begins.
        size: where the file ends, bytes; no value may reach beyond.
        coding: of the data set.
        wanted: tags to read.
        name: what to call the file in errors.

    Raises:
        ImageError: if it is cut short, damaged, nested too deep, or has too many or too large elements.
    """
    walk = _Walk(stream, size, coding, frozenset(wanted), name)
    for _ in range(MAX_ELEMENTS):
        found = walk.step()
        if found is not None:
            return found
    raise _too_many(name)


def read_fragments(stream: Stream, start: int, size: int, little: bool, name: str) -> list[Fragment]:
    """Where the items of encapsulated pixel data lie; the first is the (perhaps empty) offset table.

    Raises:
        ImageError: if an item reaches beyond the file, or there is no end.
    """
    stream.seek(start)
    fragments: list[Fragment] = []
    for _ in range(MAX_ELEMENTS):
        header = read_header(stream, Coding(implicit=True, little=little), name)
        if header is None:
            raise _short(name)
        if header.tag == SEQUENCE_END:
            return fragments
        if header.tag != ITEM:
            raise _damaged(name)
        fragments.append(Fragment(stream.tell(), header.length))
        _skip(stream, header.length, size, name)
    raise _too_many(name)


def read_header(stream: Stream, coding: Coding, name: str) -> Header | None:
    """Read one element's header; None at the end of the file.

    Raises:
        ImageError: if it is cut short.
    """
    raw = stream.read(8)
    if not raw:
        return None
    if len(raw) < 8:
        raise _short(name)
    order = "<" if coding.little else ">"
    group, element, length = struct.unpack(f"{order}HHI", raw)
    tag = group << 16 | element
    vr = raw[4:6]
    if coding.implicit or group == 0xFFFE or not (vr.isalpha() and vr.isupper()):
        return Header(tag, b"", length)  # some writers put implicit elements into explicit data sets
    if vr in LONG_VRS:
        return Header(tag, vr, struct.unpack(f"{order}I", _read(stream, 4, name))[0])
    return Header(tag, vr, struct.unpack(f"{order}H", raw[6:])[0])


class _Walk:
    """One walk through a data set; a stack says for each open sequence or item whether it is implicit."""

    def __init__(self, stream: Stream, size: int, coding: Coding, wanted: frozenset[int], name: str) -> None:
        self._stream = stream
        self._size = size
        self._little = coding.little
        self._open = [coding.implicit]
        self._wanted = wanted
        self._name = name
        self._values: dict[int, bytes] = {}

    def step(self) -> Elements | None:
        """Pass one element; gives what was found when the pixel data or the end is reached."""
        implicit = self._open[-1]
        header = read_header(self._stream, Coding(implicit, self._little), self._name)
        top = len(self._open) == 1
        if header is None:
            if not top:
                raise _short(self._name)
            return Elements(self._values, None, b"", False)
        if top and header.tag in (PIXEL_DATA, *FLOAT_PIXEL_DATA):
            return self._pixels(header)
        if header.tag in (ITEM_END, SEQUENCE_END):
            if top:
                raise _damaged(self._name)
            self._open.pop()
        elif header.length == UNDEFINED:
            self._descend(header, implicit, top)
        elif top and header.tag in self._wanted:
            if header.length > MAX_VALUE_BYTES:
                raise ImageError(f"{self._name}: element {tag_name(header.tag)} has {header.length:,} bytes; it is damaged")
            self._values[header.tag] = _read(self._stream, header.length, self._name)
        else:
            _skip(self._stream, header.length, self._size, self._name)
        return None

    def _descend(self, header: Header, implicit: bool, top: bool) -> None:
        if len(self._open) > MAX_DEPTH:
            raise ImageError(f"{self._name} nests sequences more than {MAX_DEPTH} deep; it is damaged")
        if top and header.tag in self._wanted:
            self._values[header.tag] = b""
        self._open.append(implicit or header.vr == b"UN")  # PS3.5 6.2.2: of unknown VR and undefined length: implicit

    def _pixels(self, header: Header) -> Elements:
        if header.tag != PIXEL_DATA:
            raise ImageError(f"{self._name} has pixels of floating point {tag_name(header.tag)}; photographs have whole numbers")
        start = self._stream.tell()
        encapsulated = header.length == UNDEFINED
        length = 0 if encapsulated else header.length
        return Elements(self._values, Fragment(start, length), header.vr, encapsulated)


class Inflated:
    """A deflated data set (PS3.5 A.5), inflated step by step: forward only, a few kilobytes at a time.

    Attributes:
        most: bytes it may inflate to; for the header first, raised by who wants the pixels.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self._name = name
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._held = b""
        self._used = 0
        self._at = 0
        self.most = MAX_INFLATED_HEADER_BYTES

    def tell(self) -> int:
        """How many inflated bytes were passed."""
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        """Read up to `size` bytes; fewer at the end.

        Raises:
            ImageError: if the stream is damaged or inflates to more than is allowed.
        """
        parts = []
        while size > 0 and (part := self._next(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Pass on to a later place."""
        left = offset - self._at if whence == io.SEEK_SET else offset
        while left > 0:
            passed = len(self._next(left))
            if not passed:
                raise _short(self._name)
            left -= passed
        return self._at

    def _next(self, most: int) -> bytes:
        if self._used == len(self._held):
            self._held, self._used = self._more(), 0
        part = self._held[self._used : self._used + most]
        self._used += len(part)
        self._at += len(part)
        if self._at > self.most:
            raise ImageError(f"{self._name} inflates to more than {self.most:,} bytes; save it without deflation")
        return part

    def _more(self) -> bytes:
        try:
            while not self._inflate.eof:
                raw = self._inflate.unconsumed_tail or self._stream.read(INFLATE_STEP)
                if not raw:
                    return b""
                if found := self._inflate.decompress(raw, INFLATE_STEP):
                    return found
        except zlib.error as error:
            raise _damaged(self._name) from error
        return b""


def tag_name(tag: int) -> str:
    """A tag as the standard writes it: (0028,0010)."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _read(stream: Stream, length: int, name: str) -> bytes:
    value = stream.read(length)
    if len(value) < length:
        raise _short(name)
    return value


def _skip(stream: Stream, length: int, size: int, name: str) -> None:
    if stream.tell() + length > size:
        raise _short(name)
    stream.seek(length, io.SEEK_CUR)


def _short(name: str) -> ImageError:
    return ImageError(f"{name} is a DICOM file that is cut short; copy or download it again")


def _damaged(name: str) -> ImageError:
    return ImageError(f"{name} is a DICOM file that is damaged; copy or export it again")


def _too_many(name: str) -> ImageError:
    return ImageError(f"{name} has more than {MAX_ELEMENTS:,} DICOM elements or fragments; that is no photograph")
