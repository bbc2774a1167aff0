"""Photographs of drawn lesions: what they depend on, what they share, and that colour alone does not tell the diagnosis."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lesionlens.core.labels import HAM10000
from lesionlens.synthetic.patterns import view_around
from lesionlens.synthetic.photo import (
    MEANS,
    PROPERTIES,
    SIGNS,
    SIGNS_OF,
    Ground,
    Lesion,
    draw_look,
    lesion_distance,
    paint_lesion,
    take_photo,
)


def test_a_photograph_depends_on_its_own_numbers_alone() -> None:
    lesion = Lesion(0, "SYNL_0000007", "mel")
    first, mask = take_photo(lesion, 1, 64, 48)
    take_photo(Lesion(0, "SYNL_0000008", "nv"), 0, 64, 48)
    again, mask_again = take_photo(lesion, 1, 64, 48)
    assert first.tobytes() == again.tobytes()
    assert np.array_equal(mask, mask_again)
    assert first.tobytes() != take_photo(lesion, 2, 64, 48)[0].tobytes()


def test_photographs_of_one_lesion_are_more_alike_than_lesions_of_one_diagnosis() -> None:
    """Colour statistics within the mask agree between photographs of a lesion, not between lesions."""

    def inside(lesion: int, photo: int) -> np.ndarray:
        image, mask = take_photo(Lesion(0, f"SYNL_{lesion:07d}", "mel"), photo, 96, 72)
        pixels = np.asarray(image, float)[mask]
        return np.concatenate([pixels.mean(0), pixels.std(0)])

    first, second = (np.array([inside(lesion, photo) for lesion in range(16)]) for photo in (0, 1))
    distance = np.linalg.norm(first[:, None] - second[None], axis=-1)
    same, different = np.diag(distance), distance[~np.eye(16, dtype=bool)]
    assert np.median(same) < 0.6 * np.median(different)
    assert np.mean(distance.argmin(1) == np.arange(16)) > 0.5


@pytest.mark.parametrize("dx", HAM10000.codes)
def test_a_lesion_ends_smoothly_at_its_border(dx: str) -> None:
    """Beyond the border's soft passage the skin is as it was, and pigment falls to that without a step."""
    view = view_around(0j, 40.0, 0.0, 200, 200)
    for seed in range(6):
        look = draw_look(np.random.default_rng(seed), dx)
        inside = lesion_distance(look, view, np.random.default_rng(seed))
        pigments = paint_lesion(Ground(look, view, inside), seed)
        outside = inside > 1 + look["softness"]
        assert pigments.shape == (5, 200, 200)
        assert pigments[:, ~outside].max() > 0.1
        assert pigments[:, outside].max() == 0
        rim = ~outside & (inside > 1 + 0.8 * look["softness"])
        assert pigments[:, rim].max() < 0.25 * pigments.max()


def test_looks_name_known_signs_and_diagnoses() -> None:
    assert set(MEANS) == set(SIGNS_OF) == set(HAM10000.codes)
    assert all(len(means) == len(PROPERTIES) for means in MEANS.values())
    assert {sign for signs in SIGNS_OF.values() for sign in signs} | {"melanin", "blood", "keratin"} == set(SIGNS)
    assert all(0 < strength <= 1 for signs in SIGNS_OF.values() for strength in signs.values())
    assert len({frozenset(signs) for signs in SIGNS_OF.values()}) == len(SIGNS_OF)


@pytest.mark.parametrize("sign", SIGNS)
def test_every_sign_is_seen(sign: str) -> None:
    view = view_around(0j, 12.0, 0.0, 96, 72)
    plain = {
        **dict.fromkeys(SIGNS, 0.0),
        "radius": 3.0,
        "ragged": 0.05,
        "softness": 0.2,
        "shades": 0.3,
        "melanin": 0.5,
        "blood": 0.3,
    }
    inside = lesion_distance(plain, view, np.random.default_rng(0))
    with_sign, without = (paint_lesion(Ground(plain | {sign: on}, view, inside), 0) for on in (1.0, 0.0))
    changed = np.abs(with_sign - without).max(0) > 0.05
    assert changed[inside < 1].mean() > 0.02
    assert not changed[inside > 1.2].any()


@pytest.mark.parametrize("dx", HAM10000.codes)
def test_every_diagnosis_can_be_drawn_in_many_looks(dx: str) -> None:
    looks = [draw_look(np.random.default_rng(seed), dx) for seed in range(4)]
    assert len({tuple(look.values()) for look in looks}) == 4
    for seed in range(4):
        image, mask = take_photo(Lesion(seed, "SYNL_0000001", dx), 0, 64, 48)
        assert image.size == (64, 48)
        assert mask.any()
        assert np.asarray(image).std() > 3


@pytest.mark.slow
def test_mean_colour_does_not_tell_the_diagnosis() -> None:
    """A linear probe on the mean colour of the photograph stays near the 0.14 of guessing."""
    dx = np.repeat(HAM10000.codes, 40)
    photos = [take_photo(Lesion(0, f"SYNL_{number:07d}", code), 0, 48, 36)[0] for number, code in enumerate(dx)]
    colours = np.array([np.asarray(photo, float).mean((0, 1)) for photo in photos])
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    assert balanced_accuracy_score(dx, cross_val_predict(probe, colours, dx, cv=5)) < 0.35
