"""Registration: a known pose is found again, and details of strangers do not agree."""

import numpy as np
import pytest

from lesionlens.data.audit.registration import (
    SIDE,
    Pose,
    detail_agreement,
    local_contrast,
    refine,
    shift_between,
    spectrum,
    warp,
)


def skin(seed: int) -> np.ndarray:
    """A grey picture with detail of all sizes and a dark round spot, shape (128, 128)."""
    random = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None])
    noise = np.fft.irfft2(np.fft.rfft2(random.normal(size=(SIDE, SIDE))) / (frequency + 0.02), s=(SIDE, SIDE))
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    spot = 90 / (1 + np.exp((np.hypot(y, x) - 25) / 2))
    return np.clip(170 + 8 * noise / noise.std() - spot, 0, 255).astype(np.float32)


def small(image: np.ndarray) -> np.ndarray:
    return local_contrast(image.reshape(1, 64, 2, 64, 2).mean(axis=(2, 4)))[0]


def laid_on(image: np.ndarray, pose: Pose, ground: np.ndarray) -> np.ndarray:
    laid, inside = warp(image, pose)
    return np.where(inside, laid, ground)


def test_warp_by_hand():
    image = np.arange(9, dtype=np.float32).reshape(3, 3)
    assert np.array_equal(warp(image, Pose())[0], image)
    assert np.allclose(warp(image, Pose(angle_deg=90))[0], np.rot90(image, -1), atol=1e-5)
    assert np.array_equal(warp(image, Pose(mirror=True))[0], image[:, ::-1])
    shifted, inside = warp(image, Pose(shift=(1 / 3, 0)))
    assert np.allclose(shifted, [[0, 0, 0], [0, 1, 2], [3, 4, 5]], atol=1e-5)
    assert inside.tolist() == [[False] * 3, [True] * 3, [True] * 3]


def test_warp_treats_a_stack_like_its_images():
    stack = np.stack([skin(0), skin(1)])
    pose = Pose(True, 33, 1.1, (0.1, -0.05))
    assert np.array_equal(warp(stack, pose)[0][1], warp(stack[1], pose)[0])


def test_shift_is_found_exactly():
    image = local_contrast(skin(0)[None])
    moved = np.roll(image, (9, -13), axis=(1, 2))
    correlation, shift = shift_between(spectrum(image), spectrum(moved))
    assert (shift[0] * SIDE).tolist() == [9, -13]
    assert 0.6 < correlation[0] < 1  # the window moves with the frame
    assert shift_between(spectrum(image), spectrum(image))[0][0] == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    "pose",
    [
        Pose(),
        Pose(angle_deg=24, scale=1.05, shift=(0.06, -0.04)),
        Pose(angle_deg=-158, scale=0.93, shift=(-0.05, 0.08)),
        Pose(True, 70, 1.0, (0.0, 0.06)),
    ],
)
def test_a_pose_is_found_again(pose):
    first = skin(0)
    second = laid_on(first, pose, skin(1))
    guess = round(pose.angle_deg / 10) * 10.0
    _, found = refine(small(first), small(second), pose.mirror, guess)
    assert abs(found.angle_deg - pose.angle_deg) <= 3
    assert abs(found.scale - pose.scale) <= 0.06
    assert np.abs(np.subtract(found.shift, pose.shift)).max() <= 0.03
    assert detail_agreement(first, second, found) > 0.75


def test_strangers_do_not_agree_although_their_spots_do():
    values = []
    for seed in range(1, 7):
        correlation, pose = refine(small(skin(0)), small(skin(seed)), False, 0.0)
        assert correlation > 0.6  # equal spots
        values.append(detail_agreement(skin(0), skin(seed), pose))
    assert max(values) < 0.4


def test_light_and_contrast_do_not_matter():
    first = skin(0)
    assert detail_agreement(first, first * 0.6 + 40, Pose()) == pytest.approx(detail_agreement(first, first, Pose()), abs=0.05)


def test_pictures_that_show_nothing_agree_in_nothing():
    blank = np.full((SIDE, SIDE), 200, np.float32)
    assert detail_agreement(blank, blank, Pose()) == 0
    assert detail_agreement(skin(0), skin(0), Pose(shift=(0.9, 0.9))) == 0
    assert np.isfinite(local_contrast(blank[None])).all()
