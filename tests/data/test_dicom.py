"""DICOM: every transfer syntax and photometric interpretation against the source pixels and against pydicom."""

import contextlib
import io
import sys
import warnings
from pathlib import Path

import numpy as np
import openjpeg.utils
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.pixels import apply_color_lut, apply_voi_lut, pixel_array
from tests.data import dicom_files as make
from tests.data.dicom_files import SECRET, compressed, data_set, grey, picture, plain, written

from lesionlens.core.errors import ImageError
from lesionlens.data import dicom_elements
from lesionlens.data.dicom import count_frames, open_dicom
from lesionlens.data.image import open_image

jpeg_ls = pytest.importorskip("jpeg_ls", reason="pyjpegls is not installed")


def pixels(content: bytes, frame: int = 0) -> np.ndarray:
    return np.asarray(open_image(content, frame=frame))


def by_pydicom(content: bytes, index: int | None = None) -> np.ndarray:
    """What pydicom makes of it, by its own reading of the file and its own conversions."""
    ds = pydicom.dcmread(io.BytesIO(content))
    syntax = ds.file_meta.TransferSyntaxUID
    plugin = {make.RLE: "pydicom", make.JPEG_LS: "pyjpegls", make.JPEG_LS_NEAR: "pyjpegls"}.get(syntax, "pillow")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pixel_array(ds, index=index, decoding_plugin=plugin if syntax.is_encapsulated else "")


def codestream(syntax: str, values: np.ndarray) -> bytes:
    if syntax == make.JPEG_LS:
        return bytes(jpeg_ls.encode_array(values, interleave_mode=2 if values.ndim == 3 else 0))
    return openjpeg.utils.encode_array(values, photometric_interpretation=1 if values.ndim == 3 else 2)


def lossless_files(values: np.ndarray, photometric: str) -> dict[str, bytes]:
    found = {
        syntax: plain(values, syntax, photometric) for syntax in (make.IMPLICIT, make.EXPLICIT, make.DEFLATED, make.BIG_ENDIAN)
    }
    ds = data_set(values, photometric)
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    ds.compress(pydicom.uid.RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
    found[make.RLE] = written(ds, make.RLE)
    for syntax in (make.JPEG_LS, make.JPEG_2000):
        found[syntax] = compressed([codestream(syntax, values)], values, syntax, photometric)
    return found


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

    @pytest.mark.parametrize("syntax", [make.EXPLICIT, make.BIG_ENDIAN, make.JPEG_LS])
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
        assert np.array_equal(np.asarray(open_dicom(path)), picture())

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


class TestColours:
    def test_ybr_full(self) -> None:
        stored = np.asarray(Image.fromarray(picture()).convert("YCbCr"))
        content = plain(stored, photometric="YBR_FULL")
        assert np.abs(pixels(content).astype(int) - picture()).max() <= 3  # whole numbers there and back
        assert np.abs(pixels(content).astype(int) - by_pydicom(content)).max() <= 1

    def test_ybr_full_422(self) -> None:
        full = np.asarray(Image.fromarray(picture()).convert("YCbCr"))
        pairs = full.reshape(-1, 2, 3)
        stored = np.concatenate([pairs[:, :, 0], pairs[:, :1, 1], pairs[:, :1, 2]], axis=1).astype(np.uint8)
        content = plain(full, photometric="YBR_FULL_422", PixelData=stored.tobytes())
        assert np.abs(pixels(content).astype(int) - by_pydicom(content)).max() <= 1

    def test_monochrome1_is_white_at_0(self) -> None:
        assert np.array_equal(pixels(plain(grey(), photometric="MONOCHROME1"))[:, :, 0], 255 - grey())

    def test_palette(self) -> None:
        index = grey() // 2
        tables = [np.random.default_rng(seed).integers(0, 65536, 128).astype("<u2") for seed in range(3)]
        content = plain(index, photometric="PALETTE COLOR", **palette_elements(tables, [128, 0, 16]))
        expected = apply_color_lut(index, pydicom.dcmread(io.BytesIO(content)))
        assert np.array_equal(pixels(content), expected >> 8)

    def test_palette_by_hand(self) -> None:
        index = np.full((32, 32), 7, np.uint8)
        index[0, :4] = [9, 10, 11, 200]  # first entry 10: below it the first, beyond the last the last
        tables = [np.array([0x0100, 0x0302], "<u2")] * 3  # entries 0, 1, 2, 3 of 8 bits, two to a word
        content = plain(index, photometric="PALETTE COLOR", **palette_elements(tables, [4, 10, 8]))
        assert pixels(content)[0, :5, 0].tolist() == [0, 0, 1, 3, 0]

    @pytest.mark.parametrize("syntax", [make.BIG_ENDIAN, make.IMPLICIT])
    def test_palette_in_other_byte_orders(self, syntax: str) -> None:
        tables = [np.arange(256, dtype="<u2") * 257] * 3
        ds = data_set(grey(), "PALETTE COLOR", **palette_elements(tables, [256, 0, 16]))
        if syntax == make.BIG_ENDIAN:
            for keyword in [f"{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")]:
                setattr(ds, keyword, np.frombuffer(getattr(ds, keyword), "<u2").astype(">u2").tobytes())
        assert np.array_equal(pixels(written(ds, syntax))[:, :, 2], grey())

    @pytest.mark.parametrize("window", [(2000, 1000), (2048, 4096), (10, 1), (300.5, 37.25)])
    @pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
    def test_window_against_pydicom(self, window: tuple[float, float], function: str) -> None:
        content = plain(
            grey(12),
            photometric="MONOCHROME2",
            BitsStored=12,
            HighBit=11,
            WindowCenter=[window[0], 5],
            WindowWidth=[window[1], 5],
            VOILUTFunction=function,
        )
        ds = pydicom.dcmread(io.BytesIO(content))
        shown = apply_voi_lut(ds.pixel_array, ds)  # in [0, 4095]
        assert np.abs(pixels(content)[:, :, 0] - shown / 4095 * 255).max() <= 0.5 + 1e-6

    def test_rescale_moves_the_window(self) -> None:
        stored = np.full((32, 32), 100, np.uint8)
        stored[0] = 90
        rescale = {"RescaleSlope": 2, "RescaleIntercept": -100, "WindowCenter": 90, "WindowWidth": 20}
        content = plain(stored, photometric="MONOCHROME2", VOILUTFunction="LINEAR_EXACT", **rescale)
        # 90 becomes 80: (80 - 90) / 20 + 0.5 = 0; 100 becomes 100: 1.
        assert pixels(content)[:2, 0, 0].tolist() == [0, 255]

    def test_a_negative_slope_alone_inverts(self) -> None:
        content = plain(grey(), photometric="MONOCHROME2", RescaleSlope=-1, RescaleIntercept=255)
        assert np.array_equal(pixels(content)[:, :, 0], 255 - grey())

    def test_a_rescale_alone_changes_nothing(self) -> None:
        content = plain(grey(), photometric="MONOCHROME2", RescaleSlope=3, RescaleIntercept=7)
        assert np.array_equal(pixels(content)[:, :, 0], grey())


