"""DICOM files that are no usable photograph, of a patient whose name must never come out again."""

import functools
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from pydicom.encaps import encapsulate
from tests.data import dicom_files as make
from tests.data.dicom_files import compressed, data_set, grey, jpeg_bytes, picture, plain, written
from tests.serving.bad_images import Named, cuts

CLASSES = {
    "ct": "1.2.840.10008.5.1.4.1.1.2",
    "mr": "1.2.840.10008.5.1.4.1.1.4",
    "ultrasound": "1.2.840.10008.5.1.4.1.1.6.1",
    "secondary capture": "1.2.840.10008.5.1.4.1.1.7",
    "encapsulated pdf": "1.2.840.10008.5.1.4.1.1.104.1",
    "structured report": "1.2.840.10008.5.1.4.1.1.88.11",
    "unknown class": "1.2.3.4.5",
}
WRONG_ELEMENTS: dict[str, dict[str, object]] = {
    "no rows": {"Rows": None},
    "no columns": {"Columns": None},
    "no samples": {"SamplesPerPixel": None},
    "no photometric interpretation": {"PhotometricInterpretation": None},
    "no bits": {"BitsAllocated": None},
    "0 rows": {"Rows": 0},
    "31 rows": {"Rows": 31},
    "more rows than pixels": {"Rows": 41},
    "65535 x 65535": {"Rows": 65_535, "Columns": 65_535},
    "20000 x 20000": {"Rows": 20_000, "Columns": 20_000},
    "2 samples": {"SamplesPerPixel": 2},
    "4 samples": {"SamplesPerPixel": 4},
    "65535 samples": {"SamplesPerPixel": 65_535},
    "cmyk": {"PhotometricInterpretation": "CMYK"},
    "1 bit": {"BitsAllocated": 1},
    "12 bits allocated": {"BitsAllocated": 12},
    "32 bits": {"BitsAllocated": 32},
    "64 bits": {"BitsAllocated": 64},
    "0 bits stored": {"BitsStored": 0},
    "99 bits stored": {"BitsStored": 99},
    "wrong high bit": {"HighBit": 2},
    "signed": {"PixelRepresentation": 1},
    "0 frames": {"NumberOfFrames": "0"},
    "2 frames of 1": {"NumberOfFrames": "2"},
    "99999999 frames": {"NumberOfFrames": "99999999"},
    "empty pixel data": {"PixelData": b""},
    "a palette that is not there": {"PhotometricInterpretation": "PALETTE COLOR", "SamplesPerPixel": 1},
}


def dicom_without_pixels() -> Iterator[Named]:
    """Other objects, and photographs without a picture."""
    for name, uid in CLASSES.items():
        yield f"dicom {name}", plain(SOPClassUID=uid)
    yield "dicom without pixels", written(data_set())
    yield (
        "dicom with only the name of a patient",
        make.file_head() + make.raw_element(0x10, 0x10, b"PN", make.SECRET.encode() + b"\0"),
    )
    yield "dicom of nothing but its meta information", make.file_head()
    yield "dicom pdf", written(data_set(SOPClassUID=CLASSES["encapsulated pdf"], EncapsulatedDocument=b"%PDF-1.7 " + b"x" * 500))
    for syntax in ("1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.201", "1.2.3.4", "", "x" * 64):
        head = make.file_head(syntax)
        yield f"dicom of transfer syntax {syntax[:30]!r}", head + plain()[len(make.file_head()) :]
    yield "dicom mark alone", bytes(128) + b"DICM"
    yield "dicom mark and noise", bytes(128) + b"DICM" + np.random.default_rng(1).bytes(2000)


def dicom_of_wrong_elements() -> Iterator[Named]:
    """Pixel modules that contradict themselves or their pixels."""
    for name, elements in WRONG_ELEMENTS.items():
        yield f"dicom with {name}", plain(**elements)
    windows = {"window of width 0": {"WindowWidth": 0, "WindowCenter": 1}, "slope 0": {"RescaleSlope": 0, "RescaleIntercept": 0}}
    for name, elements in windows.items():
        yield f"dicom with {name}", plain(grey(), photometric="MONOCHROME2", **elements)


def dicom_cut() -> Iterator[Named]:
    """Cut at every kind of place, in several transfer syntaxes."""
    fragments = np.array([3, 64, 64 + 1920, 64 + 3840, *[0] * 12], "<u4").tobytes()
    rle = fragments + b"".join(b"\x80" * 1920 for _ in range(3))
    files = {
        "explicit": plain(),
        "implicit": plain(syntax=make.IMPLICIT),
        "big endian": plain(syntax=make.BIG_ENDIAN),
        "deflated": plain(syntax=make.DEFLATED),
        "jpeg": compressed([jpeg_bytes(picture())], picture(), make.BASELINE, "YBR_FULL_422"),
    }
    for kind, content in files.items():
        for length in cuts(content[132:]):
            if length < len(content) - 150:  # what follows the pixels is padding
                yield f"dicom {kind} cut to {length}", content[: 132 + length]
    for name, stream in {
        "no runs": rle,
        "nothing": b"\0\0",
        "a jpeg": jpeg_bytes(picture()),
        "a short header": bytes(60),
    }.items():
        yield f"dicom rle of {name}", compressed([stream], picture(), make.RLE)


