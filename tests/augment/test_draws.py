"""Draws: a pure function of seed, transform and position; spread as table 3 says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlens.augment import draws
from lesionlens.augment.policy import TRANSFORMS, Policy, table_3
from lesionlens.augment.transform import draw

MANY = 20_000
SEEDS = st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=8)


def test_splitmix_is_the_published_generator() -> None:
    # First outputs of SplitMix64 seeded with 1234567, as in Java's SplittableRandom and Vigna's splitmix64.c.
    state = np.array([1234567], np.uint64) + np.arange(1, 4, dtype=np.uint64) * draws.GOLDEN
    assert draws._mix(state).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@given(seeds=SEEDS, stream=st.integers(0, 20), count=st.integers(1, 30))
def test_rows_do_not_depend_on_each_other(seeds: list[int], stream: int, count: int) -> None:
    together = draws.uniform(draws.seed_array(seeds), stream, count)
    assert ((together >= 0) & (together < 1)).all()
    for row, seed in enumerate(seeds):
        alone = draws.uniform(draws.seed_array([seed]), stream, count + 3)
        np.testing.assert_array_equal(alone[0, :count], together[row])


def test_uniform_is_uniform_and_streams_are_independent() -> None:
    words = draws.seed_array(range(MANY))  # consecutive seeds, the hardest case
    columns = np.concatenate([draws.uniform(words, stream, 3) for stream in range(4)], axis=1)
    assert np.abs(columns.mean(0) - 0.5).max() < 4 / np.sqrt(12 * MANY)
    assert np.abs(columns.var(0) - 1 / 12).max() < 4 * np.sqrt(1 / 180 / MANY)
    between = np.corrcoef(columns.T) - np.eye(columns.shape[1])
    assert np.abs(between).max() < 4.5 / np.sqrt(MANY)
    assert abs(np.corrcoef(columns[:-1, 0], columns[1:, 0])[0, 1]) < 4 / np.sqrt(MANY)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRANSFORMS)
def test_each_transform_is_applied_as_often_as_table_3_says(name: str) -> None:
    applied = draw(range(MANY), Policy(), 32, 32).applied[name]
    p = Policy().probability(name)
    assert abs(applied.mean() - p) < 4 * np.sqrt(p * (1 - p) / MANY)


def test_transforms_are_applied_independently() -> None:
    applied = draw(range(MANY), Policy(), 32, 32).applied
    table = np.corrcoef(np.stack([applied[name] for name in TRANSFORMS]))
    assert np.abs(table - np.eye(len(TRANSFORMS))).max() < 4.5 / np.sqrt(MANY)


def _u(stream: int, count: int) -> np.ndarray:
    return draws.uniform(draws.seed_array(range(MANY)), stream, count)


def _assert_fills(values: np.ndarray, low: float, high: float) -> None:
    """Uniform on [low, high]: within it, close to both ends, mean and spread right."""
    slack = (high - low) / 200
    assert low <= values.min() < low + slack
    assert high - slack < values.max() <= high
    assert abs(values.mean() - (low + high) / 2) < 4 * (high - low) / np.sqrt(12 * MANY)


def test_magnitudes_fill_table_3() -> None:
    policy = Policy()
    affine = draws.shift_scale_rotate(_u(2, 4), policy)
    for column, (low, high) in enumerate([(-0.1, 0.1), (-0.1, 0.1), (0.8, 1.2), (-45, 45)]):
        _assert_fills(affine[:, column], low, high)
    light = draws.brightness_contrast(_u(3, 2), policy)
    _assert_fills(light[:, 0], 0.8, 1.2)
    _assert_fills(light[:, 1], -51, 51)
    colour = draws.hue_saturation_value(_u(4, 3), policy)
    for column, limit in enumerate([10, 3, 20]):
        _assert_fills(colour[:, column], -limit, limit)
    _assert_fills(draws.gaussian_noise(_u(5, 4), policy)[:, 0] ** 2, 10, 50)
    _assert_fills(draws.gaussian_blur(_u(6, 1), policy)[:, 0], 0.5, 3)
    _assert_fills(draws.grid_distortion(_u(8, 12), policy).ravel()[:MANY], 0.7, 1.3)


def test_noise_windows_lie_in_the_tables_and_signs_are_signs() -> None:
    drawn = draws.gaussian_noise(_u(5, 4), Policy())
    assert set(np.unique(drawn[:, 1:3])) == {-1.0, 1.0}
    assert abs((drawn[:, 1] * drawn[:, 2]).mean()) < 4 / np.sqrt(MANY)
    assert drawn[:, 3:].min() >= 0
    assert drawn[:, 3:].max() < draws.NOISE_OFFSETS
    assert (drawn[:, 3:] == drawn[:, 3:].astype(np.float32)).all()  # offsets survive float32


def test_holes_are_five_to_eight_of_a_tenth_to_a_fifth_within_the_image() -> None:
    height, width = 60, 90
    drawn = draws.coarse_dropout(_u(9, 33), Policy())
    counts, shares = np.unique(drawn[:, 0], return_counts=True)
    assert counts.tolist() == [5, 6, 7, 8]
    assert np.abs(shares / MANY - 0.25).max() < 4 * np.sqrt(0.1875 / MANY)
    top, bottom, left, right = np.moveaxis(draws.hole_boxes(drawn, height, width), 2, 0)
    assert top.min() == 0 == left.min()
    assert bottom.max() == height
    assert right.max() == width
    exists = np.arange(8) < drawn[:, :1]
    np.testing.assert_array_equal((bottom > top) & (right > left), exists)
    assert set((bottom - top)[exists]) == set(range(6, 12))  # int(60 * [0.1, 0.2))
    assert set((right - left)[exists]) == set(range(9, 18))


def test_hole_boxes_by_hand() -> None:
    #                 count, height, width, top, left of each of two holes
    drawn = np.array([[1, 0.25, 0.5, 0.0, 0.999, 0.5, 0.5, 0.5, 0.5], [2, 0.5, 0.5, 0.5, 0.0, 1.0, 1.0, 0.0, 0.0]])
    boxes = draws.hole_boxes(drawn, 20, 10)
    assert boxes.tolist() == [[[0, 5, 5, 10], [5, 5, 3, 3]], [[5, 15, 0, 5], [0, 20, 0, 10]]]


def test_motion_kernels_are_those_of_albumentations(albumentations) -> None:
    u = draws.uniform(draws.seed_array(range(300)), 7, 4)

    class Shifts:
        """Gives the two drawn shifts where the reference asks its own generator."""

        def __init__(self, values: np.ndarray):
            self.values = iter(values)

        def uniform(self, low: float, high: float) -> float:
            return low + (high - low) * next(self.values)

    for row, kernel in zip(u, draws.motion_blur(u, Policy()), strict=True):
        expected = albumentations.blur.create_motion_kernel(3, 360 * row[0], 2 * row[1] - 1, True, Shifts(row[2:]))
        np.testing.assert_allclose(kernel.reshape(3, 3), expected / expected.sum(), atol=1e-12)


def test_a_changed_probability_changes_no_other_draw() -> None:
    usual, changed = draw(range(50), table_3(), 40, 40), draw(range(50), table_3({"gaussian_blur": 0.0}), 40, 40)
    for name in TRANSFORMS:
        if name != "gaussian_blur":
            np.testing.assert_array_equal(usual.applied[name], changed.applied[name])
    for name in usual.parameters:
        np.testing.assert_array_equal(usual.parameters[name], changed.parameters[name])
