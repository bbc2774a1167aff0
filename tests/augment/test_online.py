"""MixUp and CutMix: by hand, beside timm's formulas, and as often as the recipe says."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionlens.augment.online import cut_box, cutmix, draw_mixing, mix, mixup
from lesionlens.core.errors import DataError
from lesionlens.core.recipe import AugmentationRecipe
from lesionlens.models.operators import timm

RECIPE = AugmentationRecipe()
MIXUP = AugmentationRecipe(mixup_p=1.0, cutmix_p=0.0)
CUTMIX = AugmentationRecipe(mixup_p=0.0, cutmix_p=1.0)


def batch(count: int = 6, side: int = 16, classes: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, 3, side, side, generator=generator), torch.eye(classes)[torch.arange(count) % classes]


def test_mixup_by_hand() -> None:
    images = torch.tensor([10.0, 20.0]).view(2, 1, 1, 1).expand(2, 3, 4, 4)
    mixed, targets = mixup(images, torch.eye(2), torch.tensor([1, 0]), 0.7)
    torch.testing.assert_close(mixed[:, 0, 0, 0], torch.tensor([13.0, 17.0]))
    torch.testing.assert_close(targets, torch.tensor([[0.7, 0.3], [0.3, 0.7]]))


def test_cutmix_by_hand() -> None:
    images = torch.tensor([1.0, 2.0]).view(2, 1, 1, 1).expand(2, 3, 4, 4)
    mixed, targets = cutmix(images, torch.eye(2), torch.tensor([1, 0]), (1, 3, 0, 3))  # 6 of 16 pixels
    expected = torch.ones(4, 4)
    expected[1:3, 0:3] = 2
    assert torch.equal(mixed[0, 1], expected)
    assert torch.equal(mixed[1, 1], 3 - expected)
    torch.testing.assert_close(targets, torch.tensor([[0.625, 0.375], [0.375, 0.625]]))
    assert cut_box(10, 20, 0.75, (0.5, 0.5)) == (3, 7, 5, 15)  # half the sides: 5 x 10, rounded down to whole halves
    assert cut_box(10, 20, 0.75, (0.0, 0.999)) == (0, 2, 14, 20)  # what hangs over is cut off
    assert cut_box(10, 20, 1.0, (0.5, 0.5)) == (5, 5, 10, 10)  # nothing


@pytest.mark.parametrize("share", [0.0, 0.13, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("centre", [(0, 0), (5, 31), (22, 17), (23, 39)])
def test_boxes_are_those_of_timm(monkeypatch, share: float, centre: tuple[int, int]) -> None:
    timm()
    from timm.data import mixup as reference

    places = iter(centre)
    monkeypatch.setattr(np.random, "randint", lambda low, high, size: next(places))
    top, bottom, left, right = (int(side) for side in reference.rand_bbox((2, 3, 24, 40), share))
    ours = cut_box(24, 40, share, ((centre[0] + 0.5) / 24, (centre[1] + 0.5) / 40))
    # timm keeps the odd pixel of an odd side; Yun's own code and torchvision's drop it, as we do.
    odd_height, odd_width = int(24 * np.sqrt(1 - share)) % 2, int(40 * np.sqrt(1 - share)) % 2
    assert (ours[0], ours[2]) == (top, left)
    assert bottom - ours[1] in (0, odd_height)
    assert right - ours[3] in (0, odd_width)


@pytest.mark.parametrize("share", [0.0, 0.13, 0.5, 0.9, 1.0])
def test_boxes_follow_torchvisions_formula(share: float) -> None:
    height, width, y, x = 25, 41, 20, 3
    half_width, half_height = int(0.5 * np.sqrt(1 - share) * width), int(0.5 * np.sqrt(1 - share) * height)
    expected = (max(y - half_height, 0), min(y + half_height, height), max(x - half_width, 0), min(x + half_width, width))
    assert cut_box(height, width, share, ((y + 0.5) / height, (x + 0.5) / width)) == expected


def test_targets_are_those_of_timm() -> None:
    timm()
    from timm.data.mixup import mixup_target

    labels = torch.tensor([0, 3, 6, 2])
    images = torch.rand(4, 3, 16, 16)
    partners = torch.tensor([3, 2, 1, 0])  # timm takes the batch backwards
    mixed, targets = mixup(images, torch.eye(7)[labels], partners, 0.35)
    torch.testing.assert_close(targets, mixup_target(labels, 7, 0.35))
    torch.testing.assert_close(mixed, images * 0.35 + images.flip(0) * (1 - 0.35))


def test_one_draw_a_batch_as_often_as_the_recipe_says() -> None:
    # A plain batch of its own number in every pixel: MixUp leaves none of the numbers, CutMix leaves only them.
    images = torch.tensor([0.0, 100.0]).view(2, 1, 1, 1).expand(2, 3, 8, 8)
    counts = {"mixup": 0, "cutmix": 0, "neither": 0}
    for seed in range(3000):
        mixed, _ = mix(images, torch.eye(2), RECIPE, seed)
        inside = ((mixed > 0) & (mixed < 100)).any()
        counts["mixup" if inside else "neither" if mixed is images else "cutmix"] += 1
    # A MixUp whose image is its own partner (half of two) shows as CutMix here.
    for share, count in ((0.5, counts["neither"]), (0.15, counts["mixup"]), (0.35, counts["cutmix"])):
        assert abs(count / 3000 - share) < 4 * np.sqrt(share * (1 - share) / 3000)


def test_shares_follow_the_beta_distribution() -> None:
    images, targets = torch.zeros(2, 3, 8, 8), torch.eye(2)
    shares = np.array([float(mix(images, targets, MIXUP, seed)[1][0, 0]) for seed in range(4000)])
    mixed = shares[shares < 1]  # the other half are their own partners
    assert abs(len(mixed) / 4000 - 0.5) < 0.04
    np.testing.assert_allclose(np.quantile(mixed, [0.1, 0.25, 0.5, 0.75, 0.9]), [0.1, 0.25, 0.5, 0.75, 0.9], atol=0.045)
    peaked = AugmentationRecipe(mixup_p=1.0, cutmix_p=0.0, mixup_alpha=50.0)
    shares = np.array([float(mix(images, targets, peaked, seed)[1][0, 0]) for seed in range(200)])
    assert np.abs(shares[shares < 1] - 0.5).max() < 0.2


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**63 - 1), count=st.integers(1, 9), side=st.integers(8, 20))
def test_mixing_keeps_what_must_be_kept(seed: int, count: int, side: int) -> None:
    images, targets = batch(count, side)
    for recipe in (RECIPE, MIXUP, CUTMIX):
        before = images.clone()
        mixed, shares = mix(images, targets, recipe, seed)
        assert mixed.shape == images.shape
        assert mixed.dtype == images.dtype
        torch.testing.assert_close(shares.sum(1), torch.ones(count))
        assert (shares >= 0).all()
        assert images.min() - 1e-6 <= mixed.min()
        assert mixed.max() <= images.max() + 1e-6
        assert torch.equal(images, before)
        again, same = mix(images, targets, recipe, seed)
        assert torch.equal(mixed, again)
        assert torch.equal(shares, same)


def test_cutmix_targets_are_the_exact_areas() -> None:
    images = torch.arange(5.0).view(5, 1, 1, 1).expand(5, 3, 15, 13)
    for seed in range(60):
        mixed, shares = mix(images, torch.eye(5), CUTMIX, seed)
        for row in range(5):
            areas = torch.stack([(mixed[row, 0] == value).double().mean() for value in range(5)])
            torch.testing.assert_close(shares[row].double(), areas, atol=1e-6, rtol=0)


def test_nothing_to_mix() -> None:
    images, targets = batch(1)
    assert mix(images, targets, MIXUP, 0)[0] is images
    images, targets = batch(4)
    assert mix(images, targets, AugmentationRecipe(mixup_p=0.0, cutmix_p=0.0), 0) == (images, targets)


def test_wrong_input_is_refused() -> None:
    images, targets = batch(4)
    with pytest.raises(DataError, match="same N"):
        mix(images, targets[:3], RECIPE, 0)
    with pytest.raises(DataError, match="floating point"):
        mix((images * 255).to(torch.uint8), targets, RECIPE, 0)
    with pytest.raises(DataError, match="floating point"):
        mix(images, targets.long(), RECIPE, 0)


def test_parts_of_a_mini_batch_mix_as_the_whole() -> None:
    """What two processes do, each with some of the rows."""
    images, targets = torch.rand(7, 3, 32, 32), torch.eye(7)
    recipe = AugmentationRecipe(mixup_p=0.5, cutmix_p=0.5)
    kinds = set()
    for seed in range(20):
        mixing = draw_mixing(7, 32, 32, recipe, seed)
        assert mixing is not None
        kinds.add(mixing.box is None)
        partners = torch.from_numpy(mixing.partners)
        parts = [mixing.apply(images[p], targets[p], images[partners[p]], targets[partners[p]]) for p in (slice(4), slice(4, 7))]
        for whole, *halves in zip(mix(images, targets, recipe, seed), *parts, strict=True):
            assert torch.equal(torch.cat(halves), whole)
    assert kinds == {True, False}
