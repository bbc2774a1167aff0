"""The header of a DICOM file: bombs are refused from it, and nothing of the patient is read."""

import contextlib
import io
import warnings
import zlib

import numpy as np
import pytest
from tests.data import dicom_files as make
from tests.data.dicom_files import SECRET, compressed, data_set, picture, plain, written
from tests.data.dicom_reading import codestream, lossless_files, pixels, refusal

from lesionlens.core.errors import ImageError
from lesionlens.data.dicom import header as dicom_header
from lesionlens.data.dicom.header import BoundedReader, is_dicom_head, read_header
from lesionlens.data.image import decode_image, open_image


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

    def test_deflated_zeros(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dicom_header, "MAX_INFLATED_BYTES", 1 << 25)
        body = make.raw_element(8, 0x16, b"UI", make.DERMOSCOPY.encode()) + b"\x09\x00\x10\x00UN\0\0\xff\xff\xff\x7f"
        deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        packed = deflate.compress(body)
        for _ in range(40):
            packed += deflate.compress(bytes(1 << 20))
        assert "inflates to more than" in refusal(make.file_head(make.DEFLATED) + packed + deflate.flush())

    def test_items_without_end(self) -> None:
        items = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + b"\xfe\xff\x0d\xe0\0\0\0\0"
        sequence = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff"
        assert "too many DICOM elements (more than 20,000 reads)" in refusal(make.file_head() + sequence + items * 200_000)
        assert "too many DICOM elements" in refusal(make.file_head() + sequence + b"\xfe\xff\x00\xe0\0\0\0\0" * 200_000)

    def test_elements_without_end(self) -> None:
        assert "too many DICOM elements" in refusal(make.file_head() + b"\x09\0\x01\0LO\0\0" * 200_000)

    def test_a_header_of_many_megabytes(self) -> None:
        item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + make.raw_element(9, 0x10, b"OB", bytes(1 << 20))
        sequence = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff"
        assert "too many DICOM elements" in refusal(make.file_head() + sequence + (item + b"\xfe\xff\x0d\xe0\0\0\0\0") * 40)

    def test_sequences_in_sequences(self) -> None:
        nested = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
        assert "nests DICOM sequences too deeply" in refusal(make.file_head() + nested * 5000)

    def test_rle_that_unpacks_to_more(self) -> None:
        segment = b"\x81\x00" * 1_000_000  # 128 zeros for each two bytes
        stream = np.array([3, 64, 2_000_064, 4_000_064, *[0] * 12], "<u4").tobytes() + 3 * segment
        assert np.array_equal(
            pixels(compressed([stream], picture(), make.RLE)), np.zeros((40, 48, 3))
        )  # what is beyond is not read


class TestSecrecy:
    def test_no_element_of_the_patient_is_ever_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        values: list[bytes] = []
        read = BoundedReader.read

        def watched(self: BoundedReader, size: int = -1) -> bytes:
            values.append(read(self, size))
            return values[-1]

        monkeypatch.setattr(BoundedReader, "read", watched)
        for content in lossless_files(picture(), "RGB").values():
            assert SECRET[:16].encode() in content or b"DICM" in content
            open_image(content)
        assert make.DERMOSCOPY.encode() in b"".join(values)
        assert SECRET[:8].encode() not in b"".join(values)

    def test_a_sequence_of_undefined_length_is_dropped(self) -> None:
        ds = data_set(picture())
        ds["AcquisitionDeviceTypeCodeSequence"].is_undefined_length = True
        header = read_header(io.BytesIO(written(ds)), "image")
        assert SECRET not in str(header.elements)
        assert {element.keyword for element in header.elements} <= set(dicom_header.KEYWORDS)

    def test_acquisition_passes_on_codes_and_numbers_only(self) -> None:
        elements = {"LightSourcePolarization": "YES", "ContactMethod": "ABCDEF", "ImmersionMedia": ["OIL", "WATER"]}
        content = plain(**elements, OpticalMagnificationFactor="10.5")
        whole = {"polarization": "YES", "contact": "ABCDEF", "immersion": "OIL, WATER", "magnification": "10.5"}
        assert decode_image(content).acquisition == whole
        del whole["contact"]
        assert decode_image(content.replace(b"ABCDEF", b"Anna B")).acquisition == whole
        assert decode_image(plain()).acquisition == {}

    @pytest.mark.parametrize(
        ("value", "spacing", "usable"),
        [(["0.05", "0.04"], (0.05, 0.04), True), (None, None, True), (["0", "1"], None, False), (["1", "99"], None, False)],
    )
    def test_pixel_spacing(self, value: object, spacing: object, usable: bool) -> None:
        found = decode_image(plain(**({} if value is None else {"PixelSpacing": value})))
        assert found.pixel_spacing_mm == spacing
        assert usable != any("pixel spacing" in note for note in found.notes)

    def test_pixel_spacing_that_is_no_number_costs_no_picture(self) -> None:
        content = plain(PixelSpacing=["0.0512", "0.0423"]).replace(b"0.0512", b"Anna B")
        found = decode_image(content)
        assert found.pixel_spacing_mm is None
        assert [note for note in found.notes if "pixel spacing" in note]
        assert "Anna" not in str(found.notes)

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


class TestRecognised:
    """By content, whatever the name."""

    @pytest.mark.parametrize("syntax", [make.EXPLICIT, make.IMPLICIT, make.BIG_ENDIAN])
    @pytest.mark.parametrize("begin", ["meta information", "data set"])
    def test_without_preamble(self, syntax: str, begin: str) -> None:
        content = plain(syntax=syntax)[132:]
        if begin == "data set":
            content = content[content.index(b"\x08\0\x16\0" if syntax != make.BIG_ENDIAN else b"\0\x08\0\x16") :]
        assert is_dicom_head(content[:132])
        decoded = decode_image(content)
        assert np.array_equal(np.asarray(decoded.image), picture())
        assert [note.startswith("the DICOM file has no meta information") for note in decoded.notes] == [True] * (
            begin == "data set"
        )

    @pytest.mark.parametrize("syntax", [make.JPEG_2000, make.JPEG_LS, make.RLE, make.BASELINE])
    def test_compressed_without_meta_information(self, syntax: str) -> None:
        content = (
            compressed([make.jpeg_bytes(picture())], picture(), syntax, "YBR_FULL_422")
            if syntax == make.BASELINE
            else lossless_files(picture(), "RGB")[syntax]
        )
        whole = pixels(content)
        assert np.array_equal(pixels(content[content.index(b"\x08\0\x16\0") :]), whole)

    @pytest.mark.parametrize(
        "head", [b"", b"\x08\0", b"\xff\xd8\xff\xe0" + bytes(200), b"\x02\0 and some text" * 20, bytes(300), b"\x08" * 300]
    )
    def test_other_files_are_not(self, head: bytes) -> None:
        assert not is_dicom_head(head[:132])
