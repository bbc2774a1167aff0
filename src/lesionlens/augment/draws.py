"""Random parameters of each image, from a counter-based hash of the image's seed.

No generator has a state, so nothing depends on the order or the number of images: draw j of
transform t for an image is a pure function of (seed, t, j). Only NumPy is used here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lesionlens.augment.policy import Policy

Array = np.ndarray

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
STREAM_STEP = np.uint64(0xD1B54A32D192ED03)
NOISE_OFFSETS = 1 << 16


def _mix(state: Array) -> Array:
    """The output function of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014), a bijection of 64-bit words."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Array = state ^ (state >> np.uint64(31))
    return mixed


def seed_array(seeds: Sequence[int]) -> Array:
    """Seeds as 64-bit words, shape (N,); larger and negative ones are taken modulo 2**64."""
    return np.array([int(seed) & 0xFFFFFFFFFFFFFFFF for seed in seeds], dtype=np.uint64)


def uniform(seeds: Array, stream: int, count: int) -> Array:
    """Uniform numbers in [0, 1), one row per image.

    Args:
        seeds: 64-bit words, shape (N,).
        stream: number of the transform; streams are independent.
        count: numbers per image.

    Returns:
        float64, shape (N, count); the first columns do not depend on `count`.
    """
    offsets = np.arange(1, count + 1, dtype=np.uint64) * GOLDEN
    key = _mix(seeds + np.array([stream + 1], dtype=np.uint64) * STREAM_STEP)
    words = _mix(key[:, None] + offsets[None, :])
    result: Array = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return result


def count(name: str, policy: Policy) -> int:
    """Number of uniform numbers that the transform `name` needs."""
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
    return counts.get(name, 0)


def _between(u: Array, low: float, high: float) -> Array:
    return low + (high - low) * u


def shift_scale_rotate(u: Array, policy: Policy) -> Array:
    """Shift in x and y (fraction of the side), scale factor, and angle (deg); shape (N, 4) from (N, 4)."""
    limits = np.array([policy.shift, policy.shift, policy.scale, policy.rotate_deg])
    parameters: Array = (2 * u - 1) * limits + np.array([0.0, 0.0, 1.0, 0.0])
    return parameters


def brightness_contrast(u: Array, policy: Policy) -> Array:
    """Factor and offset (levels): alpha = 1 + contrast, beta = 255 * brightness; shape (N, 2) from (N, 2)."""
    alpha = 1 + _between(u[:, 0], -policy.contrast, policy.contrast)
    beta = 255 * _between(u[:, 1], -policy.brightness, policy.brightness)
    return np.stack([alpha, beta], axis=1)


def hue_saturation_value(u: Array, policy: Policy) -> Array:
    """Shifts of hue (of 180), saturation and value (of 255); shape (N, 3) from (N, 3)."""
    parameters: Array = (2 * u - 1) * np.array([policy.hue, policy.saturation, policy.value])
    return parameters


