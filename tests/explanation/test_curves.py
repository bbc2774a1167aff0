import inspect
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lesionlens.bundle.overlay import enlarge
from lesionlens.cli.explain import explain as explain_command
from lesionlens.explanation.curves import STEPS, area, blur, curves, pixel_ranks, random_ranks
from lesionlens.explanation.settings import ExplainSettings

SIZE = 16


class Brightness(nn.Module):
    """Logit 1 is a constant times the mean of the left half, logit 0 is 0."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.largest = max(self.largest, len(images))
        level = 8 * images[..., : SIZE // 2].mean((1, 2, 3))
        return torch.stack([torch.zeros_like(level), level], dim=1)


def left_first() -> np.ndarray:
    return pixel_ranks(np.array([[1.0, 0.0]]), SIZE, "a")


def test_curves_by_hand():
    network = Brightness()
    images, classes = torch.ones(1, 3, SIZE, SIZE), torch.tensor([1])
    found = curves(network, images, classes, left_first()[None], steps=4)
    # The left half is the first two quarters of the pixels: its mean is 1, 1/2, 0, 0, 0.
    levels = torch.tensor([8.0, 4.0, 0.0, 0.0, 0.0])
    assert found.deletion[0] == pytest.approx(levels.sigmoid().numpy(), abs=1e-3)
    assert found.insertion[0] == pytest.approx(np.full(5, 0.99966), abs=1e-3)  # blurring ones changes nothing


def test_the_right_order_beats_the_wrong_one():
    torch.manual_seed(0)
    images, classes = torch.rand(2, 3, SIZE, SIZE), torch.tensor([1, 1])
    images[..., SIZE // 2 :] = -3.0  # so that blurring darkens the left half
    right = np.stack([left_first()] * 2)
    wrong = SIZE * SIZE - 1 - right
    good, bad = (curves(Brightness(), images, classes, ranks) for ranks in (right, wrong))
    assert (area(good.deletion) < area(bad.deletion) - 0.1).all()
    assert (area(good.insertion) > area(bad.insertion)).all()
    np.testing.assert_allclose(good.deletion[:, [0, -1]], bad.deletion[:, [0, -1]], rtol=1e-6)
    np.testing.assert_allclose(good.insertion[:, -1], good.deletion[:, 0], rtol=1e-6)


@pytest.mark.parametrize("bound", [1, 2])
def test_the_network_sees_no_more_than_the_bound(bound):
    network, classes = Brightness(), torch.tensor([1, 0, 1])
    images = torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    ranks = np.stack([random_ranks((3, 3), SIZE, name) for name in "abc"])
    free = curves(network, images, classes, ranks)
    network.largest = 0
    bounded = curves(network, images, classes, ranks, images_per_pass=bound)
    assert network.largest == bound
    np.testing.assert_allclose(bounded.deletion, free.deletion, rtol=1e-6)
    np.testing.assert_allclose(bounded.insertion, free.insertion, rtol=1e-6)


def test_area_by_hand():
    assert area(np.array([[1.0, 0.5, 0.0], [1.0, 1.0, 1.0]])).tolist() == [0.5, 1.0]
    assert np.isnan(area(np.full((1, 3), np.nan))).all()


@given(st.integers(0, 2**31), st.integers(1, 7), st.integers(1, 7))
def test_ranks_are_an_order_that_follows_the_map(seed, height, width):
    map_ = np.random.default_rng(seed).random((height, width)).round(1)
    ranks = pixel_ranks(map_, SIZE, "image")
    assert sorted(ranks.ravel().tolist()) == list(range(SIZE * SIZE))
    along = enlarge(map_, SIZE, SIZE).ravel()[np.argsort(ranks.ravel())]
    assert (np.diff(along) <= 0).all()


def test_ties_are_broken_by_chance_and_not_by_place():
    first = [pixel_ranks(np.zeros((7, 7)), 64, f"image {number}").reshape(-1).argmin() for number in range(60)]
    rows, columns = np.divmod(first, 64)
    assert 10 < np.mean(rows) < 54
    assert 10 < np.mean(columns) < 54
    assert len(set(first)) > 30
    assert (pixel_ranks(np.zeros((7, 7)), 64, "a") == pixel_ranks(np.zeros((7, 7)), 64, "a")).all()


def test_random_order_does_not_know_the_map():
    assert (random_ranks((7, 7), SIZE, "a") == random_ranks((7, 7), SIZE, "a")).all()
    assert (random_ranks((7, 7), SIZE, "a") != random_ranks((7, 7), SIZE, "b")).any()


def test_blur_is_scipys():
    ndimage = pytest.importorskip("scipy.ndimage")
    images = torch.rand(2, 3, 24, 20, dtype=torch.float64)
    wanted = ndimage.gaussian_filter(images.numpy(), (0, 0, 2.0, 2.0), mode="mirror", radius=6)
    np.testing.assert_allclose(blur(images, 2.0).numpy(), wanted, atol=1e-12)


def test_the_default_number_of_steps_is_enough_and_the_same_everywhere():
    """Area within 1 % of the reference on measured curves; with ten steps one network's was 6 % off."""
    assert ExplainSettings().curve_steps == STEPS == inspect.signature(explain_command).parameters["curve_steps"].default
    measured = json.loads((Path(__file__).parents[2] / "benchmarks" / "results" / "curve_steps.json").read_text(encoding="utf-8"))
    for orders in measured["curves"].values():
        for errors in orders.values():
            assert abs(errors[str(STEPS)]["error"]) < 0.01
            assert errors[str(STEPS)]["worst_image"] < errors["10"]["worst_image"]