def palette_elements(tables: list[np.ndarray], descriptor: list[int]) -> dict[str, object]:
    colours = ("Red", "Green", "Blue")
    descriptors = {f"{colour}PaletteColorLookupTableDescriptor": descriptor for colour in colours}
    data = {f"{colour}PaletteColorLookupTableData": table.tobytes() for colour, table in zip(colours, tables, strict=True)}
    return {**descriptors, **data}


class TestFrames:
    FRAMES = np.stack([picture(seed=seed) for seed in range(3)])

    @pytest.mark.parametrize("syntax", [make.EXPLICIT, make.IMPLICIT, make.DEFLATED, make.BIG_ENDIAN])
    def test_native(self, syntax: str) -> None:
        content = plain(self.FRAMES, syntax, NumberOfFrames=3)
        assert count_frames(content) == 3
        for frame in range(3):
            assert np.array_equal(pixels(content, frame), self.FRAMES[frame])

    def fragments(self) -> list[bytes]:
        return [codestream(make.JPEG_2000, frame) for frame in self.FRAMES]

    @pytest.mark.parametrize("table", [True, False])
    def test_one_fragment_a_frame(self, table: bool) -> None:
        data = encapsulate(self.fragments(), has_bot=table)
        content = written(data_set(self.FRAMES, NumberOfFrames=3, PixelData=data), make.JPEG_2000)
        for frame in range(3):
            assert np.array_equal(pixels(content, frame), self.FRAMES[frame])

    def test_several_fragments_a_frame_by_the_table(self) -> None:
        data = encapsulate(self.fragments(), fragments_per_frame=3, has_bot=True)
        content = written(data_set(self.FRAMES, NumberOfFrames=3, PixelData=data), make.JPEG_2000)
        for frame in range(3):
            assert np.array_equal(pixels(content, frame), self.FRAMES[frame])

    def test_extended_offset_table(self) -> None:
        data, offsets, lengths = encapsulate_extended(self.fragments())
        elements = {"ExtendedOffsetTable": offsets, "ExtendedOffsetTableLengths": lengths}
        content = written(data_set(self.FRAMES, NumberOfFrames=3, PixelData=data, **elements), make.JPEG_2000)
        assert np.array_equal(pixels(content, 2), self.FRAMES[2])

    def test_one_frame_in_several_fragments(self) -> None:
        data = encapsulate(self.fragments()[:1], fragments_per_frame=5, has_bot=False)
        content = written(data_set(picture(), PixelData=data), make.JPEG_2000)
        assert np.array_equal(pixels(content), picture())

    def test_fragments_that_nothing_parts(self) -> None:
        data = encapsulate(self.fragments(), fragments_per_frame=3, has_bot=False)
        content = written(data_set(self.FRAMES, NumberOfFrames=3, PixelData=data), make.JPEG_2000)
        assert "9 fragments for 3 frames" in refusal(content)

    @pytest.mark.parametrize("frame", [3, -1, 10**12])
    def test_a_frame_that_is_not_there(self, frame: int) -> None:
        content = plain(self.FRAMES, NumberOfFrames=3)
        with pytest.raises(ImageError, match=f"has no frame {frame}; it has 3, counted from 0"):
            open_image(content, frame=frame)

    def test_other_files_have_one(self) -> None:
        content = make.jpeg_bytes(picture())
        assert count_frames(content) == 1
        with pytest.raises(ImageError, match="has no frame 1; only DICOM files have several"):
            open_image(content, frame=1)

    def test_count_of_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "a.dcm"
        path.write_bytes(plain(self.FRAMES, NumberOfFrames=3))
        assert count_frames(path) == 3
        path.write_bytes(plain())
        assert count_frames(path) == 1


