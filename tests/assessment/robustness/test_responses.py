"""Batches of frames under stress: order, views, and what is predicted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlens.assessment.robustness.corruptions import STRENGTHS, corrupt
from lesionlens.assessment.robustness.responses import draw_ids, passes, respond, views_of
from lesionlens.assessment.robustness.settings import StressSettings
from lesionlens.core.errors import RecipeError
from lesionlens.data.image import centre_crop

RNG = np.random.default_rng(0)
FRAMES = RNG.integers(0, 256, (7, 40, 40, 3), dtype=np.uint8)
IDS = tuple(f"image {n}" for n in range(7))


class FakeStore:
    images = FRAMES

    def rows(self, ids: tuple[str, ...]) -> np.ndarray:
        return np.array([IDS.index(image_id) for image_id in ids])


def fingerprint(images: np.ndarray) -> np.ndarray:
    """A stand-in for a network whose logits tell the pixels of the centre."""
    crop = centre_crop(images, 32).astype(np.float32)
    return np.stack([crop.mean((1, 2, 3)), crop[:, :8, :8].mean((1, 2, 3)), crop.std((1, 2, 3))], axis=1)


def test_every_answer_is_of_the_image_that_it_says() -> None:
    settings, seen = StressSettings(corruptions=("noise", "hair"), batch_size=3, seed=5), []
    responses = respond(fingerprint, FakeStore(), IDS[1:], 32, settings, seen.append)
    assert responses.views.shape == (8, 6, 3)
    assert responses.corrupted.shape == (2, 5, 6, 3)
    assert sum(seen) == passes(6, 2)
    assert np.allclose(responses.clean, fingerprint(FRAMES[1:]))
    for row, image_id in enumerate(IDS[1:], 1):
        for place, name in enumerate(("noise", "hair")):
            for strength in STRENGTHS:
                expected = fingerprint(corrupt(FRAMES[row], name, strength, 5, image_id)[None])[0]
                assert np.allclose(responses.corrupted[place, strength - 1, row - 1], expected)


def test_the_size_of_batches_does_not_matter() -> None:
    one, other = (
        respond(fingerprint, FakeStore(), IDS, 32, StressSettings(corruptions=("bubbles",), batch_size=size)) for size in (1, 7)
    )
    assert np.allclose(one.corrupted, other.corrupted)
    assert np.allclose(one.views, other.views)


def test_views_are_the_eight_symmetries_of_the_square() -> None:
    views = views_of(FRAMES)
    assert len({view.tobytes() for view in views}) == 8
    assert np.array_equal(views[0], FRAMES)
    assert all(
        view.flags["C_CONTIGUOUS"] and np.array_equal(np.sort(view, axis=None), np.sort(FRAMES, axis=None)) for view in views
    )


@given(st.integers(1, 60), st.integers(0, 80), st.integers(0, 5))
def test_whole_lesions_are_drawn(n_lesions: int, n_images: int, seed: int) -> None:
    lesions = np.repeat([f"lesion {n}" for n in range(n_lesions)], 1 + np.arange(n_lesions) % 3)
    ids = [f"image {n}" for n in range(len(lesions))]
    drawn = draw_ids(ids, lesions, n_images, seed)
    assert list(drawn) == [image_id for image_id in ids if image_id in set(drawn)]  # in their order
    chosen = set(lesions[[ids.index(image_id) for image_id in drawn]])
    assert len(drawn) == np.isin(lesions, list(chosen)).sum()
    if 0 < n_images < len(ids):
        assert n_images <= len(drawn) <= n_images + 2
    else:
        assert len(drawn) == len(ids)
    assert drawn == draw_ids(ids, lesions, n_images, seed)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"split": "exam"}, "split = 'exam'; it must be one of train, validation, test"),
        ({"images": -1}, "images = -1; it must be from 0"),
        ({"batch_size": 0}, "batch size = 0; it must be from 1"),
        ({"corruptions": ("fog",)}, "unknown corruption 'fog'"),
        ({"confidence": 1.5}, "confidence"),
        ({"resamples": 0}, "resamples"),
    ],
)
def test_settings_out_of_range(change: dict, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        StressSettings(**change)
