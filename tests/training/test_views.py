"""Random views: their seeds, their crops, by hand."""

import torch

from lesionlens.training.views import random_crops, random_views


def gradient(size=32):
    """Red grows to the right, green downwards, from 0 to 248."""
    values = (8 * torch.arange(size)).to(torch.uint8)
    red, green = values.expand(size, size), values[:, None].expand(size, size)
    return torch.stack([red, green, torch.zeros_like(red)])[None]


def test_a_view_depends_on_its_own_seed_alone():
    frames = torch.randint(0, 256, (3, 3, 40, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    together = random_views(frames, [5, 6, 7], 32, 0.25)
    assert together.shape == (3, 3, 32, 32)
    assert together.dtype == torch.uint8
    assert torch.equal(together[1:2], random_views(frames[1:2], [6], 32, 0.25))
    assert not torch.equal(together[1:2], random_views(frames[1:2], [8], 32, 0.25))


def test_the_whole_image_stays_as_it_is_but_for_its_aspect():
    frames = gradient()
    crops = random_crops(frames.expand(50, -1, -1, -1), range(50), 32, 1.0)
    spans = (crops.amax((2, 3)) - crops.amin((2, 3)))[:, :2].float() / 248
    assert spans.min() > 0.8  # a side is at least the root of 3/4 of the whole
    assert spans.max() <= 1


def test_crops_show_the_stated_share_of_the_area():
    crops = random_crops(gradient().expand(400, -1, -1, -1), range(400), 32, 0.25)
    shares = (crops.amax((2, 3)).float() - crops.amin((2, 3)))[:, :2].prod(1) / 248**2
    assert 0.2 < shares.min() < 0.3
    assert shares.max() > 0.85
    assert 0.55 < shares.mean() < 0.65  # uniform from 0.25 to 1 has the mean 0.625; the longer side stops at the frame's
