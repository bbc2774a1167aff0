"""Pixel operations on batches, in place: float32 (N, 3, H, W), planes contiguous, levels in [0, 255].

Each takes parameters with one row an image, as `draws` makes them. Values stay unrounded between
operations; the policy rounds once at the end. Every step is elementwise with one rounding (no fused
multiply-add, no convolution library), so that an image's result is the same to the bit in any batch.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray

LEVELS = 255.0
NOISE_SEED = 20260422


def _column(parameters: Array, index: int, like: Tensor) -> Tensor:
    """One parameter of each image, shaped (N, 1, 1, 1) on the device of `like`."""
    return torch.from_numpy(parameters[:, index].astype(np.float32)).to(like.device).view(-1, 1, 1, 1)


def brightness_contrast_(images: Tensor, parameters: Array) -> None:
    """alpha x + beta, cut to [0, 255]: `RandomBrightnessContrast` with `brightness_by_max`.

    Args:
        images: changed in place.
        parameters: alpha and beta (levels), shape (N, 2).
    """
    images.mul_(_column(parameters, 0, images)).add_(_column(parameters, 1, images)).clamp_(0, LEVELS)


def hue_saturation_value_(images: Tensor, parameters: Array) -> None:
    """Shift hue, saturation and value as in 8-bit HSV, without going there and back.

    With value V, chroma C and S = 255 C / V, channel k of a pixel of hue h (sextants) is
    V - C + C w(h - k), where w falls from 1 to 0 between distance 1 and 2 from the channel's own hue
    (Smith, SIGGRAPH 1978). C (2 - |h - k|) is a sum of differences of channels, so the hue is turned
    without a division or a case for each sextant. Below one level of saturation the shift fades
    to none, so that grey stays grey (Albumentations cuts it off there).

    Args:
        images: changed in place.
        parameters: shifts of hue (of 180), saturation and value (of 255), shape (N, 3).
    """
    hue, saturation, value = (_column(parameters, index, images) for index in range(3))
    high, low = images.amax(1, keepdim=True), images.amin(1, keepdim=True)
    chroma = high - low
    turned = _turned_(images, chroma, hue.div_(30.0))
    kept = (chroma * LEVELS).div_(high.clamp(min=1e-3))
    shifted = kept.clamp(max=1.0).mul_(saturation).add_(kept).clamp_(0, LEVELS)
    high.add_(value).clamp_(0, LEVELS)
    new_chroma = shifted.mul_(high).div_(LEVELS)
    high.sub_(new_chroma)
    torch.mul(turned, new_chroma.div_(chroma.clamp_(min=1e-3)), out=images)
    images.add_(high)


def _turned_(images: Tensor, chroma: Tensor, sextants: Tensor) -> Tensor:
    """C w(h + sextants - k) of every channel k, shape (N, 3, H, W); |sextants| at most 1."""
    ring = torch.cat([images, images[:, :2]], dim=1)  # R G B R G
    after, before = ring[:, 1:4], ring[:, 2:5]
    double = chroma + chroma
    nearness = images - torch.minimum(after, before)  # C (2 - |h - k|)
    nearness.add_(images.sub_(torch.maximum(after, before)).clamp_(min=0))
    distance = torch.sub(double, nearness, out=nearness)
    signed = torch.copysign(distance, torch.sub(after, before, out=images), out=distance)
    distance = signed.add_(chroma * sextants).abs_()
    return torch.minimum(torch.sub(double, distance, out=distance).clamp_(min=0), chroma, out=distance)


@lru_cache(maxsize=4)
def _noise_tables(count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Two fixed tables of standard normal numbers; a longer one begins with a shorter one."""
    streams = [np.random.Generator(np.random.PCG64([NOISE_SEED, part])) for part in range(2)]
    first, second = (torch.from_numpy(stream.standard_normal(count, dtype=np.float32)).to(device) for stream in streams)
    return first, second


def gaussian_noise_(images: Tensor, parameters: Array) -> None:
    """Add Gaussian noise, independent for each pixel and channel, and cut to [0, 255].

    The field is (± a ± b) sigma / sqrt(2), where a and b are windows of two fixed tables of normal
    numbers at places drawn for the image: exactly Gaussian, white within an image, about 4e12
    fields, and a few per cent of the price of drawing each number anew.

    Args:
        images: changed in place.
        parameters: sigma (levels), two signs, two offsets, shape (N, 5).
    """
    size = images[0].numel()
    for part, table in enumerate(_noise_tables(size + (1 << 20), images.device)):
        starts = parameters[:, 3 + part].astype(np.int64).tolist()
        field = torch.stack([table[start : start + size] for start in starts]).view_as(images)
        images.add_(field.mul_(_column(parameters[:, :1] * parameters[:, 1 + part : 2 + part] * 0.5**0.5, 0, images)))
    images.clamp_(0, LEVELS)


def gaussian_blur_(images: Tensor, parameters: Array) -> None:
    """Blur with the 3 x 3 Gaussian kernel exp(-d^2 / (2 sigma^2)), normalised, border reflect_101.

    Args:
        images: changed in place.
        parameters: sigma (pixels), shape (N, 1).
    """
    side = np.exp(-0.5 / parameters**2)
    weight = _column(side, 0, images)
    for axis in (2, 3):
        images.add_(_neighbours(images, axis).mul_(weight))
    images.mul_(_column((1 + 2 * side) ** -2.0, 0, images))


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
        images.add_(padded[:, :, row : row + height, column : column + width] * _column(parameters, tap, images))


def coarse_dropout_(images: Tensor, boxes: Array) -> None:
    """Fill boxes with black.

    Args:
        images: changed in place.
        boxes: top, bottom, left, right in pixels, ends excluded, shape (N, holes, 4).
    """
    inside = []
    for first, size in ((0, images.shape[2]), (2, images.shape[3])):
        pixels = np.arange(size)[None, None, :]
        within = (pixels >= boxes[:, :, first, None]) & (pixels < boxes[:, :, first + 1, None])
        inside.append(torch.from_numpy(within.astype(np.float32)).to(images.device))
    covered = torch.matmul(inside[0].transpose(1, 2), inside[1])  # (N, H, W), number of holes over each pixel
    images.mul_(covered.eq_(0)[:, None])
