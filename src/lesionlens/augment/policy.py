"""Augmentation policy: probabilities and magnitudes of the image transforms, from table 3 of the paper."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lesionlens.core.artifact import hash_value
from lesionlens.core.errors import RecipeError
from lesionlens.core.recipe import AugmentationRecipe
from lesionlens.core.recipe_transforms import PARAMETERS, PROBABILITY, Parameter

TRANSFORMS = tuple(PARAMETERS)
SMALLEST_SIDE = 16  # of an image, pixels; a grid has at most one cell per pixel


@dataclass(frozen=True)
class Policy:
    """Probabilities and magnitudes of the ten image transforms; the defaults are table 3 of the paper.

    Where table 3 gives no number, `STYLES` has ours and those of the library that the paper used.

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
        hole_px: range of a hole's height and width in pixels; (0, 0) follows `hole_side`.
        motion_kernel: how the line of the 3 x 3 kernel is drawn: `angle` (Albumentations 2) or between two random `points`
            (Albumentations 1).
        grid_normalised: whether the distorted grid is scaled to end where the image does.

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
    hole_px: tuple[int, int] = (0, 0)
    motion_kernel: str = "angle"
    grid_normalised: bool = True

    def __post_init__(self) -> None:
        for transform, parameters in PARAMETERS.items():
            _check(transform, PROBABILITY, getattr(self, transform))
            for name, parameter in parameters.items():
                field = FIELDS.get(name, name)
                if field != "hole_px" or self.hole_px != (0, 0):
                    _check(field, parameter, getattr(self, field))

    @property
    def hash(self) -> str:
        """SHA-256 over the fields, hexadecimal; one that the first hashes did not have counts only if it is not its default."""
        fields = dataclasses.asdict(self)
        return hash_value({name: value for name, value in fields.items() if YOUNGER.get(name) != value})

    def probability(self, name: str) -> float:
        """Probability of the transform `name`."""
        return float(getattr(self, name))

    def only(self, name: str) -> Policy:
        """The policy that always applies the transform `name`, and no other."""
        probabilities: dict[str, Any] = {**dict.fromkeys(TRANSFORMS, 0.0), name: 1.0}
        return dataclasses.replace(self, **probabilities)


FIELDS = {
    "variance": "noise_variance",
    "sigma": "blur_sigma",
    "kernel": "motion_kernel",
    "steps": "grid_steps",
    "distort": "grid_distort",
    "normalised": "grid_normalised",
    "side": "hole_side",
    "size_px": "hole_px",
}
"""Fields of a Policy that recipes call otherwise."""
YOUNGER = {"hole_px": (0, 0), "motion_kernel": "angle", "grid_normalised": True}
"""Fields that the first hashes did not have, with their defaults."""
OPENCV_SIGMA = math.sqrt(0.5 / math.log(2))
"""Of the kernel 1/4, 1/2, 1/4: what OpenCV takes for a 3 x 3 Gaussian whose sigma is given as 0 (its formula says 0.8)."""


def _check(name: str, parameter: Parameter, value: object) -> None:
    if parameter.canonical(value) is None:
        raise RecipeError(f"augmentation policy: {name} = {value!r}; it must be {parameter.rule}")


STYLES = {
    "lesionlens": Policy(),
    "paper": Policy(blur_sigma=(OPENCV_SIGMA, OPENCV_SIGMA), hole_px=(8, 8), motion_kernel="points", grid_normalised=False),
}
"""Policies by name: table 3, and where it gives no number, ours or the defaults of Albumentations 1.3.1."""


def recipe_policy(recipe: AugmentationRecipe) -> Policy:
    """The policy of a recipe: its style, with the parameters and probabilities that it sets.

    >>> recipe_policy(AugmentationRecipe(transforms={"hue_saturation_value": {"saturation": 30}})).saturation
    30.0
    """
    fields: dict[str, Any] = dict(recipe.probabilities)
    for transform, values in recipe.transforms.items():
        for name, value in values.items():
            field = transform if name == "p" else FIELDS.get(name, name)
            fields[field] = tuple(value) if isinstance(value, list) else value
    if "hole_side" in fields:
        fields["hole_px"] = (0, 0)
    return dataclasses.replace(STYLES[recipe.style], **fields)


def table_3(probabilities: Mapping[str, float] | None = None) -> Policy:
    """Our policy, with some probabilities replaced.

    Args:
        probabilities: by the name of a transform in `TRANSFORMS`.

    Raises:
        RecipeError: if a name is unknown or a probability is not in [0, 1].
    """
    return recipe_policy(AugmentationRecipe(probabilities=dict(probabilities or {})))
