"""DICOM files as a whole: frames, what is refused and with which words, damaged bytes."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended
from tests.data import dicom_files as make
from tests.data.dicom_files import compressed, data_set, grey, picture, plain, written
from tests.data.dicom_reading import codestream, lossless_files, palette_elements, pixels, refusal

from lesionlens.core.errors import ImageError
from lesionlens.data.image import decode_image, open_image


class TestFrames:
    FRAMES = np.stack([picture(seed=seed) for seed in range(3)])

    @pytest.mark.parametrize("syntax", [make.EXPLICIT, make.IMPLICIT, make.DEFLATED, make.BIG_ENDIAN])
    def test_native(self, syntax: str) -> None:
        content = plain(self.FRAMES, syntax, NumberOfFrames=3)
        assert decode_image(content).frames == 3
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
        for frame in range(3):  # each codestream has an end
            assert np.array_equal(pixels(content, frame), self.FRAMES[frame])
        rle = [b"".join([np.array([3, 64, 64, 64, *[0] * 12], "<u4").tobytes(), bytes(200)])] * 4
        content = written(data_set(self.FRAMES, NumberOfFrames=3, PixelData=encapsulate(rle, has_bot=False)), make.RLE)
        assert "damaged" in refusal(content)

    @pytest.mark.parametrize("frame", [3, -1, 10**12])
    def test_a_frame_that_is_not_there(self, frame: int) -> None:
        content = plain(self.FRAMES, NumberOfFrames=3)
        with pytest.raises(ImageError, match=f"has no frame {frame}; it has 3, counted from 0"):
            open_image(content, frame=frame)

    def test_other_files_have_one(self) -> None:
        content = make.jpeg_bytes(picture())
        assert decode_image(content).frames == 1
        with pytest.raises(ImageError, match="has no frame 1; only DICOM files have several"):
            open_image(content, frame=1)

    def test_count_of_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "a.dcm"
        path.write_bytes(plain(self.FRAMES, NumberOfFrames=3))
        assert decode_image(path).frames == 3
        path.write_bytes(plain())
        assert decode_image(path).frames == 1


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
            ({"VOILUTSequence": [Dataset()], "WindowWidth": 5}, "window or lookup table"),
            ({"ModalityLUTSequence": [Dataset()]}, "window or lookup table"),
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
