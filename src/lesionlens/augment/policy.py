"""Table 3 of the paper as a policy, and the one function that applies it to a batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lesionlens.augment import draws, geometry, ops
from lesionlens.core.artifact import hash_value
from lesionlens.core.errors import DataError, RecipeError

Array = np.ndarray

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
SMALLEST_SIDE = 16
CPU_CHUNK = 8


@dataclass(frozen=True)
class Policy:
    """Probabilities and magnitudes of the ten image transforms; the defaults are table 3 of the paper.

    Where table 3 gives no number, the default of Albumentations stands.

    Attributes:
        horizontal_flip: probability, as are the nine after it.
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
        ranges = {"noise_variance": (0, 65025), "blur_sigma": (0.01, 100), "holes": (1, draws.MAX_HOLES), "hole_side": (0, 1)}
        for name, (low, high) in ranges.items():
            first, last = getattr(self, name)
            _check(low <= first <= last <= high, name, (first, last), f"a rising pair from {low} to {high}")
        _check(1 <= self.grid_steps <= SMALLEST_SIDE, "grid_steps", self.grid_steps, f"from 1 to {SMALLEST_SIDE}")

    @property
    def hash(self) -> str:
        """SHA-256 over every field, hexadecimal."""
        return hash_value(dataclasses.asdict(self))

    def probability(self, name: str) -> float:
        """Probability of the transform `name`."""
        return float(getattr(self, name))

    def only(self, name: str) -> Policy:
        """The same magnitudes with the transform `name` always, and no other ever."""
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


@dataclass(frozen=True)
class Draws:
    """What was drawn for N images.

    Attributes:
        applied: by transform, whether each image gets it, shape (N,).
        parameters: by transform with parameters, shape (N, ...) as its function in `draws` says.
    """

    applied: dict[str, Array]
    parameters: dict[str, Array]

    def take(self, rows: Array | slice) -> Draws:
        """The same for some of the images."""
        return Draws(
            {name: array[rows] for name, array in self.applied.items()},
            {name: array[rows] for name, array in self.parameters.items()},
        )


def draw(seeds: Sequence[int], policy: Policy) -> Draws:
    """Draw for each seed which transforms apply and with which parameters.

    Each transform has a stream of its own: changing one probability changes no other draw.
    """
    words = draws.seed_array(seeds)
    counts = {
        "shift_scale_rotate": 4,
        "brightness_contrast": 2,
        "hue_saturation_value": 3,
        "gaussian_noise": 4,
        "gaussian_blur": 1,
        "motion_blur": 4,
        "grid_distortion": 2 * (policy.grid_steps + 1),
        "coarse_dropout": 1 + 4 * policy.holes[1],
    }
    applied, parameters = {}, {}
    for stream, name in enumerate(TRANSFORMS):
        u = draws.uniform(words, stream, 1 + counts.get(name, 0))
        applied[name] = u[:, 0] < policy.probability(name)
        if name in counts:
            parameters[name] = getattr(draws, name)(u[:, 1:], policy)
    return Draws(applied, parameters)


def augment(images: Tensor, seeds: Sequence[int], policy: Policy) -> Tensor:
    """Transform every image as its own seed says.

    Image i of the result depends on images[i], seeds[i] and the policy alone: batch, order,
    process and number of threads change no bit of it on a CPU. A GPU may differ from a CPU by
    one level where a value falls next to a half.

    Args:
        images: uint8, shape (N, 3, H, W), sides of 16 pixels or more, any memory format.
        seeds: N whole numbers, for example from `derive_seed(seed, epoch, image_id, copy)`.
        policy: what may happen to an image.

    Returns:
        A new uint8 tensor of the same shape, device and memory format.

    Raises:
        DataError: if the tensor or the number of seeds is wrong.
    """
    _check_batch(images, seeds)
    drawn = draw(seeds, policy)
    result = torch.empty_like(images)
    size = CPU_CHUNK if images.device.type == "cpu" else max(len(images), 1)
    for start in range(0, len(images), size):
        rows = slice(start, start + size)
        result[rows] = _augmented(images[rows], drawn.take(rows))
    return result