def dicom_of_wrong_streams() -> Iterator[Named]:
    """Codestreams that are not what the data set says."""
    jpeg = jpeg_bytes(picture())
    for syntax in (make.JPEG_2000, make.JPEG_LS, make.LOSSLESS_SV1, make.EXTENDED):
        name = syntax.rpartition(".")[2]
        for half in (len(jpeg) // 3, len(jpeg) // 2):
            yield f"dicom {name} holding {half} bytes of jpeg", compressed([jpeg[:half]], picture(), syntax)
        yield f"dicom {name} holding noise", compressed([np.random.default_rng(2).bytes(3000)], picture(), syntax)
    huge = bytearray(jpeg)
    at = huge.index(b"\xff\xc0")
    huge[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    yield "dicom holding a jpeg of 65535x65535", compressed([bytes(huge)], picture(), make.BASELINE)
    yield "dicom holding another size", compressed([jpeg_bytes(picture(64, 64))], picture(), make.BASELINE)
    yield "dicom holding 4 segments for 3", compressed([struct.pack("<16I", 4, *[64] * 15) + bytes(9000)], picture(), make.RLE)
    yield "dicom jpeg 2000 of a million tiles", compressed([_tiles()], picture(1024, 1024), make.JPEG_2000)
    data = encapsulate([jpeg[:100], jpeg[100:200], jpeg[200:300]], has_bot=False)
    frames = np.stack([picture()] * 2)
    yield "dicom of 3 fragments for 2 frames", written(data_set(frames, NumberOfFrames="2", PixelData=data), make.BASELINE)
    yield "dicom of no fragments", compressed([], picture(), make.BASELINE)


def _tiles() -> bytes:
    sizes = struct.pack(">8IH", 1024, 1024, 0, 0, 1, 1, 0, 0, 3)
    return b"\xff\x4f\xff\x51\0\x2f\0\0" + sizes + b"\7\1\1" * 3 + bytes(200)


def dicom_bombs() -> Iterator[Named]:
    """Small files with enormous contents."""
    head = make.raw_element(8, 0x16, b"UI", make.DERMOSCOPY.encode())
    inside = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    sequence = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff"
    yield "dicom of 10000 nested sequences", make.file_head() + head + (sequence + inside) * 10_000
    yield (
        "dicom of a million empty items",
        make.file_head() + head + sequence + (inside + b"\xfe\xff\x0d\xe0\0\0\0\0") * 1_000_000,
    )
    yield "dicom of 4 million empty items", make.file_head() + head + sequence + b"\xfe\xff\x00\xe0\0\0\0\0" * 4_000_000
    yield "dicom of a million elements in an item", make.file_head() + head + sequence + inside + _elements(1_000_000)
    yield "dicom of a million elements of meta information", make.file_head() + b"\x02\0\x03\0LO\0\0" * 1_000_000
    yield "dicom of 40 megabytes in items", make.file_head() + head + sequence + _filled_items(40)
    yield "dicom of a million empty elements", make.file_head() + head + b"\x09\0\x01\0LO\0\0" * 1_000_000
    yield "dicom of an element of 4 gigabytes", make.file_head() + head + b"\x09\0\x01\0OB\0\0\xfe\xff\xff\xff" + bytes(100)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = deflate.compress(head + b"\x09\0\x10\0UN\0\0\xff\xff\xff\x7f")
    packed += b"".join(deflate.compress(bytes(1 << 20)) for _ in range(400)) + deflate.flush()
    yield "dicom deflated from 400 megabytes", make.file_head(make.DEFLATED) + packed
    yield "dicom deflated noise", make.file_head(make.DEFLATED) + np.random.default_rng(5).bytes(500)
    fragments = b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\0\0\0\0" * 500_000
    start = written(data_set(picture(), PixelData=None))
    yield "dicom of 500000 empty fragments", start.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0") + fragments


def _elements(count: int) -> bytes:
    return b"".join((0x00090001 + number).to_bytes(4, "little") + b"LO\0\0" for number in range(count))


def _filled_items(count: int) -> bytes:
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + make.raw_element(9, 0x10, b"OB", bytes(1 << 20)) + b"\xfe\xff\x0d\xe0\0\0\0\0"
    return item * count


@functools.cache
def bad_dicom() -> list[Named]:
    """All of the above, each content once."""
    kinds = (dicom_without_pixels, dicom_of_wrong_elements, dicom_cut, dicom_of_wrong_streams, dicom_bombs)
    found = {content: name for kind in kinds for name, content in kind()}
    return [(name, content) for content, name in found.items()]
