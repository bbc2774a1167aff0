"""DICOM codecs: every transfer syntax against the source pixels and against pydicom."""

import io
from pathlib import Path

import numpy as np
import openjpeg.utils
import pytest
from PIL import Image
from tests.data import dicom_files as make
from tests.data.dicom_files import compressed, data_set, grey, picture, plain, without_segments, written
from tests.data.dicom_reading import by_pydicom, codestream, jpeg_ls, lossless_files, pixels

from lesionlens.data.dicom.codecs import OTHER_COLOURS
from lesionlens.data.dicom.reader import decode_dicom
from lesionlens.data.image import decode_image, open_image


class TestLossless:
    @pytest.mark.parametrize("syntax", list(lossless_files(picture(), "RGB")))
    def test_colour_keeps_every_pixel(self, syntax: str) -> None:
        content = lossless_files(picture(), "RGB")[syntax]
        assert np.array_equal(pixels(content), picture())
        assert np.array_equal(by_pydicom(content), picture())

    @pytest.mark.parametrize("syntax", [make.LOSSLESS, make.LOSSLESS_SV1])
    def test_lossless_jpeg_by_gdcm(self, syntax: str) -> None:
        assert np.array_equal(pixels(compressed([make.lossless_jpeg("colour")], picture(), syntax)), picture())
        content = compressed([make.lossless_jpeg("grey")], grey(), syntax, "MONOCHROME2")
        assert np.array_equal(pixels(content)[:, :, 0], grey())

    @pytest.mark.parametrize("syntax", list(lossless_files(grey(), "MONOCHROME2")))
    def test_grey_becomes_three_equal_channels(self, syntax: str) -> None:
        content = lossless_files(grey(), "MONOCHROME2")[syntax]
        assert np.array_equal(pixels(content), np.repeat(grey()[:, :, None], 3, axis=2))

    @pytest.mark.parametrize(
        "syntax", [make.IMPLICIT, make.EXPLICIT, make.DEFLATED, make.BIG_ENDIAN, make.RLE, make.JPEG_LS, make.JPEG_2000]
    )
    def test_16_bit_grey_keeps_its_high_byte(self, syntax: str) -> None:
        content = lossless_files(grey(16), "MONOCHROME2")[syntax]
        assert np.array_equal(pixels(content)[:, :, 1], grey(16) >> 8)
        assert np.array_equal(by_pydicom(content), grey(16))

    @pytest.mark.parametrize("syntax", [make.EXPLICIT, make.BIG_ENDIAN, make.JPEG_LS, make.JPEG_2000])
    def test_16_bit_colour_keeps_its_high_byte(self, syntax: str) -> None:
        deep = np.random.default_rng(0).integers(0, 65536, (40, 48, 3)).astype(np.uint16)
        content = (
            plain(deep, syntax)
            if syntax in (make.EXPLICIT, make.BIG_ENDIAN)
            else compressed([codestream(syntax, deep)], deep, syntax)
        )
        assert np.array_equal(pixels(content), deep >> 8)

    @pytest.mark.parametrize("size", [(33, 35), (64, 32), (41, 127)])
    def test_odd_sizes(self, size: tuple[int, int]) -> None:
        for content in lossless_files(picture(*size), "RGB").values():
            assert np.array_equal(pixels(content), picture(*size))

    @pytest.mark.parametrize("syntax", [make.EXPLICIT, make.BIG_ENDIAN, make.IMPLICIT])
    def test_planes(self, syntax: str) -> None:
        planes = np.ascontiguousarray(picture().transpose(2, 0, 1))
        content = plain(picture(), syntax, PlanarConfiguration=1, PixelData=planes.tobytes())
        assert np.array_equal(pixels(content), picture())

    def test_jpeg_ls_in_planes(self) -> None:
        stream = bytes(jpeg_ls.encode_array(np.ascontiguousarray(picture().transpose(2, 0, 1)), interleave_mode=0))
        content = compressed([stream], picture(), make.JPEG_LS, PlanarConfiguration=1)
        assert np.array_equal(pixels(content), picture())

    def test_big_endian_bytes_written_as_words(self) -> None:
        swapped = picture().reshape(-1, 2)[:, ::-1].tobytes()
        ds = data_set(picture(), PixelData=swapped)
        content = written(ds, make.BIG_ENDIAN)
        at = content.index(b"\x7f\xe0\x00\x10OB")
        assert np.array_equal(pixels(content[:at] + b"\x7f\xe0\x00\x10OW" + content[at + 6 :]), picture())

    def test_unused_high_bits_are_not_seen(self) -> None:
        stored = grey(12) | np.uint16(0xA000)
        content = plain(stored, photometric="MONOCHROME2", BitsStored=12, HighBit=11)
        assert np.array_equal(pixels(content)[:, :, 0], grey(12) >> 4)

    @pytest.mark.parametrize("syntax", [make.JPEG_LS, make.JPEG_2000])
    def test_12_bits_in_a_codestream(self, syntax: str) -> None:
        if syntax == make.JPEG_LS:
            stream = bytes(jpeg_ls.encode_buffer(grey(12).tobytes(), 40, 48, 1, 12))
        else:
            stream = openjpeg.utils.encode_array(grey(12), bits_stored=12, photometric_interpretation=2)
        content = compressed([stream], grey(12), syntax, "MONOCHROME2", BitsStored=12, HighBit=11)
        assert np.array_equal(pixels(content)[:, :, 0], grey(12) >> 4)

    def test_a_path_and_its_bytes_give_the_same(self, tmp_path: Path) -> None:
        path = tmp_path / "no-ending"
        path.write_bytes(plain())
        assert np.array_equal(np.asarray(open_image(path)), picture())
        with path.open("rb") as stream:
            assert np.array_equal(np.asarray(decode_dicom(stream, "a").image), picture())

    def test_the_photograph_class_and_a_class_only_in_the_meta_information(self) -> None:
        assert pixels(plain(SOPClassUID=make.PHOTOGRAPH)).shape == (40, 48, 3)
        assert pixels(written(data_set(picture(), SOPClassUID=None), MediaStorageSOPClassUID=make.DERMOSCOPY)).shape == (
            40,
            48,
            3,
        )


