"""The header of a DICOM file, read by pydicom within bounds and without the elements that describe the patient.

Only the elements in `KEYWORDS` are read, unless others are named; pydicom skips the values of all others. Elements inside
a sequence of undefined length pass through pydicom and are dropped.

pydicom sets no bounds of its own: 32 MB of empty items took it 56 s and 2.6 GB, and 400 kB of deflated zeros
0.8 GB. So it reads through a `BoundedReader`, and a deflated data set is inflated here, up to a limit.
"""

from __future__ import annotations

import io
import logging
import re
import struct
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from lesionlens.core.errors import ImageError
from lesionlens.data.decoding_rules import DECODE_ERRORS
from lesionlens.data.dicom.classes import REFUSED, check_class

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

PREAMBLE_BYTES = 128
MAGIC = b"DICM"
FIRST_GROUPS = (0x0002, 0x0008)  # a file without preamble begins with its meta information or its data set
MAX_READS = 20_000  # of a header; pydicom reads once for an element, and two to four times for one in an item
MAX_HEADER_BYTES = 1 << 25
INFLATE_STEP = 1 << 20
MAX_INFLATED_BYTES = 160_000_000  # 50 million pixels of colour, and their header
PIXEL_DATA = 0x7FE00010
FLOAT_PIXEL_DATA = (0x7FE00008, 0x7FE00009)
UNDEFINED = 0xFFFFFFFF
STORED_CLASS, TRANSFER_SYNTAX = 0x00020002, 0x00020010
IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN = (f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".1.99", ".2"))
PIXEL_MODULE = (
    *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
)
PALETTE = tuple(
    f"{colour}PaletteColorLookupTable{part}" for part in ("Descriptor", "Data") for colour in ("Red", "Green", "Blue")
)
DISPLAY = (
    *("WindowCenter", "WindowWidth", "RescaleIntercept", "RescaleSlope", "VOILUTFunction"),
    *("ModalityLUTSequence", "VOILUTSequence", "ICCProfile", *PALETTE),
)
# The acquisition attributes of the Dermoscopic Image Module, by the names that callers see.
ACQUISITION = {
    "polarization": "LightSourcePolarization",
    "contact": "ContactMethod",
    "immersion": "ImmersionMedia",
    "magnification": "OpticalMagnificationFactor",
}
SPACING = "PixelSpacing"  # of the surface; Imager Pixel Spacing is that of the detector
OFFSET_TABLES = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")
KEYWORDS = ("SOPClassUID", *PIXEL_MODULE, *DISPLAY, *ACQUISITION.values(), SPACING, *OFFSET_TABLES)


class PixelElement(NamedTuple):
    """The element that holds the pixels.

    Attributes:
        tag: Pixel Data, or one of `FLOAT_PIXEL_DATA`.
        vr: its VR; empty in an implicit data set.
        length: bytes of its value, or `UNDEFINED` if it comes in fragments.
        offset: of its value in the stream.
    """

    tag: int
    vr: str
    length: int
    offset: int


@dataclass(frozen=True, eq=False)
class Header:
    """What a DICOM file says before its pixels.

    Attributes:
        stream: the data set, inflated if it was deflated.
        elements: those in `KEYWORDS` that are there.
        sop_class: UID; empty if the file does not say.
        syntax: UID of the transfer syntax.
        pixels: None: there are none, or the file is cut short before them.
        has_meta: whether the file says how it is encoded; if not, that was derived from its content.
    """

    stream: BinaryIO
    elements: Dataset
    sop_class: str
    syntax: str
    pixels: PixelElement | None
    has_meta: bool

    @property
    def little(self) -> bool:
        """Whether numbers are written in little-endian order."""
        return self.syntax != BIG_ENDIAN

    def value(self, keyword: str, name: str) -> Any:
        """Value of an element, None if it is missing or empty.

        Raises:
            ImageError: if it cannot be read as what it should be.
        """
        try:
            found = self.elements.get(keyword)
        except (*DECODE_ERRORS, AttributeError):
            raise ImageError(f"{name}: element {tag_name(keyword)} is damaged; export it again") from None
        return None if found is None or found == "" else found


def tag_name(keyword: str) -> str:
    """The tag of an element as the standard writes it: `Rows` gives (0028,0010)."""
    from pydicom.datadict import tag_for_keyword

    tag = tag_for_keyword(keyword) or 0
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def is_dicom_head(head: bytes) -> bool:
    """Whether a file that begins with these bytes, 132 or more, is DICOM.

    A file has `DICM` behind a preamble or, as some archives export it, begins with the first element of its
    file meta information or of its data set.

    Example:
        >>> is_dicom_head(bytes(128) + b"DICM")
        True
        >>> is_dicom_head(b"\\x08\\0\\x05\\0CS\\x0a\\0ISO_IR 100")  # explicit VR
        True
        >>> is_dicom_head(b"\\x08\\0\\x05\\0\\x0a\\0\\0\\0ISO_IR 100")  # implicit VR
        True
        >>> is_dicom_head(b"\\x08\\0 is no element")
        False
    """
    if head[PREAMBLE_BYTES:][: len(MAGIC)] == MAGIC:
        return True
    if len(head) < PREAMBLE_BYTES:
        return False
    little, big = (struct.unpack(f"{order}HHI", head[:8]) for order in "<>")
    explicit = re.fullmatch(rb"[A-Z]{2}", head[4:6]) is not None
    implicit = little[2] <= PREAMBLE_BYTES and little[2] % 2 == 0
    first = any(group in FIRST_GROUPS and element <= 0x0018 for group, element, _ in (little, big))
    return first and (explicit or (implicit and little[0] in FIRST_GROUPS))


