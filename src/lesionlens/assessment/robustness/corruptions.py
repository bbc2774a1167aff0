"""Corruptions of photographs at five strengths, for uint8 sRGB frames of any size.

The idea is that of Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations"
(ICLR 2019); strengths and the corruptions of dermoscopy (hair, ruler, gel bubbles) are our own, and `CORRUPTIONS` is the only
place that states them. Lengths are shares of the frame's side, so a strength means the same at every resolution. A
corrupted image is a function of (seed, image_id, corruption, strength); the strengths of one corruption share what is
drawn, so a stronger one adds to the weaker ones (more of the same hairs) instead of being another scene.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from lesionlens.assessment.robustness.artefacts import bubbles, hair, ruler
from lesionlens.core.errors import RecipeError
from lesionlens.core.seeds import generator

STRENGTHS = (1, 2, 3, 4, 5)
LINEAR = np.where(
    np.arange(256) <= 0.04045 * 255, np.arange(256) / 255 / 12.92, ((np.arange(256) / 255 + 0.055) / 1.055) ** 2.4
)  # light of each grey level, IEC 61966-2-1

Apply = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Corruption:
    """One way in which photographs get worse.

    Attributes:
        name: key in the result and on the command line.
        title: for people.
        unit: of `values`.
        values: at strengths 1 to 5.
        apply: takes an image, uint8 (F, F, 3), a value and a generator; returns another image.
    """

    name: str
    title: str
    unit: str
    values: tuple[float, float, float, float, float]
    apply: Apply


def jpeg(image: np.ndarray, quality: float, random: np.random.Generator) -> np.ndarray:
    """Compress as JPEG with 4:2:0 chroma."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=int(quality), subsampling="4:2:0")
    return np.array(Image.open(stream), dtype=np.uint8)


def brighter(image: np.ndarray, stops: float, random: np.random.Generator) -> np.ndarray:
    """Overexpose: twice the light for each stop."""
    return exposed(image, np.full(3, 2.0**stops))


def darker(image: np.ndarray, stops: float, random: np.random.Generator) -> np.ndarray:
    """Underexpose: half the light for each stop."""
    return exposed(image, np.full(3, 2.0**-stops))


def white_balance(image: np.ndarray, percent: float, random: np.random.Generator) -> np.ndarray:
    """Give red more light and blue less by the same factor, or the reverse; the sign is drawn."""
    factor = (1 + percent / 100) ** random.choice((-1.0, 1.0))
    return exposed(image, np.array([factor, 1.0, 1 / factor]))


def exposed(image: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """Multiply the light of each channel, clipped where the sensor would be.

    Args:
        image: sRGB, uint8 (F, F, 3).
        gains: factor of each channel, (3,).
    """
    light = np.clip(LINEAR[:, None] * gains, 0, 1)  # (256, 3)
    levels = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    table = np.round(255 * levels).astype(np.uint8)
    return np.stack([table[image[..., channel], channel] for channel in range(3)], axis=-1)


def blur(image: np.ndarray, percent: float, random: np.random.Generator) -> np.ndarray:
    """Defocus: a Gaussian whose standard deviation is a share of the side."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), percent / 100 * len(image), borderType=cv2.BORDER_REFLECT_101))


def noise(image: np.ndarray, percent: float, random: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise, independent for pixels and channels; a share of full scale."""
    field = random.standard_normal(image.shape, dtype=np.float32)
    return np.asarray(np.clip(np.rint(image + 2.55 * percent * field), 0, 255).astype(np.uint8))


def zoom(image: np.ndarray, factor: float, random: np.random.Generator) -> np.ndarray:
    """Crop the centre and enlarge it to the size of the image."""
    side = len(image)
    crop = max(1, round(side / factor))
    start = (side - crop) // 2
    return np.asarray(cv2.resize(image[start : start + crop, start : start + crop], (side, side), interpolation=cv2.INTER_LINEAR))


CORRUPTIONS = (
    Corruption("jpeg", "JPEG compression", "quality", (60, 35, 20, 12, 7), jpeg),
    Corruption("brighter", "Overexposure", "stops", (0.25, 0.5, 0.75, 1.0, 1.5), brighter),
    Corruption("darker", "Underexposure", "stops", (0.25, 0.5, 1.0, 1.5, 2.0), darker),
    Corruption("white_balance", "White balance", "% of red against blue", (5, 10, 20, 30, 45), white_balance),
    Corruption("blur", "Defocus", "sigma, % of the side", (0.3, 0.6, 1.0, 1.6, 2.5), blur),
    Corruption("noise", "Sensor noise", "sigma, % of full scale", (1, 2, 4, 7, 11), noise),
    Corruption("zoom", "Crop and zoom", "magnification", (1.1, 1.25, 1.5, 1.75, 2.0), zoom),
    Corruption("hair", "Hair", "number of hairs", (4, 9, 18, 32, 55), hair),
    Corruption("ruler", "Ruler", "length of marks, % of the side", (3, 5, 8, 12, 16), ruler),
    Corruption("bubbles", "Gel bubbles", "number of bubbles", (3, 8, 16, 28, 45), bubbles),
)
BY_NAME = {corruption.name: corruption for corruption in CORRUPTIONS}


def select_corruptions(names: tuple[str, ...] = ()) -> tuple[Corruption, ...]:
    """Corruptions by name, in the order of the table; all of them without names.

    Raises:
        RecipeError: if a name is unknown.
    """
    unknown = [name for name in names if name not in BY_NAME]
    if unknown:
        raise RecipeError(f"unknown corruption {unknown[0]!r}; known are {', '.join(BY_NAME)}")
    return tuple(corruption for corruption in CORRUPTIONS if not names or corruption.name in names)


def corrupt(image: np.ndarray, name: str, strength: int, seed: int, image_id: str) -> np.ndarray:
    """One corrupted image.

    Args:
        image: sRGB, uint8 (F, F, 3); it is not changed.
        name: of the corruption.
        strength: 1 to 5.
        seed: of everything that is drawn.
        image_id: of the image; each image gets hairs of its own.

    Returns:
        uint8 (F, F, 3).

    Raises:
        RecipeError: if the corruption is unknown or the strength out of range.

    Example:
        >>> grey = np.full((8, 8, 3), 100, np.uint8)
        >>> corrupt(grey, "brighter", 4, seed=0, image_id="a")[0, 0].tolist()
        [137, 137, 137]
    """
    (corruption,) = select_corruptions((name,))
    if strength not in STRENGTHS:
        raise RecipeError(f"strength {strength} of {name}; it must be a whole number from {STRENGTHS[0]} to {STRENGTHS[-1]}")
    return corruption.apply(image, corruption.values[strength - 1], generator("corruption", seed, image_id, name))