class TestLossy:
    def test_baseline_is_what_pillow_reads_from_the_jpeg_alone(self) -> None:
        stream = make.jpeg_bytes(picture())
        content = compressed([stream], picture(), make.BASELINE, "YBR_FULL_422")
        assert np.array_equal(pixels(content), np.asarray(Image.open(io.BytesIO(stream))))

    def test_baseline_against_pydicom(self) -> None:
        content = compressed([make.jpeg_bytes(picture())], picture(), make.BASELINE, "YBR_FULL_422")
        # pydicom converts YCbCr in floating point, libjpeg in fixed point: each may round another way.
        assert np.abs(pixels(content).astype(int) - by_pydicom(content)).max() <= 2

    def test_a_jfif_header_is_believed_where_the_data_set_says_rgb(self) -> None:
        content = compressed([make.jpeg_bytes(picture())], picture(), make.BASELINE, "RGB")
        # 95 of 100, no subsampling: the noise of 0 to 8 is what is lost.
        assert np.abs(pixels(content).astype(int) - picture()).mean() < 3

    def test_rgb_without_any_header_is_rgb_where_the_data_set_says_so(self) -> None:
        content = compressed([make.rgb_jpeg_without_markers(picture())], picture(), make.BASELINE, "RGB")
        assert np.abs(pixels(content).astype(int) - picture()).mean() < 3
        assert np.abs(pixels(content).astype(int) - by_pydicom(content)).max() <= 2

    def test_ycbcr_without_any_header(self) -> None:
        stream = make.without_segments(make.jpeg_bytes(picture()), 0xE0)
        content = compressed([stream], picture(), make.BASELINE, "YBR_FULL_422")
        assert np.abs(pixels(content).astype(int) - picture()).mean() < 3

    def test_extended_with_8_bits(self) -> None:
        stream = make.jpeg_bytes(picture()).replace(b"\xff\xc0", b"\xff\xc1", 1)
        content = compressed([stream], picture(), make.EXTENDED, "YBR_FULL")
        assert np.abs(pixels(content).astype(int) - picture()).mean() < 3

    def test_grey_baseline(self) -> None:
        content = compressed([make.jpeg_bytes(grey(), subsampling=-1)], grey(), make.BASELINE, "MONOCHROME2")
        assert np.abs(pixels(content)[:, :, 0].astype(int) - grey()).max() <= 3

    def test_jpeg_ls_near_lossless_stays_within_its_bound(self) -> None:
        stream = bytes(jpeg_ls.encode_array(picture(), lossy_error=3, interleave_mode=2))
        content = compressed([stream], picture(), make.JPEG_LS_NEAR)
        assert 0 < np.abs(pixels(content).astype(int) - picture()).max() <= 3
        assert np.array_equal(pixels(content), by_pydicom(content))

    @pytest.mark.parametrize("photometric", ["YBR_ICT", "RGB"])
    def test_jpeg_2000_lossy(self, photometric: str) -> None:
        stream = openjpeg.utils.encode_array(picture(), photometric_interpretation=1, compression_ratios=[4])
        content = compressed([stream], picture(), make.JPEG_2000_LOSSY, photometric)
        assert np.abs(pixels(content).astype(int) - picture()).mean() < 4
        assert np.abs(pixels(content).astype(int) - by_pydicom(content)).max() <= 1  # pydicom may round YCbCr another way

    def test_jpeg_2000_reversible_colour(self) -> None:
        content = compressed([codestream(make.JPEG_2000, picture())], picture(), make.JPEG_2000, "YBR_RCT")
        assert np.array_equal(pixels(content), picture())

    @pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
    def test_lossless_jpeg_without_any_header_is_what_the_data_set_says(self, photometric: str) -> None:
        stream = make.without_segments(make.lossless_jpeg("colour" if photometric == "RGB" else "ycbcr"), 0xEE)
        stream = stream.replace(b"\x03R\x11\0G\x11\0B\x11", b"\x03\x01\x11\0\x02\x11\0\x03\x11").replace(
            b"\x03R\0G\0B\0", b"\x03\x01\0\x02\0\x03\0"
        )
        content = compressed([stream], picture(), make.LOSSLESS_SV1, photometric)
        assert np.abs(pixels(content).astype(int) - picture()).max() <= 3  # a turn to YCbCr of whole numbers and back


