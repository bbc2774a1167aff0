"""All geometry of an image as one sampling grid: flips, shift-scale-rotate, grid distortion.

Each coordinate of the grid is the sum of a vector over columns and a vector over rows, because the
distortion moves columns and rows independently and the rest is affine. The image is then
interpolated once, bilinearly, with the border mirrored about its outermost pixels (reflect_101).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

Array = np.ndarray


class Axes(NamedTuple):
    """Sampling positions x + i y of each pixel (u, v): columns[u] + rows[v].

    Coordinates run from -1 to 1, from outermost pixel to outermost pixel. Complex numbers, so that
    one sum gives the interleaved grid.

    Attributes:
        columns: complex64, shape (N, W).
        rows: complex64, shape (N, H).
    """

    columns: Array
    rows: Array


def distorted_axis(factors: Array, side: int, normalised: bool = True) -> Array:
    """Where grid distortion samples each pixel of one axis, in pixels.

    Normalised, it is `generate_grid` of Albumentations 2.0.8, whose grid is scaled to end one pixel outside the image; else
    `grid_distortion` of 1.3.1, whose cells keep the drawn lengths and may leave the image. What lies outside is mirrored back
    inside (reflect_101).

    Args:
        factors: relative length of each cell, shape (N, steps + 1); the last cell is the
            remainder of `side` divided by steps.
        side: pixels of the axis, at least `steps`.
        normalised: whether the lengths are scaled to the image's.

    Returns:
        float64, shape (N, side), each in [0, side - 1].
    """
    steps = factors.shape[1] - 1
    cell = side // steps
    rest = side - steps * cell
    lengths = factors * np.array([cell] * steps + [rest])
    edges = np.concatenate([np.zeros((len(factors), 1)), np.cumsum(lengths, axis=1)], axis=1)
    if normalised:
        edges = edges * (side / edges[:, -1:])
    else:
        edges[:, -1] = side  # the incomplete last cell ends there, wherever the others ended
    pixels = np.arange(side)
    cells = np.minimum(pixels // cell, steps)
    last = np.where(cells == steps, rest, cell) - 1
    share = (pixels - cells * cell) / np.maximum(last, 1)
    where = edges[:, cells] + (edges[:, cells + 1] - edges[:, cells]) * share
    return _mirrored(where, side)


def _mirrored(places: Array, side: int) -> Array:
    """Places mirrored about the outermost pixels, as often as needed."""
    period = 2 * (side - 1)
    inside = np.mod(places, period)
    mirrored: Array = np.minimum(inside, period - inside)
    return mirrored


def compose(flips: Array, affine: Array, columns: Array, rows: Array) -> Axes:
    """One grid for flip, then shift-scale-rotate, then distortion.

    With the centre c, a pixel p of the result is sampled at F R^T (d(p) - c - t) / s + c, where d is the
    distortion, t the shift, s the scale, R the rotation as in Albumentations' `Affine`
    (counter-clockwise for a positive angle) and F the flips.

    Args:
        flips: 1 or -1 for x and y, shape (N, 2).
        affine: shift x, shift y (fraction of the side), scale, angle (deg), shape (N, 4).
        columns: distorted x of each column, pixels, shape (N, W).
        rows: distorted y of each row, pixels, shape (N, H).
    """
    centre_x, centre_y = (columns.shape[1] - 1) / 2, (rows.shape[1] - 1) / 2
    x = columns - centre_x - affine[:, :1] * columns.shape[1]
    y = rows - centre_y - affine[:, 1:2] * rows.shape[1]
    angle = np.deg2rad(affine[:, 3:])
    cosine, sine = np.cos(angle) / affine[:, 2:3], np.sin(angle) / affine[:, 2:3]
    flip_x, flip_y = flips[:, :1] / centre_x, flips[:, 1:] / centre_y
    columns, rows = x * (flip_x * cosine + 1j * flip_y * sine), y * (1j * flip_y * cosine - flip_x * sine)
    return Axes(columns.astype(np.complex64), rows.astype(np.complex64))


def sampling_grid(axes: Axes, device: torch.device) -> Tensor:
    """The grid for `grid_sample` with `align_corners=True`, float32, shape (N, H, W, 2)."""
    columns, rows = (torch.from_numpy(axis).to(device) for axis in axes)
    return torch.view_as_real(columns[:, None, :] + rows[:, :, None])


def warp(images: Tensor, axes: Axes) -> Tensor:
    """Sample every image at its grid, bilinearly, mirrored at the border.

    Args:
        images: float32, shape (N, 3, H, W), any memory format.
        axes: coordinates of the same N images.

    Returns:
        float32, shape (N, 3, H, W), planes contiguous.
    """
    grid = sampling_grid(axes, images.device)
    return grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=True).contiguous()
