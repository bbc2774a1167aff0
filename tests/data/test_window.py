"""The window of the paper's random crop: out of the whole image, drawn once for each image."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from lesionlens.core.recipe_file import load_recipe
from lesionlens.data.image import InputSpec, centre_crop, frame_spec, prepare
from lesionlens.data.window import seen_box, window_corner

HALF = (0.5, 0.5, 0.5)
PAPER = InputSpec(384, 450, "window", HALF, HALF)
HAM10000 = (600, 450)


def picture(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_the_recipe_paper_cuts_such_windows():
    spec = frame_spec(load_recipe("paper").input)
    assert (spec.size, spec.frame, spec.resize, spec.prepared) == (384, 450, "window", 384)


def test_places_are_all_217_by_67_and_alike():
    corners = [window_corner(HAM10000, PAPER, f"ISIC_{number:07d}") for number in range(60_000)]
    columns, rows = Counter(left for left, _ in corners), Counter(top for _, top in corners)
    assert sorted(columns) == list(range(217))
    assert sorted(rows) == list(range(67))
    for counts in (columns, rows):
        expected = len(corners) / len(counts)
        assert sum((count - expected) ** 2 / expected for count in counts.values()) < len(counts) + 5 * np.sqrt(2 * len(counts))
    assert abs(np.corrcoef(np.array(corners).T)[0, 1]) < 5 / np.sqrt(len(corners))


def test_a_window_of_ham10000_keeps_its_pixels():
    pixels = picture(*HAM10000)
    left, top = map(int, window_corner(HAM10000, PAPER, "ISIC_0000001"))
    cut = prepare(Image.fromarray(pixels), PAPER, "ISIC_0000001")
    np.testing.assert_array_equal(cut, pixels[top : top + 384, left : left + 384])
    np.testing.assert_array_equal(cut, prepare(Image.fromarray(pixels), PAPER, "ISIC_0000001"))


def test_without_an_id_it_is_the_centre_that_short_side_sees():
    pixels = picture(*HAM10000)
    short_side = InputSpec(384, 450, "short_side", HALF, HALF)
    cut = prepare(Image.fromarray(pixels), PAPER)
    np.testing.assert_array_equal(cut, pixels[33:417, 108:492])
    np.testing.assert_array_equal(cut, centre_crop(prepare(Image.fromarray(pixels), short_side), 384))


@pytest.mark.parametrize("size", [(1024, 1024), (1872, 1053), (333, 450), (450, 451), (77, 60)])
def test_windows_of_other_sizes_stay_inside(size):
    for number in range(300):
        left, top, right, bottom = seen_box(size, PAPER, f"image {number}")
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]
        assert right - left == pytest.approx(min(size) * 384 / 450)
        assert bottom - top == pytest.approx(min(size) * 384 / 450)
    assert prepare(Image.fromarray(picture(*size)), PAPER, "image 0").shape == (384, 384, 3)


def test_a_store_of_windows_depends_on_the_size():
    other = InputSpec(300, 450, "window", HALF, HALF)
    assert other.frame_hash != PAPER.frame_hash
    assert InputSpec(300, 450, "short_side", HALF, HALF).frame_hash == InputSpec(384, 450, "short_side", HALF, HALF).frame_hash
