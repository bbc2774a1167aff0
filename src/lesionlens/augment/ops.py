"""Pixel operations on batches, in place: float32 (N, 3, H, W), planes contiguous, levels in [0, 255].

Each takes float32 parameters from `draws`, one row per image. Values are rounded once, after the last
operation. Every step is elementwise, because convolution libraries may choose an algorithm by the
batch. On a CPU, `transform` passes one image at a time.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from lesionlens.augment.draws import NOISE_OFFSETS

Array = np.ndarray

LEVELS = 255.0
FIXED = 32
HSV_UNITS = np.array([30, 1, 1], np.float32)
NOISE_SEED = 20260422


def _column(parameters: Array, index: int, like: Tensor) -> Tensor | float:
    """One float32 parameter per image, broadcastable to (N, 3, H, W); a plain float for a single image, which is faster."""
    column = parameters[:, index]
    if len(column) == 1:
        return float(column[0])
    return torch.from_numpy(column.copy()).to(like.device).view(-1, 1, 1, 1)


def _add_weighted_(images: Tensor, other: Tensor, weights: Tensor | float) -> None:
    """images += weights * other."""
    if isinstance(weights, float):
        images.add_(other, alpha=weights)
    else:
        images.add_(other * weights)


def brightness_contrast_(images: Tensor, parameters: Array) -> None:
    """alpha x + beta, clipped to [0, 255]: `RandomBrightnessContrast` with `brightness_by_max`.

    Args:
        images: changed in place.
        parameters: alpha and beta (levels), shape (N, 2).
    """
    images.mul_(_column(parameters, 0, images)).add_(_column(parameters, 1, images)).clamp_(0, LEVELS)


def hue_saturation_value_(images: Tensor, parameters: Array) -> None:
    """Shift hue, saturation and value as in 8-bit HSV, without the conversion.

    With value V, chroma C and S = 255 C / V, channel k of a pixel of hue h (sextants) is
    V - C + C w(h - k), where w falls from 1 to 0 between distance 1 and 2 from the channel's own hue
    (Smith, SIGGRAPH 1978). Below one level of saturation the shift of saturation fades out, so
    that grey stays grey (Albumentations cuts it off).

    Args:
        images: changed in place.
        parameters: shifts of hue (of 180, at most 30 either way), saturation and value (of 255), shape (N, 3).
    """
    sextants, saturation, value = (_column(parameters / HSV_UNITS, index, images) for index in range(3))
    ring = _ring(images.mul_(FIXED))
    red, green, blue = ring[:, 0:1], ring[:, 1:2], ring[:, 2:3]
    highest = torch.maximum(torch.maximum(red, green), blue)
    span = highest - torch.minimum(torch.minimum(red, green), blue)
    high, chroma = highest.float(), span.float()
    rotated = _rotated_hue(ring, span, (chroma * sextants).to(torch.int16))
    new_value = (high * (1 / FIXED)).add_(value).clamp_(0, LEVELS)
    growth = torch.div(new_value, high.clamp_(min=1), out=high)  # new chroma over old, at the old saturation
    limit = new_value / chroma.clamp(min=1)  # where the saturation is full
    _add_weighted_(growth, torch.minimum(growth, limit * (1 / LEVELS)), saturation)
    torch.minimum(growth.clamp_(min=0), limit, out=growth)
    images.copy_(rotated).mul_(growth).add_(new_value.sub_(chroma.mul_(growth)))


def _ring(images: Tensor) -> Tensor:
    """The planes red, green, blue, red, green as integers, int16, shape (N, 5, H, W)."""
    count, _, height, width = images.shape
    ring = torch.empty((count, 5, height, width), dtype=torch.int16, device=images.device)
    ring[:, :3] = images
    ring[:, 3:] = ring[:, :2]
    return ring


def _rotated_hue(ring: Tensor, span: Tensor, step: Tensor) -> Tensor:
    """C w(h + step / C - k) of each channel k, in units of 1/32 level, int16, shape (N, 3, H, W).

    C (2 - |h - k|) is (own - smaller) + max(own - larger, 0) of the other two channels. It falls with
    the hue where the channel after k is the larger one, else it rises; past its peak it is at least C
    and past its trough at most 0, so clipping it to [0, C] needs no case per sextant. Short
    integers halve the memory traffic.
    """
    own, after, before = ring[:, :3], ring[:, 1:4], ring[:, 2:5]
    nearness = torch.minimum(after, before)
    torch.sub(own, nearness, out=nearness)
    excess = torch.maximum(after, before)
    nearness.add_(torch.sub(own, excess, out=excess).clamp_(min=0))
    nearness.sub_(torch.sub(after, before, out=excess).sign_().mul_(step))
    return torch.minimum(nearness.clamp_(min=0), span, out=nearness)


@lru_cache(maxsize=4)
def _noise_tables(count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Two fixed tables of standard normal numbers; a longer table begins with the shorter ones."""
    streams = [np.random.Generator(np.random.PCG64([NOISE_SEED, number])) for number in range(2)]
    first, second = (torch.from_numpy(stream.standard_normal(count, dtype=np.float32)).to(device) for stream in streams)
    return first, second


