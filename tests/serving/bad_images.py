"""Files that are no usable image: cut at every kind of place, of other types, bombs, damaged, too small.

Everything is made here, the same on every run; `bad_images` gives name and bytes.
"""

import functools
import gzip
import io
import itertools
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

Named = tuple[str, bytes]
WIDTH, HEIGHT = 96, 72
# The first bytes of a file, where the marks are, then everywhere.
FIRST_CUTS = (1, 2, 3, 4, 7, 11, 19, 33, 50)
CUTS_IN_TWELFTHS = range(1, 12)


def photograph(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """Smooth colours with some noise, so that no encoder makes it tiny."""
    noise = np.random.default_rng(3).integers(0, 30, (height, width, 3))
    ramp = np.add.outer(np.linspace(40, 120, height), np.linspace(20, 90, width))[:, :, None]
    return Image.fromarray((ramp + noise).astype(np.uint8))


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    """An image as the bytes of a file."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@functools.cache
def good_images() -> dict[str, bytes]:
    """One usable image of each kind; the bad ones are made of them."""
    image = photograph()
    return {
        "jpeg": encode(image, "JPEG", quality=90),
        "jpeg-progressive": encode(image, "JPEG", quality=90, progressive=True),
        "jpeg-grey": encode(image.convert("L"), "JPEG", quality=90),
        "jpeg-cmyk": encode(image.convert("CMYK"), "JPEG", quality=90),
        "jpeg-restart": encode(image, "JPEG", quality=90, restart_marker_rows=1),
        "png": encode(image, "PNG"),
        "png-grey": encode(image.convert("L"), "PNG"),
        "png-palette": encode(image.quantize(64), "PNG"),
        "png-alpha": encode(image.convert("RGBA"), "PNG"),
        "webp": encode(image, "WEBP", quality=90),
        "webp-lossless": encode(image, "WEBP", lossless=True),
        "webp-alpha": encode(image.convert("RGBA"), "WEBP"),
        "tiff": encode(image, "TIFF"),
        "tiff-lzw": encode(image, "TIFF", compression="tiff_lzw"),
        "tiff-deflate": encode(image, "TIFF", compression="tiff_deflate"),
        "tiff-jpeg": encode(image, "TIFF", compression="jpeg"),
        "tiff-packbits": encode(image, "TIFF", compression="packbits"),
        "bmp": encode(image, "BMP"),
        "gif": encode(image.quantize(64), "GIF"),
        "jpeg-2000": encode(image, "JPEG2000"),
        "avif": encode(image, "AVIF"),
    }


def cuts(content: bytes) -> list[int]:
    """Lengths to cut a file to: in its marks and header, in its tables, and through all of its data."""
    places = {*FIRST_CUTS, *(len(content) * twelfth // 12 for twelfth in CUTS_IN_TWELFTHS)}
    return sorted(place for place in places if place < len(content))


def truncated() -> Iterator[Named]:
    """Every kind of image, cut short."""
    for kind, content in good_images().items():
        for length in cuts(content):
            yield f"{kind} cut to {length} of {len(content)}", content[:length]


def other_types() -> Iterator[Named]:
    """Files that are something else, whatever they are called."""
    yield from (
        ("text", b"I am no image, only words.\n" * 40),
        ("html", b"<!DOCTYPE html><html><script>alert(1)</script></html>"),
        ("svg", b'<svg xmlns="http://www.w3.org/2000/svg" width="100" height="100"><rect width="9" height="9"/></svg>'),
        ("svg with an entity bomb", b'<!DOCTYPE s [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><svg>&b;</svg>'),
        ("json", b'{"image": "none"}'),
        ("javascript", b"for (;;) alert(document.cookie)"),
        ("php", b"<?php system($_GET['c']); ?>"),
        ("shell", b"#!/bin/sh\nrm -rf /\n"),
        ("pdf", b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF"),
        ("postscript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n(r) run\n"),
        ("elf", b"\x7fELF\x02\x01\x01" + bytes(200)),
        ("windows program", b"MZ\x90\x00" + bytes(200) + b"PE\0\0"),
        ("java class", b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(100)),
        ("python pickle", b"\x80\x04\x95\x0b\0\0\0\0\0\0\0\x8c\x02os\x94."),
        ("sqlite", b"SQLite format 3\0" + bytes(100)),
        ("gzip", gzip.compress(b"a" * 1000, mtime=0)),
        ("gzip of a jpeg", gzip.compress(good_images()["jpeg"], mtime=0)),
        ("zip", _zip()),
        ("tar", _tar()),
        ("7z", b"7z\xbc\xaf\x27\x1c\0\4" + bytes(60)),
        ("rar", b"Rar!\x1a\x07\x01\0" + bytes(60)),
        ("mp4", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(200)),
        ("heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)),
        ("avif", b"\0\0\0\x18ftypavif\0\0\0\0mif1avif" + bytes(200)),
        ("webm", b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x1fB\x86\x81\x01" + bytes(200)),
        ("avi", b"RIFF\xff\0\0\0AVI LIST" + bytes(200)),
        ("wav", b"RIFF\xff\0\0\0WAVEfmt " + bytes(200)),
        ("mp3", b"ID3\x04\0\0\0\0\0\0" + bytes(200)),
        ("flac", b"fLaC\0\0\0\x22" + bytes(200)),
        ("font", b"wOF2\0\1\0\0" + bytes(100)),
        ("photoshop", b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 72, 96, 8, 3) + bytes(200)),
        ("fits", b"SIMPLE  =                    T" + b" " * 2850),
        ("hdf5", b"\x89HDF\r\n\x1a\n" + bytes(100)),
        ("netpbm", encode(photograph(), "PPM")),
        ("icon", encode(photograph(64, 64), "ICO")),
        ("jpeg xl", b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(200)),
        ("jpeg xl codestream", b"\xff\x0a" + bytes(200)),
        ("targa", encode(photograph(), "TGA")),
        ("pcx", encode(photograph(), "PCX")),
        ("sgi", encode(photograph(), "SGI")),
        ("dds", encode(photograph(), "DDS")),
        ("xbm", encode(photograph().convert("1"), "XBM")),
        ("nothing but zeros", bytes(5000)),
        ("nothing but ones", b"\xff" * 5000),
        ("one byte", b"\xff"),
        ("blank", b" \n\t " * 50),
        ("base64 of a jpeg", b"/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJ"),
        ("data url", b"data:image/png;base64,iVBORw0KGgo="),
        ("utf-16 text", "kein Bild".encode("utf-16") * 20),
        ("dicom without its mark", bytes(300)),
        ("dicom at the wrong place", b"DICM" + bytes(300)),
    )
    random = np.random.default_rng(7)
    for number in range(12):
        yield f"random bytes {number}", random.bytes(10 ** (number % 4 + 1))


def _zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("lesion.jpg"), good_images()["jpeg"])
    return stream.getvalue()


def _tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("lesion.jpg"))
    return stream.getvalue()


def several_pictures() -> Iterator[Named]:
    """Animated and many-page files: nobody said which picture is meant."""
    other = Image.new("RGB", (WIDTH, HEIGHT), (9, 9, 9))
    for kind in ("GIF", "WEBP", "TIFF", "PNG"):
        for count in (1, 5, 30):
            yield f"{kind} of {count + 1} pictures", encode(photograph(), kind, save_all=True, append_images=[other] * count)


def chunk(kind: bytes, body: bytes, crc: int | None = None) -> bytes:
    """A chunk of a PNG, by default with the right checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) if crc is None else crc)


