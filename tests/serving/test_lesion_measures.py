import numpy as np
import pytest
from PIL import Image
from tests.serving.test_registration import drawing, photographed

from lesionlens.serving.comparison import compare
from lesionlens.serving.lesion_measures import cielab, measure_lesion, otsu


def picture(radius_x=80, radius_y=60, size=(400, 300), lesion=(110, 70, 60), skin=(220, 180, 165), centre=(200, 150), seed=0):
    y, x = np.mgrid[: size[1], : size[0]]
    inside = np.hypot((x - centre[0]) / radius_x, (y - centre[1]) / radius_y) <= 1
    pixels = np.where(inside[..., None], lesion, skin) + np.random.default_rng(seed).normal(0, 5, (*inside.shape, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def test_the_area_of_an_ellipse():
    found = measure_lesion(picture())
    assert found.reason == ""
    assert found.area_share == pytest.approx(np.pi * 80 * 60 / (400 * 300), rel=0.05)
    assert found.area_mm2((400, 300), (0.02, 0.02)) == pytest.approx(np.pi * 80 * 60 * 0.02**2, rel=0.05)
    assert found.area_mm2((400, 300), None) is None


def test_dark_corners_are_not_the_lesion():
    pixels = np.asarray(picture(radius_x=50, radius_y=40)).copy()
    y, x = np.mgrid[:300, :400]
    pixels[np.hypot(x - 200, y - 150) > 190] = 5
    found = measure_lesion(Image.fromarray(pixels))
    assert found.area_share == pytest.approx(np.pi * 50 * 40 / (400 * 300), rel=0.08)


def test_a_hole_belongs_to_the_lesion():
    pixels = np.asarray(picture()).copy()
    pixels[140:160, 190:210] = (220, 180, 165)
    assert measure_lesion(Image.fromarray(pixels)).area_share == pytest.approx(np.pi * 80 * 60 / (400 * 300), rel=0.05)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (picture(lesion=(216, 176, 161)), "no lesion stands out"),
        (picture(radius_x=150, radius_y=220), "outline lie outside"),
        (picture(radius_x=190, radius_y=260), "as no lesion does"),
        (picture(radius_x=3, radius_y=3), "no lesion stands out"),
    ],
)
def test_it_declines_with_a_reason(image, reason):
    found = measure_lesion(image)
    assert reason in found.reason
    assert np.isnan(found.area_share)
    assert not found.mask.any()


def test_lab_of_known_colours():
    """By IEC 61966-2-1: red is 53.24, 80.09, 67.20; grey has no colour."""
    np.testing.assert_allclose(cielab(np.array([255, 0, 0], np.uint8)), [53.24, 80.09, 67.20], atol=0.02)
    np.testing.assert_allclose(cielab(np.array([119, 119, 119], np.uint8))[1:], 0, atol=0.02)


def test_otsu_parts_two_groups():
    assert 2 < otsu(np.array([1.0, 1.1, 0.9, 1.0, 9.0, 9.1, 8.9])) < 8


def test_growth_in_mm():
    found = compare(picture(40, 30), picture(60, 45), ((0.02, 0.02), (0.02, 0.02)))
    assert found["size"]["by"] == "mm"
    assert found["size"]["factor"] == pytest.approx(2.25, rel=0.1)
    assert found["areas"][0]["diameter_mm"] == pytest.approx(2 * (40 * 30) ** 0.5 * 0.02, rel=0.05)


def test_without_a_scale_and_a_registration_nothing_is_said():
    found = compare(*(photographed(drawing(seed))[0] for seed in (1, 5)))
    assert found["registration"]["matrix"] is None
    assert found["size"] == {"factor": None, "by": None, "reason": found["size"]["reason"]}
    assert "no scale" in found["size"]["reason"]


@pytest.mark.slow
def test_a_darker_lesion_in_other_light():
    first, second = picture(), picture(lesion=(70, 40, 35))
    found = compare(first, second)["colour"]
    assert found["lightness"] < -8
    assert found["delta_e"] == pytest.approx(np.linalg.norm([found[name] for name in ("lightness", "red", "yellow")]), rel=0.01)
    none = compare(picture(radius_x=190, radius_y=260), second)["colour"]
    assert none["delta_e"] is None