class TestWrongLabels:
    """The pixels tell what they are; a label that contradicts them is noted."""

    def decode(self, content: bytes) -> tuple[np.ndarray, tuple[str, ...]]:
        decoded = decode_image(content)
        return np.asarray(decoded.image), decoded.notes

    @pytest.mark.parametrize("syntax", [make.EXPLICIT, make.IMPLICIT, make.BIG_ENDIAN])
    @pytest.mark.parametrize("size", [(40, 48), (33, 35)])
    def test_raw_rgb_labelled_ybr_full_422(self, syntax: str, size: tuple[int, int]) -> None:
        image, notes = self.decode(plain(picture(*size), syntax, "YBR_FULL_422"))
        assert np.array_equal(image, picture(*size))
        assert notes == ("pixels are labelled YBR_FULL_422, but their length is that of RGB; they were taken as RGB",)

    @pytest.mark.parametrize("photometric", ["YBR_FULL", "YBR_FULL_422"])
    def test_jpeg_2000_that_transforms_its_colours(self, photometric: str) -> None:
        stream = openjpeg.utils.encode_array(picture(), photometric_interpretation=1, use_mct=True)
        image, notes = self.decode(compressed([stream], picture(), make.JPEG_2000, photometric))
        assert np.array_equal(image, picture())
        assert notes == (OTHER_COLOURS,)

    def test_jpeg_2000_without_transform_is_what_the_data_set_says(self) -> None:
        ybr = np.asarray(Image.fromarray(picture()).convert("YCbCr"))
        stream = openjpeg.utils.encode_array(ybr, photometric_interpretation=3, use_mct=False)
        image, notes = self.decode(compressed([stream], ybr, make.JPEG_2000, "YBR_FULL"))
        assert np.abs(image.astype(int) - picture()).max() <= 3
        assert notes == ()
        stream = openjpeg.utils.encode_array(picture(), photometric_interpretation=1, use_mct=False)
        image, notes = self.decode(compressed([stream], picture(), make.JPEG_2000, "YBR_RCT"))
        assert np.array_equal(image, picture())
        assert notes == (OTHER_COLOURS,)

    @pytest.mark.parametrize("photometric", ["RGB", "YBR_RCT"])
    def test_boxed_jpeg_2000(self, photometric: str) -> None:
        stream = openjpeg.utils.encode_array(picture(), photometric_interpretation=1, codec_format=1)
        assert stream[4:8] == b"jP  "
        image, notes = self.decode(compressed([stream], picture(), make.JPEG_2000, photometric))
        assert np.array_equal(image, picture())
        assert notes == ()

    def test_jpeg_by_adobe(self) -> None:
        stream = io.BytesIO()
        Image.fromarray(picture()).save(stream, "JPEG", quality=95, subsampling=0)
        adobe = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x01"
        jpeg = without_segments(stream.getvalue(), 0xE0)
        for photometric, said in (("YBR_FULL_422", ()), ("RGB", (OTHER_COLOURS,))):
            image, notes = self.decode(compressed([jpeg[:2] + adobe + jpeg[2:]], picture(), make.BASELINE, photometric))
            assert np.abs(image.astype(int) - picture()).mean() < 3
            assert notes == said