PNG_MARK = b"\x89PNG\r\n\x1a\n"
PNG_END = chunk(b"IEND", b"")


def png(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 2, interlace: int = 0) -> bytes:
    """A PNG of these chunks."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))
    return PNG_MARK + header + b"".join(chunks) + PNG_END


def jpeg_of_size(width: int, height: int) -> bytes:
    """A JPEG whose frame header claims another size."""
    content = bytearray(good_images()["jpeg"])
    at = content.index(b"\xff\xc0")
    content[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(content)


def tiff(*entries: tuple[int, int, int, int], data: bytes = b"") -> bytes:
    """A little-endian TIFF with one directory of (tag, type, count, value)."""
    body = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + body + bytes(4) + data


def rgb_tiff(width: int = WIDTH, height: int = HEIGHT, **changed: tuple[int, int, int]) -> bytes:
    """A TIFF of one strip; `changed` replaces entries by tag, for example t259=(3, 1, 8)."""
    entries = {256: (4, 1, width), 257: (4, 1, height), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1), 273: (4, 1, 200)}
    entries |= {277: (3, 1, 1), 278: (4, 1, height), 279: (4, 1, WIDTH * HEIGHT)}
    entries |= {int(tag[1:]): value for tag, value in changed.items()}
    content = tiff(*((tag, *value) for tag, value in entries.items()))
    return content + bytes(200 - len(content)) + bytes(WIDTH * HEIGHT)


def bombs() -> Iterator[Named]:
    """Small files that would become enormous, or keep a decoder busy for long."""
    zeros = zlib.compress(bytes(20_000 * 2501), 9)
    yield "png bomb of 20000x20000 bits", png(20_000, 20_000, chunk(b"IDAT", zeros), depth=1, colour=0)
    for width, height in (
        (20_000, 20_000),
        (2**31 - 1, 1),
        (2**31 - 1, 2**31 - 1),
        (1, 2**31 - 1),
        (65_536, 65_536),
        (7072, 7072),
    ):
        yield f"png header of {width}x{height}", png(width, height, chunk(b"IDAT", zlib.compress(bytes(1000))))
    for width, height in ((65_535, 65_535), (65_500, 40_000), (8000, 8000), (65_535, 1)):
        yield f"jpeg header of {width}x{height}", jpeg_of_size(width, height)
    for width, height in ((2**32 - 1, 2**32 - 1), (2**31, 1), (100_000, 100_000), (2**16, 2**15)):
        yield f"tiff header of {width}x{height}", rgb_tiff(width, height)
        yield f"tiff of one tile {width}x{height}", rgb_tiff(100, 100, t322=(4, 1, width), t323=(4, 1, height), t324=(4, 1, 200))
    for width, height in ((30_000, 30_000), (2**31 - 1, 2**31 - 1), (-20_000, 20_000), (20_000, -20_000)):
        yield f"bmp header of {width}x{height}", _changed("bmp", 18, struct.pack("<ii", width, height))
    yield "gif header of 65535x65535", _changed("gif", 6, b"\xff\xff\xff\xff")
    yield "webp canvas of 16777216x256", b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\xff\xff\0\0" + b"VP8 \0\0\0\0"
    webp = bytearray(good_images()["webp-lossless"])
    at = webp.index(b"VP8L") + 9
    webp[at : at + 4] = struct.pack("<I", 0x0FFFFFFF)
    yield "webp lossless of 16384x16384", bytes(webp)
    yield "tiff with 4 billion strips", rgb_tiff(t273=(4, 2**32 - 1, 8))
    yield "tiff whose directory has 65535 entries", b"II*\0\x08\0\0\0\xff\xff" + bytes(200)
    yield "png text of 80 million letters", png(64, 64, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(80_000_000), 1)))
    scan = _scans(good_images()["jpeg-progressive"])
    yield "jpeg of 4000 scans", scan[0] + scan[1] * 4000 + b"\xff\xd9"


def _scans(content: bytes) -> tuple[bytes, bytes]:
    """Header of a progressive JPEG claiming 4800x4800, and its second scan."""
    start = content.index(b"\xff\xda")
    first, second = (content.index(b"\xff\xc4", at + 2) for at in (start, content.index(b"\xff\xda", start + 2)))
    at = content.index(b"\xff\xc2")
    header = content[: at + 5] + struct.pack(">HH", 4800, 4800) + content[at + 9 : first]
    return header, content[first:second]


def _changed(kind: str, at: int, value: bytes) -> bytes:
    content = good_images()[kind]
    return content[:at] + value + content[at + len(value) :]


def damaged_png() -> Iterator[Named]:
    """Broken checksums, chunks in the wrong order, impossible headers."""
    data = zlib.compress(b"".join(b"\0" + bytes(3 * 64) for _ in range(64)))
    idat = chunk(b"IDAT", data)
    yield (
        "png with a wrong checksum of its header",
        PNG_MARK + chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0), 1) + idat,
    )
    yield "png without data", png(64, 64)
    yield "png with empty data", png(64, 64, chunk(b"IDAT", b""))
    yield "png without header", PNG_MARK + idat + PNG_END
    yield "png whose data is not deflated", png(64, 64, chunk(b"IDAT", bytes(500)))
    yield "png palette without palette", png(64, 64, chunk(b"IDAT", data[: len(data) // 2]), colour=3)
    yield "png with a chunk longer than the file", png(64, 64) + b"\x7f\xff\xff\xffIDAT"
    for depth, colour in ((3, 2), (0, 0), (64, 2), (8, 5), (8, 9), (16, 3), (1, 2)):
        yield f"png of depth {depth} and colour {colour}", png(64, 64, idat, depth=depth, colour=colour)
    for width, height in ((0, 64), (64, 0), (0, 0)):
        yield f"png of {width}x{height}", png(width, height, idat)
    corrupt = bytearray(data)
    corrupt[2:8] = b"\xff" * 6
    yield "png with broken deflate data", png(64, 64, chunk(b"IDAT", bytes(corrupt)))


def damaged_jpeg() -> Iterator[Named]:
    """Segments missing, of wrong length, or of processes that nobody uses."""
    content = good_images()["jpeg"]
    start, tables, scan = (content.index(mark) for mark in (b"\xff\xc0", b"\xff\xc4", b"\xff\xda"))
    yield "jpeg without quantisation tables", content[:2] + content[start:]
    yield "jpeg without frame header", content[:start] + content[tables:]
    yield "jpeg without scan", content[:scan] + b"\xff\xd9"
    yield "jpeg of nothing but start and end", b"\xff\xd8\xff\xd9"
    yield "jpeg of nothing but comments", b"\xff\xd8" + b"\xff\xfe\0\x06abcd" * 1000
    for marker in (0xC5, 0xC6, 0xC7, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF):
        yield f"jpeg of process {marker:02X}", content[: start + 1] + bytes([marker]) + content[start + 2 :]
    for precision in (1, 7, 12, 16, 255):
        yield f"jpeg of {precision} bits", content[: start + 4] + bytes([precision]) + content[start + 5 :]
    for samples in (0, 2, 5, 255):
        yield f"jpeg of {samples} samples", content[: start + 9] + bytes([samples]) + content[start + 10 :]
    for width, height in ((0, 72), (96, 0), (0, 0)):
        yield f"jpeg of {width}x{height}", jpeg_of_size(width, height)
    for length in (0, 1, 2, 5, 65_535):
        yield (
            f"jpeg whose frame header has {length} bytes",
            content[: start + 2] + struct.pack(">H", length) + content[start + 4 :],
        )


def damaged_others() -> Iterator[Named]:
    """TIFF, BMP, GIF and WebP with impossible fields."""
    for kind in (0, 7, 99, 34_712, 50_001, 65_535):
        yield f"tiff of compression {kind}", rgb_tiff(t259=(3, 1, kind))
    for bits in (0, 3, 24, 64):
        yield f"tiff of {bits} bits", rgb_tiff(t258=(3, 1, bits))
    yield "tiff of floats", encode(Image.fromarray(np.ones((64, 64), np.float32)), "TIFF")
    yield "tiff of 32-bit integers", encode(Image.fromarray(np.ones((64, 64), np.int32)), "TIFF")
    yield "tiff without strips", tiff((256, 4, 1, 96), (257, 4, 1, 72), (258, 3, 1, 8), (262, 3, 1, 1))
    yield "tiff without directory", b"II*\0" + struct.pack("<I", 2**31)
    yield "tiff whose strip lies beyond its end", rgb_tiff(t273=(4, 1, 2**31))
    yield "tiff with an empty directory", tiff()
    yield "big tiff header alone", b"II+\0\x08\0\0\0" + struct.pack("<Q", 2**40)
    for size in (0, 1, 13, 255, 2**31):
        yield f"bmp header of {size} bytes", _changed("bmp", 14, struct.pack("<I", size))
    for bits in (0, 2, 3, 64, 65_535):
        yield f"bmp of {bits} bits", _changed("bmp", 28, struct.pack("<H", bits))
    for kind in (1, 2, 4, 5, 77):
        yield f"bmp of compression {kind}", _changed("bmp", 30, struct.pack("<I", kind))
    yield "bmp whose pixels lie beyond its end", _changed("bmp", 10, struct.pack("<I", 2**31 - 1))
    gif = good_images()["gif"]
    yield "gif without pictures", gif[:13] + bytes(3 * 64) + b";"
    yield "gif of nothing but its mark", b"GIF89a"
    webp = good_images()["webp"]
    yield "webp without its first frame", webp[:12] + b"VP8 \x0a\0\0\0" + bytes(10)
    yield "webp with a broken key frame", webp[:23] + b"\0\0\0" + webp[26:]
    yield "webp of an unknown chunk", webp[:12] + b"ABCD" + webp[16:]


def too_small() -> Iterator[Named]:
    """Whole images that are too small to be judged."""
    for kind, (width, height) in itertools.product(
        ("JPEG", "PNG", "WEBP", "TIFF", "BMP"), ((1, 1), (31, 500), (500, 31), (16, 16))
    ):
        yield f"{kind} of {width}x{height}", encode(photograph(width, height), kind)


def tolerated() -> Iterator[Named]:
    """Damaged or odd, and yet decoded whole by their libraries: these get an answer, and do not count among the bad."""
    jpeg, webp = good_images()["jpeg"], good_images()["webp"]
    data = zlib.compress(b"".join(b"\0" + bytes(3 * 64) for _ in range(64)))
    yield "jpeg and zip in one", jpeg + _zip()
    yield "jpeg and html in one", jpeg + b"<script>alert(1)</script>"
    yield "jpeg with a comment of html", jpeg[:2] + b"\xff\xfe\x00\x1b<script>alert(1)</script>" + jpeg[2:]
    yield "gif and javascript in one", good_images()["gif"] + b"/*alert(1)*/"
    yield "png and zip in one", good_images()["png"] + _zip()
    yield "webp and more", webp + b"more"
    yield "jpeg with a broken exif block", jpeg[:2] + b"\xff\xe1\x00\x10Exif\0\0MM\0\x2a\xff\xff\xff\xff" + jpeg[2:]
    yield "png with a wrong checksum of its data", png(64, 64, chunk(b"IDAT", data, 1))
    yield "jpeg without its last byte pair", jpeg[:-2] + b"\xff\xd9"


@functools.cache
def bad_images() -> list[Named]:
    """All of the above, each content once."""
    kinds = (truncated, other_types, several_pictures, bombs, damaged_png, damaged_jpeg, damaged_others, too_small)
    found = {content: name for kind in kinds for name, content in kind()}
    return [(name, content) for content, name in found.items()]
