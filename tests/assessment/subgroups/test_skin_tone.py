"""Skin tone: the angle against its formula, and what does not count as skin."""

import cv2
import numpy as np
import pytest

from lesionlens.assessment.subgroups.skin_tone import ita_band, skin_of_border


def plain(colour: tuple[int, int, int], side: int = 128) -> np.ndarray:
    return np.full((side, side, 3), colour, np.uint8)


def lab_of(colour: tuple[int, int, int]) -> np.ndarray:
    """CIELAB (D65) by the textbook formulas, without OpenCV."""
    rgb = np.array(colour) / 255
    light = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    matrix = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
    xyz = matrix @ light / [0.950456, 1.0, 1.088754]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("colour", [(240, 215, 200), (214, 170, 140), (150, 100, 70), (70, 45, 32)])
def test_the_angle_is_the_formulas(colour: tuple[int, int, int]) -> None:
    lightness, _, yellowness = lab_of(colour)
    expected = np.degrees(np.arctan((lightness - 50) / yellowness))
    assert skin_of_border(plain(colour)).ita_deg == pytest.approx(expected, abs=0.3)  # OpenCV's table of the cube root


def test_bands_are_those_of_the_literature() -> None:
    assert [ita_band(angle) for angle in (56, 55, 41, 28, 10, -30, -80)] == [
        *("very light", "light", "intermediate", "tan", "brown", "dark", "dark")
    ]


class TestWhatDoesNotCount:
    skin = plain((214, 170, 140))
    tone = skin_of_border(skin).ita_deg

    def test_a_lesion_in_the_middle_needs_no_mask(self) -> None:
        image = cv2.circle(self.skin.copy(), (64, 64), 40, (60, 40, 35), -1)
        assert skin_of_border(image).ita_deg == pytest.approx(self.tone)

    def test_a_large_lesion_needs_its_mask(self) -> None:
        lesion = cv2.circle(np.zeros((128, 128), np.uint8), (64, 30), 56, 1, -1).astype(bool)
        image = np.where(lesion[..., None], np.uint8(60), self.skin)
        assert skin_of_border(image, lesion).ita_deg == pytest.approx(self.tone)

    def test_black_corners(self) -> None:
        inside = cv2.circle(np.zeros((128, 128), np.uint8), (64, 64), 58, 1, -1).astype(bool)
        image = np.where(inside[..., None], self.skin, np.uint8(8))
        assert skin_of_border(image).ita_deg == pytest.approx(self.tone, abs=0.3)

    def test_hair(self) -> None:
        image = self.skin.copy()
        for offset in range(-120, 128, 12):
            cv2.line(image, (offset, 0), (offset + 128, 128), (40, 28, 22), 2, cv2.LINE_AA)
        hairy = skin_of_border(image)
        assert hairy.ita_deg == pytest.approx(self.tone, abs=1.0)
        assert hairy.share < skin_of_border(self.skin).share

    def test_reflections(self) -> None:
        image = cv2.rectangle(self.skin.copy(), (0, 0), (127, 30), (255, 255, 255), -1)
        assert skin_of_border(image).ita_deg == pytest.approx(self.tone)

    def test_too_little_skin(self) -> None:
        tone = skin_of_border(self.skin, np.ones((128, 128), bool))
        assert (np.isnan(tone.ita_deg), tone.share) == (True, 0)

    def test_skin_bluer_than_grey_has_no_angle(self) -> None:
        tone = skin_of_border(plain((190, 160, 200)))
        assert np.isnan(tone.ita_deg)
        assert tone.share > 0.2
