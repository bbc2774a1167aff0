"""RandAugment: pixel for pixel what timm makes of the same draws."""

import random
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from lesionlens.core.errors import RecipeError
from lesionlens.core.recipe import AugmentationRecipe
from lesionlens.data.image import NORMALISATIONS, InputSpec
from lesionlens.models.operators import auto_augment
from lesionlens.training.batches import randaugment

SPEC = InputSpec(32, 32, "squash", *NORMALISATIONS["imagenet"])
CONFIGURATIONS = [
    *("rand-m9-n2-mstd0.5-inc1", "rand-m10", "rand-m5-n3-p0.8-mstd101", "rand-m7-tweights-n4-mstd1-inc1"),
    *("rand-m15-n3-mmax20-inc1-p1", "rand-t3a-m9", "rand-t3aw-inc1-n5-p1"),
]


def batch(count: int = 4, side: int = 32) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def choose(chooser: np.random.Generator, ops: list, n: int, replace: bool, p: np.ndarray | None) -> list:
    return [ops[number] for number in chooser.choice(len(ops), n, replace, p)]


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_images_are_those_of_timm(configuration: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = auto_augment()
    theirs = module.rand_augment_transform(configuration, {"img_mean": (124, 116, 104)})
    ours = randaugment(configuration, SPEC)
    pixels = batch(1)[0].permute(1, 2, 0).numpy()
    posterize, changed = ImageOps.posterize, 0
    for seed in range(60):
        chooser = np.random.Generator(np.random.PCG64(seed))
        with monkeypatch.context() as patch:
            patch.setattr(module, "random", random.Random(seed))
            patch.setattr(np.random, "choice", partial(choose, chooser))
            patch.setattr(ImageOps, "posterize", lambda image, bits: posterize(image, max(1, bits)))  # see `_arguments`
            expected = np.asarray(theirs(Image.fromarray(pixels)))
        got = ours(torch.from_numpy(pixels).permute(2, 0, 1)[None], [seed])[0].permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(got, expected, err_msg=f"seed {seed}")
        changed += not np.array_equal(got, pixels)
    assert changed > 20


def test_an_image_depends_on_its_seed_alone() -> None:
    images, transform = batch(6), randaugment("rand-m9-n2-mstd0.5-inc1", SPEC)
    whole = transform(images, [3, 1, 4, 1, 5, 9])
    parts = torch.cat([transform(images[:2], [3, 1]), transform(images[2:], [4, 1, 5, 9])])
    assert torch.equal(whole, parts)
    assert (whole.dtype, whole.shape) == (torch.uint8, images.shape)
    random.seed(0)
    assert torch.equal(transform(images, [3, 1, 4, 1, 5, 9]), whole)
    assert transform(images[:0], []).shape == (0, 3, 32, 32)


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_recipes_accept_what_timm_accepts(configuration: str) -> None:
    assert AugmentationRecipe(randaugment=configuration).randaugment == configuration


@pytest.mark.parametrize("configuration", ["m9", "rand-m", "rand-m9-x3", "rand-n0", "v0", "rand-twrong", "rand-m9 "])
def test_other_configurations_are_refused(configuration: str) -> None:
    with pytest.raises(RecipeError, match=r"augmentation.randaugment = .*timm's configuration"):
        AugmentationRecipe(randaugment=configuration)
