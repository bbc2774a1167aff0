"""Apply a policy to a batch of images: random parameters, geometry in one sampling grid, pixel operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lesionlens.augment import draws, geometry, ops
from lesionlens.augment.policy import SMALLEST_SIDE, TRANSFORMS, Policy
from lesionlens.augment.threads import in_torch_threads
from lesionlens.core.errors import DataError

Array = np.ndarray

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


@dataclass(frozen=True)
class Draws:
    """Random parameters of N images.

    Attributes:
        applied: by transform, whether each image gets it, shape (N,).
        parameters: by pixel operation, shape (N, ...) as its function in `ops` takes them.
        warped: whether an image's geometry is more than flips, shape (N,).
        axes: where each image is sampled.
    """

    applied: dict[str, Array]
    parameters: dict[str, Array]
    warped: Array
    axes: geometry.Axes


def draw(seeds: Sequence[int], policy: Policy, height: int, width: int) -> Draws:
    """Draw the transforms and their parameters for each seed.

    Each transform has its own stream, so a changed probability changes no other draw.

    Args:
        seeds: one per image.
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
    parameters["coarse_dropout"] = draws.hole_boxes(drawn["coarse_dropout"], height, width, policy.hole_px != (0, 0))
    warped = applied["shift_scale_rotate"] | applied["grid_distortion"]
    return Draws(applied, parameters, warped, _axes(applied, drawn, (height, width), policy.grid_normalised))


def _axes(applied: dict[str, Array], drawn: dict[str, Array], shape: tuple[int, int], normalised: bool) -> geometry.Axes:
    height, width = shape
    flips = 1.0 - 2.0 * np.stack([applied["horizontal_flip"], applied["vertical_flip"]], axis=1)
    still = np.array([0.0, 0.0, 1.0, 0.0])
    affine = np.where(applied["shift_scale_rotate"][:, None], drawn["shift_scale_rotate"], still)
    across, down = np.split(drawn["grid_distortion"], 2, axis=1)
    bent = applied["grid_distortion"][:, None]
    columns = np.where(bent, geometry.distorted_axis(across, width, normalised), np.arange(width))
    rows = np.where(bent, geometry.distorted_axis(down, height, normalised), np.arange(height))
    return geometry.compose(flips, affine, columns, rows)


def augment(images: Tensor, seeds: Sequence[int], policy: Policy) -> Tensor:
    """Transform every image by its seed: all geometry at once, then table 3's pixel operations, then holes.

    Image i of the result depends only on images[i], seeds[i] and the policy: on a CPU, batch, order,
    process and number of threads do not change a bit. A GPU may differ from a CPU by
    one level where a value is close to a half.

    Args:
        images: uint8, shape (N, 3, H, W), sides of 16 pixels or more, any memory format.
        seeds: N integers, for example from `derive_seed(seed, epoch, image_id, copy)`.
        policy: probabilities and magnitudes.

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
    values = _warped(images[rows], drawn, rows)
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


def _warped(images: Tensor, drawn: Draws, rows: slice) -> Tensor:
    """The geometry: float32, planes contiguous. Images that are only flipped or unchanged are copied, not interpolated."""
    warped = drawn.warped[rows]
    axes = geometry.Axes(*(axis[rows] for axis in drawn.axes))
    if warped.all():
        return geometry.warp(images.float(), axes)
    values = torch.empty(images.shape, device=images.device)
    if warped.any():
        moved = np.flatnonzero(warped)
        values[moved] = geometry.warp(images[moved].float(), geometry.Axes(*(axis[moved] for axis in axes)))
    for row in np.flatnonzero(~warped).tolist():
        flips = (("horizontal_flip", 2), ("vertical_flip", 1))
        values[row] = images[row].flip([axis for name, axis in flips if drawn.applied[name][rows.start + row]])
    return values


def _paint_(values: Tensor, drawn: Draws, rows: slice) -> None:
    """The pixel operations and the holes, in table 3's order, each on the images that it applies to."""
    for name, operation in PAINTS.items():
        applied = drawn.applied[name][rows]
        parameters = drawn.parameters[name][rows]
        if applied.all():
            operation(values, parameters)
        elif applied.any():
            numbers = np.flatnonzero(applied)
            images = values[numbers]
            operation(images, parameters[numbers])
            values[numbers] = images
