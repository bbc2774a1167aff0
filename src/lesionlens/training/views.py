"""Random views of images: a crop at another scale, then flips, rotation and colour; each by its own seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lesionlens.augment.draws import seed_array, uniform
from lesionlens.augment.policy import Policy
from lesionlens.augment.transform import augment

CROP_STREAM = 101  # beyond those of the transforms
ASPECT = 4 / 3  # largest ratio of the sides of a crop

VIEW = Policy(
    shift_scale_rotate=0.8,
    shift=0.0,
    scale=0.0,
    rotate_deg=90.0,
    brightness_contrast=0.8,
    brightness=0.3,
    contrast=0.3,
    hue_saturation_value=0.8,
    saturation=30.0,
    gaussian_noise=0.0,
    gaussian_blur=0.5,
    motion_blur=0.0,
    grid_distortion=0.0,
    coarse_dropout=0.0,
)
"""A view for self-supervised pretraining. Hue moves little, because colour tells lesions apart."""


def random_views(frames: Tensor, seeds: Sequence[int], size: int, smallest_crop: float, policy: Policy = VIEW) -> Tensor:
    """One random view of each frame.

    View i depends only on frames[i], seeds[i] and the settings.

    Args:
        frames: uint8 (N, 3, F, F).
        seeds: one per frame.
        size: side of a view, pixels.
        smallest_crop: smallest share of the area of a frame that a view shows, in (0, 1].
        policy: of what follows the crop.

    Returns:
        uint8 (N, 3, S, S).
    """
    return augment(random_crops(frames, seeds, size, smallest_crop), seeds, policy)


def random_crops(frames: Tensor, seeds: Sequence[int], size: int, smallest_crop: float) -> Tensor:
    """A random rectangle of each frame, scaled to a square (the random resized crop of Szegedy 2015).

    Its share of the area is uniform, and so is the logarithm of the ratio of its sides, from 3/4 to 4/3.

    Args:
        frames: uint8 (N, 3, F, F).
        seeds: one per frame.
        size: side of the result, pixels.
        smallest_crop: smallest share of the area, in (0, 1].

    Returns:
        uint8 (N, 3, S, S).
    """
    u = uniform(seed_array(seeds), CROP_STREAM, 4)
    area = smallest_crop + (1 - smallest_crop) * u[:, 0]
    aspect = np.exp((2 * u[:, 1] - 1) * np.log(ASPECT))
    width, height = (np.minimum(1, np.sqrt(area * ratio)) for ratio in (aspect, 1 / aspect))
    centre_x, centre_y = ((2 * u[:, column] - 1) * (1 - side) for column, side in ((2, width), (3, height)))
    theta = np.zeros((len(u), 2, 3), np.float32)
    theta[:, 0, 0], theta[:, 0, 2], theta[:, 1, 1], theta[:, 1, 2] = width, centre_x, height, centre_y
    matrices = torch.from_numpy(theta).to(frames.device)
    grid = functional.affine_grid(matrices, [len(u), 3, size, size], align_corners=False)
    crops = functional.grid_sample(frames.float(), grid, padding_mode="reflection", align_corners=False)
    return crops.round_().clamp_(0, 255).to(torch.uint8)
