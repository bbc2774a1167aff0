"""RandAugment (Cubuk et al., 2020) as in timm, with a generator for each image instead of the process's own.

The operations are timm's; the draws are made here, in timm's order, so that an image's pixels depend on its seed alone.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

SIGNED = {"Rotate": 30.0, "ShearX": 0.3, "ShearY": 0.3, "TranslateXRel": 0.45, "TranslateYRel": 0.45}
"""Operations whose argument is drawn with either sign, with its largest value at magnitude 10."""
ENHANCED = ("ColorIncreasing", "ContrastIncreasing", "BrightnessIncreasing", "SharpnessIncreasing")
"""Operations whose factor lies above or below 1."""
WARPS = tuple(SIGNED)
LEVELS = 10.0
LARGEST_CHANGE, SMALLEST_FACTOR = 0.9, 0.1


class RandAugment:
    """RandAugment of batches.

    Args:
        transform: what timm's `rand_augment_transform` makes of a configuration such as `rand-m9-mstd0.5-inc1`.
    """

    def __init__(self, transform: Any) -> None:
        self.operations: list[Any] = transform.ops
        self.n_layers: int = transform.num_layers
        self.weights: np.ndarray | None = transform.choice_weights

    def __call__(self, images: Tensor, seeds: Sequence[int]) -> Tensor:
        """Transform every image by its seed.

        Args:
            images: uint8, shape (N, 3, H, W); computed on the CPU.
            seeds: one per image.

        Returns:
            uint8, of the same shape, on the same device, channels last in memory.
        """
        pixels = images.permute(0, 2, 3, 1).cpu().numpy()
        rows = [np.asarray(self.transform(Image.fromarray(row), seed)) for row, seed in zip(pixels, seeds, strict=True)]
        return torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2).to(images.device) if rows else images

    def transform(self, image: Image.Image, seed: int) -> Image.Image:
        """One RGB image, by its seed."""
        chooser = np.random.Generator(np.random.PCG64(seed))
        numbers = chooser.choice(len(self.operations), self.n_layers, replace=self.weights is None, p=self.weights)
        rng = random.Random(seed)
        for number in numbers.tolist():
            image = _apply(self.operations[number], image, rng)
        return image


def _apply(operation: Any, image: Image.Image, rng: random.Random) -> Image.Image:
    """timm's `AugmentOp.__call__` with a generator of its own."""
    if operation.prob < 1 and rng.random() > operation.prob:
        return image
    magnitude, spread = operation.magnitude, operation.magnitude_std
    if spread == float("inf"):
        magnitude = rng.uniform(0, magnitude)
    elif spread > 0:
        magnitude = rng.gauss(magnitude, spread)
    arguments = _arguments(operation, max(0.0, min(magnitude, operation.magnitude_max or LEVELS)), rng)
    options = dict(operation.kwargs)
    if operation.name in WARPS:
        options["resample"] = rng.choice(options["resample"])
    result: Image.Image = operation.aug_fn(image, *arguments, **options)
    return result


def _arguments(operation: Any, magnitude: float, rng: random.Random) -> tuple[float, ...]:
    """What timm's `level_fn` gives, with the sign drawn from `rng`.

    Posterizing keeps at least one bit. timm lets it come to none, which Pillow once made a black image of and now refuses.
    """
    name = operation.name
    if name not in SIGNED and name not in ENHANCED:
        arguments: tuple[float, ...] = operation.level_fn(magnitude, operation.hparams) if operation.level_fn else ()
        return tuple(max(1, bits) for bits in arguments) if name.startswith("Posterize") else arguments
    sign = -1.0 if rng.random() > 0.5 else 1.0
    if name in SIGNED:
        return (sign * magnitude / LEVELS * SIGNED[name],)
    return (max(SMALLEST_FACTOR, 1 + sign * magnitude / LEVELS * LARGEST_CHANGE),)
