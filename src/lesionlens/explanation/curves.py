"""Deletion and insertion: does the prediction follow what the map calls important?

Petsiuk 2018 (RISE), section 4.3: pixels are removed in the map's order, the most important first, or
restored in the same order, while the probability of the explained class is recorded. With a good map
it falls fast (a small area under the deletion curve) and rises fast (a large area under the insertion
curve). A random order serves as the control, because any removal of pixels may lower the probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lesionlens.bundle.overlay import enlarge
from lesionlens.core.seeds import generator

STEPS = 30
"""Trapezia overstate the area of a curve that falls at once: by 6 % with 10 steps on one network, on another by up to 1 %, and
single images' by 0.03. With 30, its mean areas are within 0.4 % of those with 120, and every image's within 0.011; see
benchmarks/curve_steps.py."""
BLUR_SHARE = 1 / 16  # standard deviation of the blur at the start of insertion, as a share of the image's side


@dataclass(frozen=True)
class Curves:
    """Probabilities of the explained class while pixels are removed or restored.

    Attributes:
        deletion: (N, S + 1), from the whole image to the mean colour.
        insertion: (N, S + 1), from the blurred to the whole image.
    """

    deletion: np.ndarray
    insertion: np.ndarray


def curves(
    network: nn.Module, images: Tensor, classes: Tensor, ranks: np.ndarray, steps: int = STEPS, images_per_pass: int = 32
) -> Curves:
    """Measure the deletion and insertion curves of a batch.

    Args:
        network: takes normalised images, in evaluation mode.
        images: normalised, (N, 3, H, W); the mean colour is 0.
        classes: the explained class of each image, (N,).
        ranks: place of each pixel in the order of importance, 0 first, (N, H, W), see `pixel_ranks`.
        steps: number of steps S, each with the same number of pixels.
        images_per_pass: most images in the network at once.
    """
    places = torch.from_numpy(ranks).to(images.device)
    whole, blurred = images, blur(images, BLUR_SHARE * images.shape[-1])
    probabilities: tuple[list[Tensor], list[Tensor]] = ([], [])
    for step in range(steps + 1):
        first = (places < places[0].numel() * step / steps)[:, None]  # (N, 1, H, W), the most important so far
        states = whole.masked_fill(first, 0.0), torch.where(first, whole, blurred)
        for rows, state in zip(probabilities, states, strict=True):
            rows.append(_probabilities(network, state, classes, images_per_pass))
    deletion, insertion = (torch.stack(rows, dim=1).cpu().numpy() for rows in probabilities)
    return Curves(deletion, insertion)


@torch.no_grad()
def _probabilities(network: nn.Module, images: Tensor, classes: Tensor, images_per_pass: int) -> Tensor:
    logits = torch.cat([network(part).float() for part in torch.split(images, images_per_pass)])
    return logits.softmax(1).gather(1, classes[:, None])[:, 0]


def area(curve: np.ndarray) -> np.ndarray:
    """Area under curves (N, S + 1) over the share of pixels, by trapezia, (N,), in [0, 1]."""
    return np.asarray((curve[:, 1:] + curve[:, :-1]).mean(1) / 2)


def pixel_ranks(map_: np.ndarray, size: int, name: str, seed: int = 0) -> np.ndarray:
    """Place of each pixel in the map's order, 0 for the highest, int64 (size, size).

    Pixels of equal value (mostly zero) follow the order of a smooth random field, so that no side
    of the image is preferred.

    Args:
        map_: raw map, (h, w).
        size: side of the image, pixels.
        name: name of the image; seeds the random field together with `seed`.
        seed: seed of the random field.
    """
    chance = enlarge(generator("pixel order", seed, name).random(map_.shape), size, size).ravel()
    importance = enlarge(map_, size, size).ravel()
    ranks = np.empty(size * size, dtype=np.int64)
    ranks[np.lexsort((-chance, -importance))] = np.arange(size * size)
    return ranks.reshape(size, size)


def random_ranks(shape: Sequence[int], size: int, name: str, seed: int = 0) -> np.ndarray:
    """A random order of pixels that is as smooth as that of a map (h, w), int64 (size, size)."""
    return pixel_ranks(np.zeros(tuple(shape)), size, name, seed + 1)


def blur(images: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of `images` (N, C, H, W), `sigma` in pixels, with mirrored borders."""
    radius = min(int(3 * sigma + 0.5), min(images.shape[2:]) - 1)
    places = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (places / max(sigma, 1e-6)) ** 2)
    kernel = (kernel / kernel.sum()).expand(images.shape[1], 1, -1)
    padded = nn.functional.pad(images, (radius,) * 4, mode="reflect")
    rows = nn.functional.conv2d(padded, kernel[:, :, None, :], groups=images.shape[1])
    return nn.functional.conv2d(rows, kernel[:, :, :, None], groups=images.shape[1])
