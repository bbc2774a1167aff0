"""Random erasing: the rectangles of timm's RandomErasing with the same draws."""

import random

import pytest
import torch

from lesionlens.augment.erasing import erase_
from lesionlens.core.recipe import AugmentationRecipe
from lesionlens.models.operators import timm


def erased(seed: int, **settings: object) -> torch.Tensor:
    images = torch.full((1, 3, 40, 56), 9.0)
    erase_(images, [seed], AugmentationRecipe(random_erasing_p=0.7, **settings))
    return images[0]


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("mode", ["const", "rand", "pixel"])
def test_rectangles_are_those_of_timm(count: int, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    timm()
    import timm.data.random_erasing as module

    theirs = module.RandomErasing(0.7, mode=mode, max_count=count, device="cpu")
    n_erased = 0
    for seed in range(150):
        monkeypatch.setattr(module, "random", random.Random(seed))
        expected = theirs(torch.full((3, 40, 56), 9.0))
        ours = erased(seed, random_erasing_mode=mode, random_erasing_count=count)
        assert torch.equal(ours == 9, expected == 9)
        n_erased += bool((ours != 9).any())
    assert n_erased == pytest.approx(0.7 * 150, abs=25)


def test_what_rectangles_are_filled_with() -> None:
    seed = next(seed for seed in range(9) if (erased(seed) != 9).any())
    constant, coloured, noisy = (erased(seed, random_erasing_mode=mode) for mode in ("const", "rand", "pixel"))
    where = (constant != 9)[0]
    assert (constant[:, where] == 0).all()
    assert torch.equal(coloured[:, where], coloured[:, where][:, :1].expand(3, int(where.sum())))
    assert len(coloured[:, where].unique()) == 3
    assert abs(float(noisy[:, where].mean())) < 0.3
    assert float(noisy[:, where].std()) == pytest.approx(1, abs=0.2)


def test_an_image_depends_on_its_seed_alone() -> None:
    recipe = AugmentationRecipe(random_erasing_p=0.5)
    whole, parts = torch.ones(6, 3, 20, 20), torch.ones(6, 3, 20, 20)
    erase_(whole, range(6), recipe)
    for number in range(6):
        erase_(parts[number : number + 1], [number], recipe)
    assert torch.equal(whole, parts)