def gaussian_noise(u: Array, policy: Policy) -> Array:
    """Standard deviation (levels), signs and offsets of two noise fields; shape (N, 5) from (N, 4).

    The variance is uniform, as table 3 gives it. Columns: sigma, sign 1, sign 2, offset 1, offset 2.
    """
    sigma = np.sqrt(_between(u[:, 0], *policy.noise_variance))
    signs = np.floor(u[:, 1] * 4)
    first, second = 1 - 2 * (signs % 2), 1 - 2 * (signs // 2)
    return np.stack([sigma, first, second, *np.floor(u[:, 2:4] * NOISE_OFFSETS).T], axis=1)


def gaussian_blur(u: Array, policy: Policy) -> Array:
    """Standard deviation of the kernel (pixels); shape (N, 1) from (N, 1)."""
    return _between(u, *policy.blur_sigma)


def motion_blur(u: Array, policy: Policy) -> Array:
    """Weights of the 3 x 3 kernel by rows; shape (N, 9) from (N, 4)."""
    x, y = _line_between_points(u) if policy.motion_kernel == "points" else _line_at_angle(u)
    kernel = np.zeros((len(u), 9))
    np.put_along_axis(kernel, 3 * y + x, 1.0, axis=1)
    normalised: Array = kernel / kernel.sum(axis=1, keepdims=True)
    return normalised


def _line_between_points(u: Array) -> Array:
    """Columns and rows of the line's three pixels, shape (2, N, 3), from x and y of two random points that differ.

    `MotionBlur` of Albumentations 1.3.1 for kernel 3: two points of the kernel, and the pixels of OpenCV's line between them.
    It draws that line from the left point on, and of two equally near pixels takes the one that lies straight on.
    """
    x1, x2, y1 = (np.floor(3 * u[:, column]).astype(np.int64) for column in range(3))
    y2 = np.where(x1 == x2, y1 + 1 + np.floor(2 * u[:, 3]), np.floor(3 * u[:, 3])).astype(np.int64) % 3
    left_x, left_y = np.minimum(x1, x2), np.where(x1 <= x2, y1, y2)
    across, down = np.abs(x2 - x1), np.where(x1 <= x2, y2 - y1, y1 - y2)
    long_x, long_y = across == 2, np.abs(down) == 2
    middle_x = np.where(long_x, left_x + 1, left_x)
    middle_y = np.where(long_y, 1, left_y)
    return np.stack([np.stack([x1, middle_x, x2], axis=1), np.stack([y1, middle_y, y2], axis=1)])


def _line_at_angle(u: Array) -> Array:
    """Columns and rows of the line's three pixels, shape (2, N, 3), from angle, direction, shift x and shift y.

    The line of `create_motion_kernel` of Albumentations 2.0.8 for kernel 3, all images at once.
    """
    angle = 2 * np.pi * u[:, 0]
    direction = 2 * u[:, 1] - 1
    shift = (u[:, 2:4] - 0.5)[:, :, None]  # (N, 2, 1), at most half a pixel
    start, end = np.maximum(direction, 0) - 1, np.minimum(direction, 0) + 1
    points = start[:, None] + (end - start)[:, None] * np.array([0.0, 0.5, 1.0])  # (N, 3)
    line = np.stack([np.cos(angle), np.sin(angle)], axis=1)[:, :, None] * points[:, None, :]
    pixels: Array = np.clip(np.round(1 + line + shift), 0, 2).astype(np.int64).transpose(1, 0, 2)
    return pixels


def grid_distortion(u: Array, policy: Policy) -> Array:
    """Relative length of each grid cell, columns then rows; shape (N, 2 (steps + 1)) from the same."""
    return 1 + _between(u, -policy.grid_distort, policy.grid_distort)


def coarse_dropout(u: Array, policy: Policy) -> Array:
    """Number of holes, then four fractions of each hole; shape (N, 1 + 4 holes) from the same.

    The fractions are height and width (of the image's), top and left (of the remaining space). With `hole_px`, height
    and width are whole pixels.
    """
    low, high = policy.holes
    holes = np.floor(_between(u[:, :1], low, high + 1))
    fractions = u[:, 1:].reshape(len(u), high, 4).copy()
    if policy.hole_px == (0, 0):
        fractions[:, :, :2] = _between(fractions[:, :, :2], *policy.hole_side)
    else:
        fractions[:, :, :2] = np.floor(_between(fractions[:, :, :2], policy.hole_px[0], policy.hole_px[1] + 1))
    return np.concatenate([holes, fractions.reshape(len(u), 4 * high)], axis=1)


def hole_boxes(parameters: Array, height: int, width: int, in_pixels: bool = False) -> Array:
    """Holes in pixels: top, bottom, left, right (ends excluded); int64, shape (N, holes, 4).

    Holes beyond an image's own count are empty.

    Args:
        parameters: as `coarse_dropout` gives them.
        height: of the image, pixels.
        width: of the image, pixels.
        in_pixels: whether height and width of the holes are pixels, at most the image's; else fractions.
    """
    fractions = parameters[:, 1:].reshape(len(parameters), parameters.shape[1] // 4, 4)
    size = np.array([height, width])
    sides = np.minimum(fractions[:, :, :2], size) if in_pixels else np.floor(fractions[:, :, :2] * size)
    starts = np.floor(fractions[:, :, 2:] * (size - sides + 1))
    exists = np.arange(fractions.shape[1])[None, :, None] < parameters[:, :1, None]
    ends = np.where(exists, starts + sides, starts)
    return np.stack([starts[..., 0], ends[..., 0], starts[..., 1], ends[..., 1]], axis=-1).astype(np.int64)