def read_header(file: BinaryIO, name: str, keywords: Sequence[str] = KEYWORDS) -> Header:
    """Read all that is before the pixels.

    Args:
        file: the opened file, at its start.
        name: what to call it in errors.
        keywords: of the elements to read.

    Raises:
        ImageError: if it is damaged, no photograph, or has more elements than a photograph has.
    """
    quiet_pydicom()
    reader = BoundedReader(file)
    try:
        return _read(reader, name, keywords)
    except (*DECODE_ERRORS, AttributeError) as error:
        problem = error
    # Outside of the handler: what pydicom says may quote the file, and is not passed on.
    if reader.exhausted:
        raise ImageError(f"{name} has too many DICOM elements (more than {MAX_READS:,} reads); that is no photograph")
    if isinstance(problem, RecursionError):
        raise ImageError(f"{name} nests DICOM sequences too deeply; it is damaged")
    raise ImageError(f"{name} is a DICOM file that is damaged or cut short; copy or export it again")


def quiet_pydicom() -> None:
    """Keep pydicom's warnings and log records, which quote elements, out of every output."""
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module=r"pydicom(\.|$)")


class BoundedReader:
    """A file that can be read so many times and for so many bytes only.

    Args:
        stream: the file.
        most_bytes: that may be read in all.
        most_reads: calls of `read`.

    Attributes:
        exhausted: whether more was asked for.
    """

    def __init__(self, stream: BinaryIO, most_bytes: int = MAX_HEADER_BYTES, most_reads: int = MAX_READS) -> None:
        self.stream = stream
        self.exhausted = False
        self._most_bytes = most_bytes
        self._most_reads = most_reads
        self._reads = 0
        self._bytes = 0

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes.

        Raises:
            EOFError: beyond a bound.
        """
        data = self.stream.read(min(size, self._most_bytes) if size >= 0 else self._most_bytes)
        self._reads += 1
        self._bytes += len(data)
        self.exhausted |= self._reads > self._most_reads or self._bytes > self._most_bytes
        if self.exhausted:
            raise EOFError
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of a file."""
        return self.stream.seek(offset, whence)

    def tell(self) -> int:
        """As of a file."""
        return self.stream.tell()


def _read(reader: BoundedReader, name: str, keywords: Sequence[str]) -> Header:
    from pydicom.filereader import read_preamble
    from pydicom.tag import Tag

    read_preamble(reader, force=True)  # type: ignore[arg-type]
    begins_with_meta = reader.read(2) == b"\x02\0"
    reader.seek(-2, io.SEEK_CUR)
    meta, _ = _read_until(reader, EXPLICIT, lambda tag: tag >> 16 != 2, [STORED_CLASS, TRANSFER_SYNTAX])
    stored_class, syntax = (str(meta.get(tag).value or "") if tag in meta else "" for tag in (STORED_CLASS, TRANSFER_SYNTAX))
    if stored_class in REFUSED:
        check_class(stored_class, name)
    if not begins_with_meta:
        syntax = _derived_syntax(reader)
    if syntax == DEFLATED:
        reader.stream = _inflated(reader.stream, name)
    tags = [int(Tag(keyword)) for keyword in keywords]
    elements, pixels = _read_until(reader, syntax, lambda tag: tag in (PIXEL_DATA, *FLOAT_PIXEL_DATA), tags)
    sop_class = str(elements.get("SOPClassUID") or stored_class)
    return Header(reader.stream, elements, sop_class, syntax, pixels, begins_with_meta)


def _read_until(reader: BoundedReader, syntax: str, last: Any, tags: list[int]) -> tuple[Dataset, PixelElement | None]:
    """Elements up to the first whose tag is `last`, and that one."""
    from pydicom.filereader import read_dataset

    found: list[PixelElement] = []

    def stop(tag: int, vr: str | None, length: int) -> bool:
        if last(tag):
            found.append(PixelElement(int(tag), vr or "", length, reader.tell()))
        return bool(found)

    elements = read_dataset(
        reader,  # type: ignore[arg-type]
        is_implicit_VR=syntax == IMPLICIT,
        is_little_endian=syntax != BIG_ENDIAN,
        stop_when=stop,
        specific_tags=tags,
    )
    if reader.exhausted:  # pydicom took it for the end of the file
        raise EOFError
    return elements, found[-1] if found else None


def _derived_syntax(reader: BoundedReader) -> str:
    """How the first element of a data set is encoded."""
    head = reader.read(6)
    reader.seek(-len(head), io.SEEK_CUR)
    if not re.fullmatch(rb"[A-Z]{2}", head[4:6]):
        return IMPLICIT
    return EXPLICIT if head[1] == 0 else BIG_ENDIAN  # the group is 0x0008


def _inflated(stream: BinaryIO, name: str) -> BinaryIO:
    """A deflated data set (PS3.5 A.5) in memory.

    Raises:
        ImageError: if it inflates to more than `MAX_INFLATED_BYTES`, or is cut short.
    """
    inflate, inflated = zlib.decompressobj(-zlib.MAX_WBITS), io.BytesIO()
    data = stream.read()
    while not inflate.eof:
        if not inflated.write(inflate.decompress(data, INFLATE_STEP)):
            raise EOFError
        data = inflate.unconsumed_tail
        if inflated.tell() > MAX_INFLATED_BYTES:
            raise ImageError(f"{name} inflates to more than {MAX_INFLATED_BYTES:,} bytes; save it without deflation")
    inflated.seek(0)
    return inflated
