"""From stored values to what is shown: colours, palettes and windows, by hand and against pydicom."""

import io

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut, apply_voi_lut
from tests.data import dicom_files as make
from tests.data.dicom_files import data_set, grey, picture, plain, written
from tests.data.dicom_reading import by_pydicom, palette_elements, pixels


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

    @pytest.mark.parametrize("syntax", [make.EXPLICIT, make.IMPLICIT])
    def test_voi_lookup_table_by_hand(self, syntax: str) -> None:
        stored = np.full((32, 32), 3, np.uint8)
        stored[0, :4] = [0, 10, 11, 200]
        table = Dataset()
        table.LUTDescriptor = [3, 10, 12]  # 3 entries, the first for 10, of 12 bits
        table.LUTData = np.array([0, 2048, 4095], "<u2").tobytes()
        table["LUTData"].VR = "OW"
        shown = pixels(plain(stored, syntax, "MONOCHROME2", VOILUTSequence=[table]))
        assert shown[0, :5, 0].tolist() == [0, 0, 128, 255, 0]

    def test_modality_lookup_table_by_hand(self) -> None:
        table = Dataset()
        table.LUTDescriptor = [256, 0, 16]
        table.LUTData = (65535 - 257 * np.arange(256)).astype("<u2").tobytes()
        table["LUTData"].VR = "OW"
        shown = pixels(plain(grey(), photometric="MONOCHROME2", ModalityLUTSequence=[table]))
        assert np.array_equal(shown[:, :, 0], 255 - grey())

    def test_a_rescale_alone_changes_nothing(self) -> None:
        content = plain(grey(), photometric="MONOCHROME2", RescaleSlope=3, RescaleIntercept=7)
        assert np.array_equal(pixels(content)[:, :, 0], grey())
