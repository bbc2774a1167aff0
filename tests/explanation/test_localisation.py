import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from lesionlens.core.errors import DataError
from lesionlens.explanation.localisation import METRICS, best_iou, energy_inside, localise, pointing_game

MAP = np.array([[[0.0, 1.0, 2.0], [0.0, 4.0, 1.0]]])
LEFT = np.array([[[True, True, False], [True, True, False]]])


def test_by_hand():
    assert pointing_game(MAP, LEFT).tolist() == [1.0]
    assert pointing_game(MAP, ~LEFT).tolist() == [0.0]
    assert energy_inside(MAP, LEFT).tolist() == [5 / 8]
    # Thresholds at or below 4, 2, 1, 0 keep 1, 2, 4, 6 pixels with 1, 1, 2, 4 hits of 4: 1/4, 1/5, 2/6, 4/6.
    assert best_iou(MAP, LEFT).tolist() == pytest.approx([4 / 6])
    assert best_iou(MAP, np.array([[[False, False, True], [False, True, False]]])).tolist() == pytest.approx([1.0])


def test_several_highest_pixels_share_the_hit():
    tied = np.array([[[5.0, 5.0, 5.0, 1.0]]])
    assert pointing_game(tied, np.array([[[True, False, False, True]]])).tolist() == pytest.approx([1 / 3])


def test_an_empty_map_scores_chance_in_every_metric():
    found = localise(np.zeros((1, 2, 3)), np.array([[[True, False, False], [False, False, True]]]))
    assert found.empty.tolist() == [True]
    for name in (*METRICS, "mask_share"):
        assert getattr(found, name).tolist() == pytest.approx([1 / 3]), name


def test_the_mask_itself_scores_one():
    masks = np.random.default_rng(0).random((4, 9, 7)) < 0.3
    found = localise(masks * 0.02, masks)
    assert all((getattr(found, name) == 1).all() for name in METRICS)


@st.composite
def maps_and_masks(draw):
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)))
    maps = draw(npst.arrays(np.float64, shape, elements=st.floats(0, 8).map(lambda value: round(value, 2))))
    masks = draw(npst.arrays(np.bool_, shape))
    masks[:, 0, 0] = True
    return maps, masks


@given(maps_and_masks(), st.sampled_from([1e-6, 0.25, 1024.0]))
def test_metrics_are_shares_and_the_scale_does_not_matter(given_, factor):
    maps, masks = given_
    first, second = localise(maps, masks), localise(maps * factor, masks)
    for name in METRICS:
        values = getattr(first, name)
        assert ((values >= 0) & (values <= 1 + 1e-12)).all()
        if factor != 1e-6:  # powers of two keep every threshold on the same side
            np.testing.assert_allclose(values, getattr(second, name), rtol=1e-9)


@given(maps_and_masks())
def test_best_iou_is_that_of_a_search_over_all_thresholds(given_):
    maps, masks = given_
    for map_, mask, found in zip(maps, masks, best_iou(maps, masks, levels=10_007), strict=True):
        kept = [map_ >= value for value in np.unique(map_)] if map_.any() else [np.ones_like(mask)]
        exact = max((each & mask).sum() / (each | mask).sum() for each in kept)
        whole = mask.mean()
        assert found == pytest.approx(max(exact, whole))


def test_a_random_map_scores_chance_on_average():
    random = np.random.default_rng(0)
    maps, masks = random.random((2000, 8, 8)), np.zeros((2000, 8, 8), bool)
    masks[:, 2:6, 2:6] = True
    assert pointing_game(maps, masks).mean() == pytest.approx(0.25, abs=0.03)
    assert energy_inside(maps, masks).mean() == pytest.approx(0.25, abs=0.005)


@pytest.mark.parametrize(
    ("maps", "masks", "word"),
    [
        (np.zeros((1, 2, 2)), np.ones((1, 2, 3), bool), "shape"),
        (np.full((1, 2, 2), -1.0), np.ones((1, 2, 2), bool), "negative"),
        (np.full((1, 2, 2), np.nan), np.ones((1, 2, 2), bool), "NaN"),
        (np.ones((1, 2, 2)), np.zeros((1, 2, 2), bool), "empty"),
    ],
)
def test_bad_input(maps, masks, word):
    with pytest.raises(DataError, match=word):
        localise(maps, masks)
