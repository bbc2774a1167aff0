"""Augmentation policy: probabilities and magnitudes of the image transforms, from table 3 of the paper."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lesionlens.core.artifact import hash_value
from lesionlens.core.errors import RecipeError

TRANSFORMS = (
    "horizontal_flip",
    "vertical_flip",
    "shift_scale_rotate",
    "brightness_contrast",
    "hue_saturation_value",
    "gaussian_noise",
    "gaussian_blur",
    "motion_blur",
    "grid_distortion",
    "coarse_dropout",
)
MAX_HOLES = 32
SMALLEST_SIDE = 16  # of an image, pixels; a grid has at most one cell per pixel


@dataclass(frozen=True)
class Policy:
    """Probabilities and magnitudes of the ten image transforms; the defaults are table 3 of the paper.

    Where table 3 gives no number, it is the default of Albumentations.

    Attributes:
        horizontal_flip: probability, as for the nine that follow.
        shift: largest shift, fraction of the side.
        scale: largest departure of the scale factor from 1; one factor for both axes.
        rotate_deg: largest angle, degrees.
        brightness: largest offset, fraction of 255 levels.
        contrast: largest departure of the contrast factor from 1.
        hue: largest shift, of 180.
        saturation: largest shift, of 255 levels.
        value: largest shift, of 255 levels.
        noise_variance: range of the variance, squared levels.
        blur_sigma: range of the standard deviation of the 3 x 3 kernel, pixels.
        grid_steps: cells of the distortion grid along each side.
        grid_distort: largest departure of a cell's relative length from 1.
        holes: smallest and largest number of holes.
        hole_side: range of a hole's height and width, fractions of the image's.

    Raises:
        RecipeError: if a probability or a magnitude is out of its range.
    """

    horizontal_flip: float = 0.5
    vertical_flip: float = 0.5
    shift_scale_rotate: float = 0.9
    brightness_contrast: float = 0.7
    hue_saturation_value: float = 0.7
    gaussian_noise: float = 0.5
    gaussian_blur: float = 0.5
    motion_blur: float = 0.5
    grid_distortion: float = 0.2
    coarse_dropout: float = 0.3
    shift: float = 0.1
    scale: float = 0.2
    rotate_deg: float = 45.0
    brightness: float = 0.2
    contrast: float = 0.2
    hue: float = 10.0
    saturation: float = 3.0
    value: float = 20.0
    noise_variance: tuple[float, float] = (10.0, 50.0)
    blur_sigma: tuple[float, float] = (0.5, 3.0)
    grid_steps: int = 5
    grid_distort: float = 0.3
    holes: tuple[int, int] = (5, 8)
    hole_side: tuple[float, float] = (0.1, 0.2)

    def __post_init__(self) -> None:
        limits = dict.fromkeys(TRANSFORMS, 1.0) | {"shift": 1.0, "brightness": 1.0, "contrast": 1.0, "rotate_deg": 180.0}
        limits |= {"scale": 0.95, "grid_distort": 0.95, "hue": 30.0, "saturation": 255.0, "value": 255.0}
        for name, limit in limits.items():
            _check(0 <= getattr(self, name) <= limit, name, getattr(self, name), f"from 0 to {limit:g}")
        ranges = {"noise_variance": (0, 65025), "blur_sigma": (0.01, 100), "holes": (1, MAX_HOLES), "hole_side": (0, 1)}
        for name, (low, high) in ranges.items():
            first, last = getattr(self, name)
            _check(low <= first <= last <= high, name, (first, last), f"an ascending pair from {low} to {high}")
        _check(1 <= self.grid_steps <= SMALLEST_SIDE, "grid_steps", self.grid_steps, f"from 1 to {SMALLEST_SIDE}")

    @property
    def hash(self) -> str:
        """SHA-256 over every field, hexadecimal."""
        return hash_value(dataclasses.asdict(self))

    def probability(self, name: str) -> float:
        """Probability of the transform `name`."""
        return float(getattr(self, name))

    def only(self, name: str) -> Policy:
        """The policy that always applies the transform `name`, and no other."""
        probabilities: dict[str, Any] = {**dict.fromkeys(TRANSFORMS, 0.0), name: 1.0}
        return dataclasses.replace(self, **probabilities)


def _check(condition: bool, name: str, value: object, rule: str) -> None:
    if not condition:
        raise RecipeError(f"augmentation policy: {name} = {value!r}; it must be {rule}")


def table_3(probabilities: Mapping[str, float] | None = None) -> Policy:
    """The policy of the paper's table 3, with some probabilities replaced.

    Args:
        probabilities: by the name of a transform in `TRANSFORMS`.

    Raises:
        RecipeError: if a name is unknown or a probability is not in [0, 1].
    """
    for name in probabilities or {}:
        if name not in TRANSFORMS:
            raise RecipeError(f"augmentation.probabilities: unknown transform {name!r}; known are {', '.join(TRANSFORMS)}")
    return Policy(**dict(probabilities or {}))  # type: ignore[arg-type]
