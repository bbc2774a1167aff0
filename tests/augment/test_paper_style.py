"""The style `paper`: what Albumentations 1.3.1 does, from numbers that it gave (see golden/albumentations_1_3_1.json)."""

import json
import tomllib
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lesionlens.augment import draws, geometry, ops
from lesionlens.augment.policy import STYLES, TRANSFORMS, Policy, recipe_policy
from lesionlens.augment.transform import augment
from lesionlens.core.errors import RecipeError
from lesionlens.core.recipe import AugmentationRecipe
from lesionlens.core.recipe_file import load_recipe, recipe_from, recipe_to_toml

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "golden" / "albumentations_1_3_1.json").read_text(encoding="utf-8"))
PAPER = STYLES["paper"]


def test_probabilities_and_stated_magnitudes_are_those_of_table_3() -> None:
    ours = STYLES["lesionlens"]
    assert [PAPER.probability(name) for name in TRANSFORMS] == [ours.probability(name) for name in TRANSFORMS]
    stated = ("shift", "scale", "rotate_deg", "brightness", "contrast", "hue", "saturation", "value", "noise_variance", "holes")
    assert all(getattr(PAPER, name) == getattr(ours, name) for name in stated)
    assert ours == Policy()
    assert list(PAPER.noise_variance) == GOLDEN["noise_variance"]
    assert [PAPER.grid_steps, [-PAPER.grid_distort, PAPER.grid_distort]] == GOLDEN["grid_defaults"]
    assert PAPER.grid_normalised == GOLDEN["grid_normalized_by_default"]


def test_motion_kernels_are_those_of_the_library() -> None:
    """Every pair of points, reached by the uniform numbers that draw it."""
    for x1, y1, x2, y2, *expected in GOLDEN["motion_kernels"]:
        last = ((y2 - y1) % 3 - 1) / 2 if x1 == x2 else y2 / 3
        u = np.array([[x1 / 3, x2 / 3, y1 / 3, last]]) + 0.01
        (kernel,) = draws.motion_blur(u, PAPER)
        np.testing.assert_allclose(kernel, np.array(expected) / sum(expected), err_msg=f"{x1, y1, x2, y2}")


def test_motion_points_are_drawn_alike() -> None:
    """As the library: both x at random; if they are equal two different y, else both y at random."""
    weight: dict[tuple[int, ...], float] = {}
    for x1, _, x2, _, *kernel in GOLDEN["motion_kernels"]:
        weight[tuple(kernel)] = weight.get(tuple(kernel), 0.0) + (1 / 9) * (1 / 6 if x1 == x2 else 1 / 9)
    assert sum(weight.values()) == pytest.approx(1)
    n = 40_000
    kernels = draws.motion_blur(draws.uniform(draws.seed_array(range(n)), 7, 4), PAPER) > 0
    for kernel, p in weight.items():
        share = (kernels == np.array(kernel, bool)).all(1).mean()
        assert share == pytest.approx(p, abs=4.5 * np.sqrt(p / n))


