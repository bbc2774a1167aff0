"""Corruptions: repeatable, graded, and what their names say."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lesionlens.assessment.robustness.corruptions import (
    BY_NAME,
    CORRUPTIONS,
    LINEAR,
    STRENGTHS,
    corrupt,
    exposed,
    select_corruptions,
)
from lesionlens.core.errors import RecipeError


def skin(side: int = 96) -> np.ndarray:
    """A lesion-like picture with fine structure."""
    rng = np.random.default_rng(0)
    place = np.linspace(-1, 1, side)
    lesion = np.exp(-6 * (place[:, None] ** 2 + place[None, :] ** 2))[..., None]
    colour = np.array([214, 160, 140]) * (1 - lesion) + np.array([90, 50, 40]) * lesion
    return np.clip(colour + rng.normal(0, 3, (side, side, 1)), 0, 255).astype(np.uint8)


IMAGE = skin()
every_corruption = pytest.mark.parametrize("name", [corruption.name for corruption in CORRUPTIONS])


@every_corruption
@pytest.mark.parametrize("side", [64, 97])
def test_shape_type_and_input_are_kept(name: str, side: int) -> None:
    image = skin(side)
    before = image.copy()
    result = corrupt(image, name, 3, seed=0, image_id="a")
    assert (result.shape, result.dtype) == (image.shape, np.uint8)
    assert np.array_equal(image, before)


@every_corruption
def test_it_is_a_function_of_seed_image_and_strength(name: str) -> None:
    first = corrupt(IMAGE, name, 4, seed=0, image_id="a")
    assert np.array_equal(first, corrupt(IMAGE, name, 4, seed=0, image_id="a"))
    assert not np.array_equal(first, corrupt(IMAGE, name, 5, seed=0, image_id="a"))


@pytest.mark.parametrize("name", ["noise", "hair", "ruler", "bubbles"])
def test_each_image_and_seed_has_its_own(name: str) -> None:
    first = corrupt(IMAGE, name, 4, seed=0, image_id="a")
    assert not np.array_equal(first, corrupt(IMAGE, name, 4, seed=0, image_id="b"))
    assert not np.array_equal(first, corrupt(IMAGE, name, 4, seed=1, image_id="a"))


@every_corruption
def test_each_strength_is_further_from_the_image(name: str) -> None:
    image = skin(192)  # smaller ones have no detail for the weakest blur to take
    distances = [
        np.abs(corrupt(image, name, strength, seed=0, image_id="a").astype(float) - image).mean() for strength in STRENGTHS
    ]
    assert all(later > earlier for earlier, later in zip([0.0, *distances], distances, strict=False))


@pytest.mark.parametrize("name", ["hair", "bubbles"])
def test_a_stronger_one_adds_to_the_weaker(name: str) -> None:
    weak, strong = (corrupt(IMAGE, name, strength, seed=0, image_id="a") for strength in (2, 4))
    touched = [(image != IMAGE).any(axis=2) for image in (weak, strong)]
    assert touched[0].any()
    assert not (touched[0] & ~touched[1]).any()


def test_strengths_are_stated_once_and_in_order() -> None:
    for corruption in CORRUPTIONS:
        assert len(corruption.values) == len(STRENGTHS)
        steps = np.diff(corruption.values)
        assert (steps > 0).all() or (steps < 0).all()
        assert corruption.unit
    assert len(BY_NAME) == len(CORRUPTIONS)


def test_the_page_states_the_same_strengths() -> None:
    page = (Path(__file__).parents[3] / "docs" / "robustness.md").read_text(encoding="utf-8")
    for corruption in CORRUPTIONS:
        (row,) = (line for line in page.splitlines() if line.startswith(f"| `{corruption.name}` |"))
        assert row.split("|")[4].strip() == ", ".join(f"{value:g}" for value in corruption.values)


class TestWhatTheyDo:
    """Each against its definition."""

    def test_jpeg_is_pillows(self) -> None:
        stream = io.BytesIO()
        Image.fromarray(IMAGE).save(stream, "JPEG", quality=20, subsampling="4:2:0")
        assert np.array_equal(corrupt(IMAGE, "jpeg", 3, 0, "a"), np.array(Image.open(stream)))

    def test_a_stop_is_twice_the_light(self) -> None:
        grey = np.full((4, 4, 3), 100, np.uint8)
        brighter, darker = (corrupt(grey, "brighter", 4, 0, "a"), corrupt(grey, "darker", 3, 0, "a"))
        assert LINEAR[brighter[0, 0, 0]] == pytest.approx(2 * LINEAR[100], rel=0.01)  # rounding to 8 bits
        assert LINEAR[darker[0, 0, 0]] == pytest.approx(LINEAR[100] / 2, rel=0.02)  # a level is 2 % there

    def test_no_gain_changes_nothing(self) -> None:
        levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
        assert np.array_equal(exposed(levels, np.ones(3)), levels)

    def test_white_balance_trades_red_for_blue_in_either_direction(self) -> None:
        grey = np.full((4, 4, 3), 100, np.uint8)
        pixels = [corrupt(grey, "white_balance", 3, 0, str(number))[0, 0].tolist() for number in range(12)]
        assert all(green == 100 and (red > 100) == (blue < 100) and red != 100 for red, green, blue in pixels)
        assert {red > 100 for red, _, _ in pixels} == {True, False}
        red, _, blue = pixels[0]
        assert LINEAR[red] * LINEAR[blue] == pytest.approx(LINEAR[100] ** 2, rel=0.02)  # rounding to 8 bits

    def test_blur_keeps_the_mean_and_removes_structure(self) -> None:
        result = corrupt(IMAGE, "blur", 5, 0, "a").astype(float)
        assert result.mean() == pytest.approx(IMAGE.mean(), abs=0.5)
        assert np.abs(np.diff(result, axis=0)).mean() < 0.6 * np.abs(np.diff(IMAGE.astype(float), axis=0)).mean()

    def test_noise_has_the_stated_deviation(self) -> None:
        grey = np.full((128, 128, 3), 128, np.uint8)
        assert (corrupt(grey, "noise", 3, 0, "a") - 128.0).std() == pytest.approx(4 * 2.55, rel=0.03)

    def test_zoom_shows_the_centre(self) -> None:
        image = np.zeros((80, 80, 3), np.uint8)
        image[20:60, 20:60] = 200
        assert (corrupt(image, "zoom", 5, 0, "a") == 200).all()

    def test_ruler_marks_lie_along_one_edge(self) -> None:
        grey = np.full((120, 120, 3), 200, np.uint8)
        for number in range(8):
            touched = (corrupt(grey, "ruler", 1, 0, str(number)) != 200).any(axis=2)
            edges = [touched[:24].sum(), touched[-24:].sum(), touched[:, :24].sum(), touched[:, -24:].sum()]
            assert max(edges) == touched.sum() > 0

    def test_hair_is_dark_and_bubbles_have_light(self) -> None:
        grey = np.full((120, 120, 3), 150, np.uint8)
        assert corrupt(grey, "hair", 5, 0, "a").max() == 150
        bubbles = corrupt(grey, "bubbles", 5, 0, "a")
        assert bubbles.max() > 200
        assert bubbles.min() < 120


class TestMistakes:
    def test_an_unknown_corruption(self) -> None:
        with pytest.raises(RecipeError, match="unknown corruption 'fog'; known are jpeg, brighter"):
            corrupt(IMAGE, "fog", 1, 0, "a")

    @pytest.mark.parametrize("strength", [0, 6, -1])
    def test_a_strength_out_of_range(self, strength: int) -> None:
        with pytest.raises(RecipeError, match=f"strength {strength} of blur; it must be a whole number from 1 to 5"):
            corrupt(IMAGE, "blur", strength, 0, "a")

    def test_names_come_in_the_order_of_the_table(self) -> None:
        assert [each.name for each in select_corruptions(("hair", "jpeg"))] == ["jpeg", "hair"]
        assert select_corruptions() == CORRUPTIONS
