"""The walk through a DICOM file: bombs are refused from their headers, and nothing of the patient is read."""

import contextlib
import io
import warnings

import numpy as np
import pytest
from tests.data import dicom_files as make
from tests.data.dicom_files import SECRET, compressed, picture, plain
from tests.data.dicom_reading import codestream, lossless_files, pixels, refusal

from lesionlens.core.errors import ImageError
from lesionlens.data.dicom import elements as dicom_elements
from lesionlens.data.image import open_image


class TestBombs:
    """Each is refused from its header: were anything decoded, it would take gigabytes or minutes."""

    def test_pixels(self) -> None:
        elements = {"Rows": 40_000, "Columns": 40_000}
        for syntax in (make.EXPLICIT, make.DEFLATED):
            assert "40000x40000 pixels; the most is 50,000,000" in refusal(plain(syntax=syntax, **elements))
        assert "48x40 pixels; the most is 1,919" in refusal(plain(), max_pixels=1919)

    def test_a_codestream_larger_than_the_data_set_says(self) -> None:
        stream = bytearray(make.jpeg_bytes(picture()))
        at = stream.index(b"\xff\xc0")
        stream[at + 5 : at + 9] = b"\xff\xff\xff\xff"
        assert "65535x65535" in refusal(compressed([bytes(stream)], picture(), make.BASELINE))

    def test_tiles(self) -> None:
        stream = bytearray(codestream(make.JPEG_2000, picture(128, 128)))
        stream[8:40] = np.array([128, 128, 0, 0, 1, 1, 0, 0], ">u4").tobytes()
        assert "tiles" in refusal(compressed([bytes(stream)], picture(128, 128), make.JPEG_2000))

    def test_deflated_zeros(self) -> None:
        import zlib

        body = make.raw_element(8, 0x16, b"UI", make.DERMOSCOPY.encode()) + b"\x09\x00\x10\x00UN\0\0\xff\xff\xff\x7f"
        deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        packed = deflate.compress(body)
        for _ in range(40):
            packed += deflate.compress(bytes(1 << 20))
        assert "inflates to more than" in refusal(make.file_head(make.DEFLATED) + packed + deflate.flush())

    def test_items_without_end(self) -> None:
        items = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + b"\xfe\xff\x0d\xe0\0\0\0\0"
        sequence = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff"
        assert "100,000 DICOM elements" in refusal(make.file_head() + sequence + items * 200_000)

    def test_sequences_in_sequences(self) -> None:
        nested = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
        assert "more than 64 deep" in refusal(make.file_head() + nested * 5000)

    def test_rle_that_unpacks_to_more(self) -> None:
        segment = b"\x81\x00" * 1_000_000  # 128 zeros for each two bytes
        stream = np.array([3, 64, 2_000_064, 4_000_064, *[0] * 12], "<u4").tobytes() + 3 * segment
        assert np.array_equal(
            pixels(compressed([stream], picture(), make.RLE)), np.zeros((40, 48, 3))
        )  # what is beyond is not read


class TestSecrecy:
    def test_only_the_pixel_module_is_ever_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[bytes] = []
        read = dicom_elements._read

        def watched(stream: dicom_elements.Stream, length: int, name: str) -> bytes:
            seen.append(read(stream, length, name))
            return seen[-1]

        monkeypatch.setattr(dicom_elements, "_read", watched)
        opened = {**lossless_files(picture(), "RGB")}
        for content in opened.values():
            open_image(content)
        assert SECRET[:16].encode() in b"".join(seen)  # the sender's title stands in the file meta information, and is dropped
        seen.clear()
        for syntax, content in opened.items():
            stream = io.BytesIO(content)
            dicom_elements.read_meta(stream, "image")
            seen.clear()
            coding = dicom_elements.Coding(syntax == make.IMPLICIT, syntax != make.BIG_ENDIAN)
            if syntax != make.DEFLATED:
                dicom_elements.read_elements(stream, len(content), coding, (0x00280010,), "image")
        assert SECRET.encode() not in b"".join(seen)

    def test_a_name_in_a_field_that_is_quoted(self) -> None:
        message = refusal(plain(PhotometricInterpretation="CMYK"), max_pixels=9999)
        assert "CMYK" in message
        content = plain().replace(b"RGB ", b"Anna")
        assert "Anna" not in refusal(content)
        assert "A???" in refusal(content)

    def test_nothing_is_logged_or_warned(self, caplog: pytest.LogCaptureFixture) -> None:
        for content in (plain(), plain()[:900], plain(Rows=None)):
            with warnings.catch_warnings(record=True) as raised:
                warnings.simplefilter("always")
                with contextlib.suppress(ImageError):
                    open_image(content)
            assert not raised
        assert not caplog.records