def _check_batch(images: Tensor, seeds: Sequence[int]) -> None:
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise DataError(f"augment got {images.dtype} of shape {tuple(images.shape)}; it needs uint8 of shape (N, 3, H, W)")
    if min(images.shape[2:]) < SMALLEST_SIDE:
        raise DataError(f"augment got images of {tuple(images.shape[2:])} pixels; both sides must be {SMALLEST_SIDE} or more")
    if len(seeds) != len(images):
        raise DataError(f"augment got {len(seeds)} seeds for {len(images)} images; each image needs one seed")


def _augmented(images: Tensor, drawn: Draws) -> Tensor:
    """One chunk, from uint8 to uint8."""
    values = _moved(images, drawn)
    step = 1 if values.device.type == "cpu" else len(values)  # one image at a time stays in a core's cache
    for start in range(0, len(values), step):
        rows = slice(start, start + step)
        _paint_(values[rows], drawn.take(rows))
    return values.round_().to(torch.uint8)


def _moved(images: Tensor, drawn: Draws) -> Tensor:
    """The geometry: float32, planes contiguous. What is only flipped or left alone is copied, not interpolated."""
    warped = drawn.applied["shift_scale_rotate"] | drawn.applied["grid_distortion"]
    values = torch.empty(images.shape, device=images.device)
    for horizontal in (False, True):
        for vertical in (False, True):
            same = (drawn.applied["horizontal_flip"] == horizontal) & (drawn.applied["vertical_flip"] == vertical)
            rows = np.flatnonzero(same & ~warped)
            if len(rows):
                axes = [axis for axis, flipped in ((3, horizontal), (2, vertical)) if flipped]
                values[rows] = images[rows].flip(axes).to(values.dtype)
    rows = np.flatnonzero(warped)
    if len(rows):
        axes_of_rows = _axes(drawn.take(rows), images.shape[2], images.shape[3])
        values[rows] = geometry.warp(images[rows].float(), axes_of_rows)
    return values


def _axes(drawn: Draws, height: int, width: int) -> geometry.Axes:
    flips = 1.0 - 2.0 * np.stack([drawn.applied["horizontal_flip"], drawn.applied["vertical_flip"]], axis=1)
    still = np.array([0.0, 0.0, 1.0, 0.0])
    affine = np.where(drawn.applied["shift_scale_rotate"][:, None], drawn.parameters["shift_scale_rotate"], still)
    across, down = np.split(drawn.parameters["grid_distortion"], 2, axis=1)
    bent = drawn.applied["grid_distortion"][:, None]
    columns = np.where(bent, geometry.distorted_axis(across, width), np.arange(width))
    rows = np.where(bent, geometry.distorted_axis(down, height), np.arange(height))
    return geometry.compose(flips, affine, columns, rows)


def _paint_(values: Tensor, drawn: Draws) -> None:
    """The pixel operations and the holes, in table 3's order, each on the images that drew it."""
    operations: dict[str, Callable[[Tensor, Array], None]] = {
        "brightness_contrast": ops.brightness_contrast_,
        "hue_saturation_value": ops.hue_saturation_value_,
        "gaussian_noise": ops.gaussian_noise_,
        "gaussian_blur": ops.gaussian_blur_,
        "motion_blur": ops.motion_blur_,
        "coarse_dropout": ops.coarse_dropout_,
    }
    for name, operation in operations.items():
        rows = np.flatnonzero(drawn.applied[name])
        if not len(rows):
            continue
        parameters = drawn.parameters[name][rows]
        if name == "coarse_dropout":
            parameters = draws.hole_boxes(parameters, *values.shape[2:])
        if len(rows) == len(values):
            operation(values, parameters)
        else:
            part = values[rows]
            operation(part, parameters)
            values[rows] = part