def refusal(content: bytes, **options: int) -> str:
    """The one line that a file is refused with; nothing in it, or behind it, tells of the patient."""
    with pytest.raises(ImageError) as caught:
        open_image(content, **options)
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET.lower() not in repr(error).lower()
        error = error.__cause__
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestRefused:
    @pytest.mark.parametrize(
        ("elements", "words"),
        [
            ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "is a CT image; only VL Photographic Image and Dermoscopic"),
            ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}, "is an MR image"),
            ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1"}, "is an encapsulated PDF"),
            ({"SOPClassUID": "1.2.3.4"}, "is a DICOM file of another kind"),
            ({"PixelData": None}, "without pixels"),
            ({"Rows": None}, r"\(0028,0010\)"),
            ({"Rows": 0}, "48x0 pixels"),
            ({"Rows": 31}, "48x31 pixels; the shorter side needs at least 32"),
            ({"Columns": None}, r"\(0028,0011\)"),
            ({"SamplesPerPixel": 4}, "RGB has 3 samples a pixel"),
            ({"SamplesPerPixel": None}, r"\(0028,0002\)"),
            ({"PhotometricInterpretation": "CMYK"}, "'CMYK' is not read"),
            ({"PhotometricInterpretation": None}, "'' is not read"),
            ({"BitsAllocated": 32}, "has 32 bits a sample"),
            ({"BitsAllocated": 1}, "has 1 bits a sample"),
            ({"BitsStored": 0}, "0 bits stored"),
            ({"BitsStored": 9}, "9 bits stored"),
            ({"HighBit": 3}, "highest 3"),
            ({"PixelRepresentation": 1}, "signed"),
            ({"NumberOfFrames": 0}, "number of frames"),
            ({"NumberOfFrames": "2"}, "its size needs 11,520"),
            ({"Rows": 41}, "5,760 bytes of pixels; its size needs 5,904"),
            ({"PixelData": b""}, "0 bytes of pixels"),
            ({"PhotometricInterpretation": "YBR_FULL_422", "Columns": 47}, "even width"),
        ],
    )
    def test_elements(self, elements: dict[str, object], words: str) -> None:
        with pytest.raises(ImageError, match=words):
            open_image(plain(**elements))
        assert refusal(plain(**elements))

    @pytest.mark.parametrize(
        ("elements", "words"),
        [
            ({"WindowCenter": 5, "WindowWidth": 0}, "Window Width"),
            ({"WindowCenter": 5, "WindowWidth": 5, "VOILUTFunction": "ODD"}, "VOI LUT Function"),
            ({"RescaleSlope": 0, "RescaleIntercept": 0}, "Rescale Slope"),
            ({"VOILUTSequence": []}, r"lookup table \(0028,3010\)"),
            ({"PhotometricInterpretation": "PALETTE COLOR"}, r"palette \(0028,1101\)"),
            ({"PhotometricInterpretation": "PALETTE COLOR", **palette_elements([np.zeros(2, "<u2")] * 3, [9, 0, 16])}, "palette"),
        ],
    )
    def test_elements_of_display(self, elements: dict[str, object], words: str) -> None:
        with pytest.raises(ImageError, match=words):
            open_image(plain(grey(), photometric="MONOCHROME2", **elements))

    def test_transfer_syntaxes_that_are_not_read(self) -> None:
        for syntax in ("1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.201", "1.2.3"):
            assert "transfer syntax (0002,0010) that is not read" in refusal(make.file_head(syntax) + bytes(100))

    @pytest.mark.parametrize(
        ("syntax", "content"),
        [
            (make.JPEG_2000, make.jpeg_bytes(picture())),
            (make.BASELINE, make.jpeg_bytes(picture(64, 64))),
            (make.BASELINE, make.jpeg_bytes(grey(), subsampling=-1)),
            (make.JPEG_LS, make.jpeg_bytes(picture())),
            (make.RLE, make.jpeg_bytes(picture())),
            (make.RLE, b"\0\0"),
            (make.BASELINE, b"\xff\xd8"),
            (make.BASELINE, b"\xff\xd8" + b"\xff\xe0\x00\x02" * 100_000),
            (make.JPEG_2000, b"\xff\x4f\xff\x51" + bytes(40)),
            (make.LOSSLESS, make.lossless_jpeg("grey")),
        ],
    )
    def test_codestreams_that_do_not_fit(self, syntax: str, content: bytes) -> None:
        assert refusal(compressed([content], picture(), syntax))

    @pytest.mark.parametrize("syntax", [make.LOSSLESS_SV1, make.EXTENDED])
    def test_more_than_8_bits_of_jpeg(self, syntax: str) -> None:
        content = compressed([make.lossless_jpeg("grey_16_bit")], grey(16), syntax, "MONOCHROME2")
        assert "16-bit lossless JPEG; only 8 bits are read" in refusal(content)

    def test_16_bit_colour_of_jpeg_2000(self) -> None:
        deep = np.full((40, 48, 3), 65535, np.uint16)
        assert "16-bit colour as JPEG 2000" in refusal(compressed([codestream(make.JPEG_2000, deep)], deep, make.JPEG_2000))

    def test_no_fragments(self) -> None:
        content = compressed([], picture(), make.BASELINE)
        assert "without pixels" in refusal(content)

    def test_cut_at_every_place(self) -> None:
        for content in (
            plain(),
            plain(syntax=make.DEFLATED),
            plain(syntax=make.IMPLICIT),
            lossless_files(picture(), "RGB")[make.RLE],
        ):
            for length in range(132, len(content) - 8, max(1, len(content) // 97)):
                assert refusal(content[:length])

    def test_without_its_decoder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "jpeg_ls", None)
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        content = lossless_files(picture(), "RGB")[make.JPEG_LS]
        assert "needs pyjpegls; install it with: pip install 'lesionlens[dicom]'" in refusal(content)


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

    def test_damaged_jpeg_ls_ends_in_time(self) -> None:
        stream = bytearray(jpeg_ls.encode_array(picture(64, 80), interleave_mode=2))
        for at, value in ((161, 36), (594, 94), (921, 143)):
            stream[at] = value
        with pytest.raises(ImageError, match="JPEG-LS"):
            open_image(compressed([bytes(stream[:2110])], picture(64, 80), make.JPEG_LS))


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


SMALL = [*lossless_files(picture(32, 34), "RGB").items()]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([content for syntax, content in SMALL if syntax != make.JPEG_LS]),
    st.lists(st.tuples(st.integers(132, 6000), st.integers(0, 255)), max_size=6),
    st.integers(132, 20_000),
)
@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes_give_an_image_or_an_image_error(content: bytes, changes: list[tuple[int, int]], length: int) -> None:
    damaged = bytearray(content)
    for position, value in changes:
        damaged[position % len(damaged)] = value
    with contextlib.suppress(ImageError):
        assert open_image(bytes(damaged[:length]), max_pixels=1_000_000).mode == "RGB"
