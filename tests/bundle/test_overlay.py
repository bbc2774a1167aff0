import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lesionlens.bundle.colours import colour_table
from lesionlens.bundle.overlay import Caption, blend, colour_bar, enlarge, nice_ticks, overlay, seen_part, spread
from lesionlens.core.errors import DataError
from lesionlens.data.image import InputSpec, centre_crop, prepare

HALF = (0.5, 0.5, 0.5)


def test_runs_without_torch_and_matplotlib():
    code = "import sys, lesionlens.bundle.overlay; print(*{'torch', 'matplotlib', 'scipy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""


def test_enlarging_is_torchs_bilinear_with_cell_centres():
    map_ = np.random.default_rng(0).random((7, 5)).astype(np.float32)
    wanted = torch.nn.functional.interpolate(torch.from_numpy(map_)[None, None], (84, 60), mode="bilinear", align_corners=False)
    np.testing.assert_allclose(enlarge(map_, 60, 84), wanted[0, 0].numpy(), atol=1e-6)


def test_enlarging_keeps_the_raw_scale():
    map_ = np.array([[0.0, 0.0], [0.0, 4e-5]])
    assert enlarge(map_, 64, 64).max() == pytest.approx(4e-5)
    assert enlarge(np.full((3, 3), 250.0), 10, 10).tolist() == np.full((10, 10), 250.0).tolist()


@pytest.mark.parametrize("map_", [np.zeros(4), np.full((2, 2), np.nan), np.full((2, 2), np.inf)])
def test_maps_that_cannot_be_drawn(map_):
    with pytest.raises(DataError, match="finite"):
        overlay(np.zeros((8, 8, 3), np.uint8), map_, "Melanoma (mel)")


@pytest.mark.parametrize("spec", [InputSpec(64, 64, "squash", HALF, HALF), InputSpec(48, 64, "squash", HALF, HALF)])
def test_a_spread_map_lies_where_the_network_looked(spec):
    # A bright square in the image, the same pixels seen by the network as a map, laid back.
    image = np.zeros((120, 200, 3), np.uint8)
    image[48:72, 80:120] = 255
    seen = centre_crop(prepare(Image.fromarray(image), spec), spec.size)[..., 0] / 255.0
    back = spread(seen, seen_part(spec, (200, 120)), 200, 120)
    known = ~np.isnan(back)
    assert known.mean() == pytest.approx((spec.size / spec.frame) ** 2, rel=0.02)
    assert np.abs(back[known] - image[..., 0][known] / 255.0).mean() < 0.03
    assert back[60, 100] == pytest.approx(1.0)
    assert back[44, 76] < 0.2


def test_spread_of_a_short_side_frame_covers_the_centre_square():
    back = spread(np.ones((3, 3)), seen_part(InputSpec(64, 64, "short_side", HALF, HALF), (90, 60)), 90, 60)
    assert np.isnan(back[:, :15]).all()
    assert np.isnan(back[:, 75:]).all()
    assert (back[:, 15:75] == 1).all()


def test_blend_by_hand():
    image = np.full((1, 3, 3), 100, np.uint8)
    found = blend(image, np.array([[0.0, 2.0, np.nan]]), limit=2.0, opacity=0.5)
    assert found[0, 0].tolist() == [100, 100, 100]
    assert found[0, 2].tolist() == [100, 100, 100]
    assert found[0, 1].tolist() == np.rint((100 + colour_table()[255].astype(float)) / 2).astype(int).tolist()


def test_opacity_goes_from_the_image_to_the_colours():
    image = np.full((1, 1, 3), 9, np.uint8)
    value = np.ones((1, 1))
    assert blend(image, value, 1.0, opacity=0.0)[0, 0].tolist() == [9, 9, 9]
    assert blend(image, value, 1.0, opacity=1.0)[0, 0].tolist() == colour_table()[255].tolist()
    with pytest.raises(DataError, match="from 0"):
        blend(image, value, 1.0, opacity=1.5)


def test_a_shared_scale_keeps_weak_evidence_weak():
    image, weak = np.full((8, 8, 3), 200, np.uint8), np.full((8, 8), 0.01)
    own = blend(image, weak, limit=0.01)
    shared = blend(image, weak, limit=1.0)
    assert np.abs(own.astype(int) - image).max() > 50
    assert np.abs(shared.astype(int) - image).max() < 10


def test_no_scale_colours_nothing():
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert (blend(image, np.zeros((4, 4)), limit=0.0) == image).all()
    overlay(image, np.zeros((2, 2)), "Melanoma (mel)")


def test_shapes_must_fit():
    with pytest.raises(DataError, match="the same"):
        blend(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5)), 1.0)


@pytest.mark.parametrize(
    ("limit", "ticks"),
    [
        (1.0, (0, 0.2, 0.4, 0.6, 0.8, 1.0)),
        (0.073, (0, 0.02, 0.04, 0.06)),
        (7.3, (0, 2, 4, 6)),
        (0.0, (0,)),
        (12000, (0, 5000, 10000)),
    ],
)
def test_ticks_by_hand(limit, ticks):
    assert nice_ticks(limit) == pytest.approx(ticks)


@given(st.floats(1e-30, 1e30), st.integers(3, 6))
def test_ticks_are_within_the_scale_and_neither_none_nor_many(limit, most):
    ticks = nice_ticks(limit, most)
    assert ticks[0] == 0
    assert ticks[-1] <= limit * (1 + 1e-6)
    assert 2 <= len(ticks) <= most + 1


def test_bar_shows_its_highest_colour_on_top_and_no_colour_at_zero():
    bar = np.asarray(colour_bar(100, 0.5, opacity=1.0))
    assert bar[9, 8].tolist() == pytest.approx(colour_table()[250].tolist(), abs=12)
    assert bar[105, 8].tolist() == pytest.approx([205] * 3, abs=9)


def test_overlay_is_deterministic_and_large_enough_to_read():
    image = np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)
    map_ = np.random.default_rng(1).random((7, 7))
    first, second = (overlay(image, map_, Caption("Melanoma (mel), probability 0.83")) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    assert first.height > 320
    assert first.tobytes() != overlay(image, map_, "Melanoma (mel), probability 0.83", limit=2.0).tobytes()


def test_map_can_come_at_the_images_own_size():
    image = np.full((40, 60, 3), 90, np.uint8)
    map_ = np.random.default_rng(1).random((5, 5))
    assert overlay(image, spread(map_, (0, 0, 1, 1), 60, 40), "a").tobytes() == overlay(image, map_, "a").tobytes()