def gaussian_noise_(images: Tensor, parameters: Array) -> None:
    """Add Gaussian noise, independent for each pixel and channel, and clip to [0, 255].

    The field is (± a ± b) sigma / sqrt(2), where a and b are windows of two fixed tables of normal
    numbers at offsets drawn for the image: exactly Gaussian, white within an image, about 2e10
    fields, at a few per cent of the cost of fresh numbers.

    Args:
        images: changed in place.
        parameters: sigma (levels), two signs, two offsets, shape (N, 5).
    """
    size = images[0].numel()
    sigmas = parameters[:, :1] * np.float32(0.5**0.5)
    for number, table in enumerate(_noise_tables(size + NOISE_OFFSETS, images.device)):
        weights = _column(sigmas * parameters[:, 1 + number : 2 + number], 0, images)
        _add_weighted_(images, _windows(table, parameters[:, 3 + number], size).view_as(images), weights)
    images.clamp_(0, LEVELS)


def _windows(table: Tensor, starts: Array, size: int) -> Tensor:
    windows = [table[start : start + size] for start in starts.astype(np.int64).tolist()]
    return windows[0] if len(windows) == 1 else torch.stack(windows)


def gaussian_blur_(images: Tensor, parameters: Array) -> None:
    """Blur with the 3 x 3 Gaussian kernel exp(-d^2 / (2 sigma^2)), normalised, border reflect_101.

    Args:
        images: changed in place.
        parameters: sigma (pixels), shape (N, 1).
    """
    side = np.exp(np.float32(-0.5) / parameters**2)
    weight = _column(side, 0, images)
    for axis in (2, 3):
        _add_weighted_(images, _neighbours(images, axis), weight)
    images.mul_(_column(np.float32(1) / (1 + 2 * side) ** 2, 0, images))


def _neighbours(images: Tensor, axis: int) -> Tensor:
    """Sum of the pixels before and after along `axis`, mirrored at the border; same shape."""
    size = images.shape[axis]
    total = torch.empty_like(images)
    torch.add(images.narrow(axis, 0, size - 2), images.narrow(axis, 2, size - 2), out=total.narrow(axis, 1, size - 2))
    for edge, inner in ((0, 1), (size - 1, size - 2)):
        torch.mul(images.narrow(axis, inner, 1), 2.0, out=total.narrow(axis, edge, 1))
    return total


def motion_blur_(images: Tensor, parameters: Array) -> None:
    """Correlate with each image's own 3 x 3 kernel, border reflect_101.

    Args:
        images: changed in place.
        parameters: weights by rows, each row summing to 1, shape (N, 9).
    """
    height, width = images.shape[2:]
    padded = torch.nn.functional.pad(images, (1, 1, 1, 1), mode="reflect")
    images.zero_()
    for tap in np.flatnonzero(parameters.any(axis=0)).tolist():
        row, column = divmod(tap, 3)
        shifted = padded[:, :, row : row + height, column : column + width]
        _add_weighted_(images, shifted, _column(parameters, tap, images))


def coarse_dropout_(images: Tensor, boxes: Array) -> None:
    """Fill boxes with black.

    Args:
        images: changed in place.
        boxes: top, bottom, left, right in pixels, ends excluded, shape (N, holes, 4).
    """
    for image, holes in zip(images, boxes.tolist(), strict=True):
        for top, bottom, left, right in holes:
            if bottom > top and right > left:
                image[:, top:bottom, left:right].zero_()
