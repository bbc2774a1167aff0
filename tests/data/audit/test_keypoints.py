"""Keypoints: shared by pictures of the same skin however it lies, and hardly by others."""

import sys

import numpy as np
import pytest
from PIL import Image

from lesionlens.core.errors import DataError
from lesionlens.data.audit.keypoints import (
    DISTINCT,
    HEIGHT,
    MOST_KEYPOINTS,
    NO_KEYPOINTS,
    WIDTH,
    Keypoints,
    find_keypoints,
    mirrored,
    require_opencv,
    screen,
    shared_keypoints,
    strongest,
)


def skin(seed: int) -> np.ndarray:
    """A grey picture with detail of all sizes, shape (HEIGHT, WIDTH)."""
    random = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(HEIGHT)[:, None], np.fft.rfftfreq(WIDTH)[None])
    noise = np.fft.irfft2(np.fft.rfft2(random.normal(size=(HEIGHT, WIDTH))) / (frequency + 0.02), s=(HEIGHT, WIDTH))
    return np.clip(170 + 12 * noise / noise.std(), 0, 255).astype(np.uint8)


def warped(grey: np.ndarray, *coefficients: float) -> np.ndarray:
    image = Image.fromarray(grey).transform(
        (WIDTH, HEIGHT), Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC, fillcolor=170
    )
    return np.asarray(image)


CHANGES = {
    "itself": lambda grey: grey,
    "darker": lambda grey: (grey * 0.6).astype(np.uint8),
    "shifted": lambda grey: warped(grey, 1, 0, 20, 0, 1, -15),
    "turned": lambda grey: np.asarray(Image.fromarray(grey).rotate(40, Image.Resampling.BICUBIC, fillcolor=170)),
    "upside down": lambda grey: grey[::-1, ::-1],
    "smaller": lambda grey: warped(grey, 1.25, 0, -15, 0, 1.25, -12),
    "stretched": lambda grey: warped(grey, 0.85, 0, 10, 0, 1.05, -3),
    "sheared": lambda grey: warped(grey, 1, 0.15, -8, 0.1, 1, -5),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_skin(name, seed):
    first, second = find_keypoints(skin(seed)), find_keypoints(np.ascontiguousarray(CHANGES[name](skin(seed))))
    assert shared_keypoints(first, second) >= 15
    assert shared_keypoints(second, first) >= 15


def test_other_skin():
    keypoints = [find_keypoints(skin(seed)) for seed in range(12)]
    shared = [shared_keypoints(a, b) for n, a in enumerate(keypoints) for b in keypoints[:n]]
    assert max(shared) <= 6


def test_all_of_its_own():
    keypoints = find_keypoints(skin(3))
    places = len(np.unique(keypoints.points[:, :2] // DISTINCT, axis=0))
    assert 0.9 * places <= shared_keypoints(keypoints, keypoints) <= places <= len(keypoints) <= MOST_KEYPOINTS


def test_a_mirrored_picture_needs_mirrored_keypoints():
    first = find_keypoints(skin(0))
    second = find_keypoints(np.ascontiguousarray(skin(0)[:, ::-1]))
    assert shared_keypoints(first, second) <= 6
    assert shared_keypoints(mirrored(first), second) >= 0.7 * len(first)


def test_mirroring_twice_changes_nothing():
    keypoints = find_keypoints(skin(0))
    twice = mirrored(mirrored(keypoints))
    assert np.array_equal(twice.descriptors, keypoints.descriptors)
    assert np.allclose(twice.points[:, :3], keypoints.points[:, :3], atol=1e-4)
    assert np.allclose((twice.points[:, 3] - keypoints.points[:, 3] + 180) % 360, 180, atol=1e-3)


def test_pictures_that_show_nothing_share_nothing():
    blank = find_keypoints(np.full((HEIGHT, WIDTH), 200, np.uint8))
    assert len(blank) == 0
    assert shared_keypoints(blank, blank) == shared_keypoints(blank, find_keypoints(skin(0))) == 0
    assert shared_keypoints(NO_KEYPOINTS, NO_KEYPOINTS) == 0


def test_many_matches_in_one_place_count_once():
    whole = find_keypoints(skin(0))
    near = np.tile(whole.points[:1], (40, 1)) + np.linspace(0, 1, 40)[:, None] * [1, 1, 0, 0]
    crowded = Keypoints(near.astype(np.float32), whole.descriptors[:40])
    assert shared_keypoints(crowded, crowded) < 5


def test_the_same_every_time():
    first, again = find_keypoints(skin(5)), find_keypoints(skin(5))
    assert np.array_equal(first.points, again.points)
    assert np.array_equal(first.descriptors, again.descriptors)


def test_without_opencv(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(DataError, match=r"pip install 'lesionlens\[train\]'"):
        require_opencv()


def test_a_first_look_finds_the_same_skin_and_few_others():
    pictures = [find_keypoints(skin(seed)) for seed in range(12)]
    again = [find_keypoints(np.ascontiguousarray(CHANGES[name](skin(0)))) for name in CHANGES]
    others = np.stack([strongest(each) for each in (*again, *pictures[1:])])
    passed = screen(strongest(pictures[0]), others)
    assert passed[: len(again)].all()
    assert passed[len(again) :].mean() < 0.5


def test_a_first_look_at_pictures_that_show_nothing():
    nothing = strongest(NO_KEYPOINTS)
    assert not screen(nothing, np.stack([nothing, strongest(find_keypoints(skin(0)))])).any()