def test_gaussian_blur_is_that_of_the_library() -> None:
    image = torch.tensor(GOLDEN["blur_image"], dtype=torch.float32).permute(2, 0, 1)[None].contiguous()
    sigma = draws.gaussian_blur(np.array([[0.3]]), PAPER).astype(np.float32)
    ops.gaussian_blur_(image, sigma)
    blurred = image[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(blurred, GOLDEN["blurred_float"], atol=2e-3)
    assert np.abs(blurred - np.array(GOLDEN["blurred"])).max() <= 0.51  # rounded there


@pytest.mark.parametrize("case", GOLDEN["grid"], ids=lambda case: f"side {case['side']}")
def test_distorted_grid_is_that_of_the_library(case: dict[str, Any]) -> None:
    ours = geometry.distorted_axis(np.array([case["factors"]]), case["side"], normalised=False)[0]
    period = 2 * (case["side"] - 1)
    theirs = np.mod(case["x"], period)
    np.testing.assert_allclose(ours[case["pixels"]], np.minimum(theirs, period - theirs), atol=2e-3)


def test_a_grid_that_leaves_the_image_is_mirrored() -> None:
    # Two cells of four pixels over nine, both twice as long: 0 to 8, 8 to 16, and the last pixel at 9's mirror image.
    axis = geometry.distorted_axis(np.array([[2.0, 2.0, 1.0]]), 9, normalised=False)[0]
    np.testing.assert_allclose(axis, [0, 8 / 3, 16 / 3, 8, 8, 16 - 8 - 8 / 3, 16 - 8 - 16 / 3, 0, 0], atol=1e-12)


def test_holes_are_those_of_the_library() -> None:
    golden, n, side = GOLDEN["holes"], 4000, 384
    boxes = draws.hole_boxes(draws.coarse_dropout(draws.uniform(draws.seed_array(range(n)), 9, 33), PAPER), side, side, True)
    sizes = np.stack([boxes[..., 1] - boxes[..., 0], boxes[..., 3] - boxes[..., 2]], axis=-1)
    exists = sizes[..., 0] > 0
    assert np.unique(exists.sum(1)).tolist() == golden["counts"]
    assert np.unique(sizes[exists], axis=0).tolist() == golden["sizes"]
    assert (boxes[exists].min(), boxes[exists].max()) == (golden["first"], golden["last"])
    share = (sizes[..., 0] * sizes[..., 1]).sum(1).mean() / side**2
    assert share == pytest.approx(golden["mean_share"], rel=0.01)


def test_holes_of_an_image_are_black_squares_of_eight_pixels() -> None:
    images = torch.full((30, 3, 64, 64), 200, dtype=torch.uint8)
    holed = augment(images, range(30), PAPER.only("coarse_dropout"))
    black = (holed == 0).sum((1, 2, 3)) / 3 / 64  # in holes; some overlap
    assert black.max() <= 8
    assert black.min() > 3
    tiny = augment(
        images[:, :, :16, :16],
        range(30),
        recipe_policy(AugmentationRecipe(transforms={"coarse_dropout": {"p": 1, "size_px": 500}})),
    )
    assert (tiny == 0).any()


OVERRIDES = {
    ("shift_scale_rotate", "shift"): 0.3,
    ("shift_scale_rotate", "scale"): 0.5,
    ("shift_scale_rotate", "rotate_deg"): 180,
    ("brightness_contrast", "brightness"): 0.4,
    ("brightness_contrast", "contrast"): 0.4,
    ("hue_saturation_value", "hue"): 5,
    ("hue_saturation_value", "saturation"): 30,
    ("hue_saturation_value", "value"): 50,
    ("gaussian_noise", "variance"): [100, 200],
    ("gaussian_blur", "sigma"): 2,
    ("motion_blur", "kernel"): "points",
    ("grid_distortion", "steps"): 3,
    ("grid_distortion", "distort"): 0.6,
    ("grid_distortion", "normalised"): False,
    ("coarse_dropout", "holes"): 2,
    ("coarse_dropout", "side"): [0.3, 0.4],
    ("coarse_dropout", "size_px"): 8,
}


@pytest.mark.parametrize(("name", "value"), OVERRIDES.items(), ids=lambda item: ".".join(item) if isinstance(item, tuple) else "")
def test_every_parameter_can_be_overridden_and_does_something(name: tuple[str, str], value: object) -> None:
    transform, parameter = name
    recipe = AugmentationRecipe(transforms={transform: {parameter: value}})
    policy, usual = recipe_policy(recipe), Policy()
    assert policy.hash != usual.hash
    images = torch.randint(0, 256, (6, 3, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert not torch.equal(augment(images, range(6), policy.only(transform)), augment(images, range(6), usual.only(transform)))
    others = [other for other in TRANSFORMS if other != transform]
    for other in others:
        assert torch.equal(augment(images, range(6), policy.only(other)), augment(images, range(6), usual.only(other)))


def test_a_side_given_in_fractions_replaces_the_pixels_of_the_style() -> None:
    policy = recipe_policy(AugmentationRecipe(style="paper", transforms={"coarse_dropout": {"side": 0.1}}))
    assert (policy.hole_px, policy.hole_side) == ((0, 0), (0.1, 0.1))


def test_the_recipe_paper_is_of_the_style_paper_and_the_others_are_not() -> None:
    assert recipe_policy(load_recipe("paper").augmentation) == PAPER
    for name in ("light", "tiny", "demo"):
        assert recipe_policy(load_recipe(name).augmentation).hole_px == (0, 0)
    changed = load_recipe("paper", ["augmentation.transforms.hue_saturation_value.saturation=30"])
    assert recipe_policy(changed.augmentation).saturation == 30.0


def test_overrides_survive_toml_and_count_in_the_hash() -> None:
    text = ["augmentation.transforms={ coarse_dropout = { p = 1, holes = [5, 8], size_px = 8 } }"]
    recipe = recipe_from({}, text)
    assert recipe.augmentation.transforms == {"coarse_dropout": {"p": 1.0, "holes": [5, 8], "size_px": [8, 8]}}
    assert recipe_from(tomllib.loads(recipe_to_toml(recipe))) == recipe
    assert recipe.hash("augmentation") != recipe_from({}).hash("augmentation")


@pytest.mark.parametrize(
    ("transforms", "words"),
    [
        ({"coarse_dropuot": {}}, "unknown transform 'coarse_dropuot'; did you mean coarse_dropout?"),
        ({"coarse_dropout": {"hols": 3}}, "unknown parameter 'hols'; did you mean holes?"),
        ({"coarse_dropout": {"holes": [8, 5]}}, "a whole number, or an ascending pair, from 1 to 32"),
        ({"coarse_dropout": {"holes": 5.5}}, "from 1 to 32"),
        ({"coarse_dropout": {"size_px": 8, "side": 0.1}}, "not both"),
        ({"coarse_dropout": {"p": 1.5}}, "coarse_dropout.p = 1.5; it must be a number from 0 to 1"),
        ({"coarse_dropout": {"p": True}}, "a number from 0 to 1"),
        ({"gaussian_blur": {"sigma": float("nan")}}, "from 0.01 to 100"),
        ({"shift_scale_rotate": {"scale": 1.0}}, "a number from 0 to 0.95"),
        ({"motion_blur": {"kernel": "circle"}}, "one of angle, points"),
        ({"grid_distortion": {"normalised": 1}}, "true or false"),
        ({"grid_distortion": {"steps": 40}}, "a whole number from 1 to 16"),
        ({"horizontal_flip": {"shift": 1}}, "unknown parameter 'shift'; known are p"),
        ({"horizontal_flip": 0.5}, "augmentation.transforms.horizontal_flip = 0.5"),
    ],
)
def test_wrong_overrides_name_key_value_and_rule(transforms: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError) as error:
        AugmentationRecipe(transforms=transforms)
    assert words in str(error.value)


def test_a_probability_is_given_once() -> None:
    with pytest.raises(RecipeError, match="given once"):
        AugmentationRecipe(probabilities={"gaussian_blur": 0.1}, transforms={"gaussian_blur": {"p": 0.2}})
    with pytest.raises(
        RecipeError, match=r"augmentation.probabilities: unknown transform 'gausian_blur'; did you mean gaussian_blur"
    ):
        AugmentationRecipe(probabilities={"gausian_blur": 0.1})


def test_all_pairs_of_points_are_in_the_golden_file() -> None:
    pairs = {tuple(row[:4]) for row in GOLDEN["motion_kernels"]}
    assert pairs == {(x1, y1, x2, y2) for x1, y1, x2, y2 in product(range(3), repeat=4) if (x1, y1) != (x2, y2)}
