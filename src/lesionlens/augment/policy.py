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
from lesionlens.augment.threads import in_torch_threads
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
DRAWS: dict[str, Callable[[Array, Policy], Array]] = {
    "shift_scale_rotate": draws.shift_scale_rotate,
    "brightness_contrast": draws.brightness_contrast,
    "hue_saturation_value": draws.hue_saturation_value,
    "gaussian_noise": draws.gaussian_noise,
    "gaussian_blur": draws.gaussian_blur,
    "motion_blur": draws.motion_blur,
    "grid_distortion": draws.grid_distortion,
    "coarse_dropout": draws.coarse_dropout,
}
PAINTS: dict[str, Callable[[Tensor, Array], None]] = {
    "brightness_contrast": ops.brightness_contrast_,
    "hue_saturation_value": ops.hue_saturation_value_,
    "gaussian_noise": ops.gaussian_noise_,
    "gaussian_blur": ops.gaussian_blur_,
    "motion_blur": ops.motion_blur_,
    "coarse_dropout": ops.coarse_dropout_,
}
SMALLEST_SIDE = 16


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
        parameters: by pixel operation, shape (N, ...) as its function in `ops` takes them.
        warped: whether an image's geometry is more than flips, shape (N,).
        axes: where each image is read.
    """

    applied: dict[str, Array]
    parameters: dict[str, Array]
    warped: Array
    axes: geometry.Axes


def draw(seeds: Sequence[int], policy: Policy, height: int, width: int) -> Draws:
    """Draw for each seed which transforms apply and with which parameters.

    Each transform has a stream of its own: changing one probability changes no other draw.

    Args:
        seeds: one an image.
        policy: probabilities and magnitudes.
        height: of the images, pixels.
        width: of the images, pixels.
    """
    words = draws.seed_array(seeds)
    applied, drawn = {}, {}
    for stream, name in enumerate(TRANSFORMS):
        u = draws.uniform(words, stream, 1 + draws.count(name, policy))
        applied[name] = u[:, 0] < policy.probability(name)
        if name in DRAWS:
            drawn[name] = DRAWS[name](u[:, 1:], policy)
    parameters = {name: drawn[name].astype(np.float32) for name in PAINTS}
    parameters["coarse_dropout"] = draws.hole_boxes(drawn["coarse_dropout"], height, width)
    warped = applied["shift_scale_rotate"] | applied["grid_distortion"]
    return Draws(applied, parameters, warped, _axes(applied, drawn, height, width))


def _axes(applied: dict[str, Array], drawn: dict[str, Array], height: int, width: int) -> geometry.Axes:
    flips = 1.0 - 2.0 * np.stack([applied["horizontal_flip"], applied["vertical_flip"]], axis=1)
    still = np.array([0.0, 0.0, 1.0, 0.0])
    affine = np.where(applied["shift_scale_rotate"][:, None], drawn["shift_scale_rotate"], still)
    across, down = np.split(drawn["grid_distortion"], 2, axis=1)
    bent = applied["grid_distortion"][:, None]
    columns = np.where(bent, geometry.distorted_axis(across, width), np.arange(width))
    rows = np.where(bent, geometry.distorted_axis(down, height), np.arange(height))
    return geometry.compose(flips, affine, columns, rows)


def augment(images: Tensor, seeds: Sequence[int], policy: Policy) -> Tensor:
    """Transform every image as its own seed says: all geometry at once, then table 3's pixel operations, then holes.

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
    drawn = draw(seeds, policy, images.shape[2], images.shape[3])
    result = torch.empty_like(images)
    if images.device.type != "cpu":
        _augment_rows(images, drawn, slice(0, len(images)), result)
        return result
    in_torch_threads(lambda row: _augment_rows(images, drawn, slice(row, row + 1), result), len(images))
    return result


def _augment_rows(images: Tensor, drawn: Draws, rows: slice, result: Tensor) -> None:
    values = _moved(images[rows], drawn, rows)
    _paint_(values, drawn, rows)
    for channel in range(3):  # each plane rounded straight into the result's memory format
        result[rows, channel] = values[:, channel].round_()


def _check_batch(images: Tensor, seeds: Sequence[int]) -> None:
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise DataError(f"augment got {images.dtype} of shape {tuple(images.shape)}; it needs uint8 of shape (N, 3, H, W)")
    if min(images.shape[2:]) < SMALLEST_SIDE:
        raise DataError(f"augment got images of {tuple(images.shape[2:])} pixels; both sides must be {SMALLEST_SIDE} or more")
    if len(seeds) != len(images):
        raise DataError(f"augment got {len(seeds)} seeds for {len(images)} images; each image needs one seed")


def _moved(images: Tensor, drawn: Draws, rows: slice) -> Tensor:
    """The geometry: float32, planes contiguous. What is only flipped or left alone is copied, not interpolated."""
    warped = drawn.warped[rows]
    axes = geometry.Axes(*(axis[rows] for axis in drawn.axes))
    if warped.all():
        return geometry.warp(images.float(), axes)
    values = torch.empty(images.shape, device=images.device)
    if warped.any():
        chosen = np.flatnonzero(warped)
        values[chosen] = geometry.warp(images[chosen].float(), geometry.Axes(*(axis[chosen] for axis in axes)))
    for row in np.flatnonzero(~warped).tolist():
        flips = (("horizontal_flip", 2), ("vertical_flip", 1))
        values[row] = images[row].flip([axis for name, axis in flips if drawn.applied[name][rows.start + row]])
    return values


def _paint_(values: Tensor, drawn: Draws, rows: slice) -> None:
    """The pixel operations and the holes, in table 3's order, each on the images that drew it."""
    for name, operation in PAINTS.items():
        applied = drawn.applied[name][rows]
        parameters = drawn.parameters[name][rows]
        if applied.all():
            operation(values, parameters)
        elif applied.any():
            chosen = np.flatnonzero(applied)
            part = values[chosen]
            operation(part, parameters[chosen])
            values[chosen] = part
