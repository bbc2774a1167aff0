import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageFilter

from lesionlens.bundle.quality import BRIGHTNESS, CLIPPED, SHARPNESS, SIDE, STRIP, measure_quality, sharpness


def test_sharpness_by_hand():
    luma = np.zeros((3, 4), np.uint8)
    luma[1, 1] = 10  # the Laplacian of the two inner pixels: -40 and 10
    assert sharpness(luma) == pytest.approx(25**2)


@pytest.mark.parametrize("side", [3, STRIP + 1, STRIP + 2, STRIP + 3, 2 * STRIP + 2, 200])
def test_sharpness_is_scipys_variance_of_the_laplacian(side):
    from scipy.ndimage import laplace

    luma = np.random.default_rng(side).integers(0, 256, (side, side), dtype=np.uint8)
    wanted = laplace(luma.astype(float))[1:-1, 1:-1].var()
    assert sharpness(luma) == pytest.approx(wanted, rel=1e-5)  # float32 squares in the strips


@given(arrays(np.uint8, st.tuples(st.integers(3, 12), st.integers(3, 12))))
def test_sharpness_is_never_negative_and_blind_to_turns(luma):
    found = sharpness(luma)
    assert found >= -1e-3
    assert sharpness(np.ascontiguousarray(np.rot90(luma))) == pytest.approx(found, rel=1e-5, abs=1e-3)


def test_a_flat_image_has_no_detail():
    assert sharpness(np.full((50, 50), 130, np.uint8)) == 0


def test_blur_lowers_sharpness():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8))
    found = [measure_quality((1, 1), np.asarray(image.filter(ImageFilter.GaussianBlur(r))))[SHARPNESS] for r in (0, 1, 2, 4)]
    assert found == sorted(found, reverse=True)


def test_light_and_size_by_hand():
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[:2] = (255, 255, 255)
    pixels[2] = (255, 0, 0)
    found = measure_quality((600, 450), pixels)
    assert found[SIDE] == 450
    assert found[CLIPPED] == 12 / 16  # red, the channel with most
    assert found[BRIGHTNESS] == pytest.approx((8 * 255 + 4 * 76) / 16)  # 0.299 * 255 = 76


def test_what_lies_on_a_memory_map_is_measured_too(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", pixels)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert measure_quality((9, 9), mapped[1]) == measure_quality((9, 9), pixels[1])
