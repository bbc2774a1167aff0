"""Patterns on the plane of the skin, sampled wherever a camera looks.

A pattern depends on its generator and on the place in millimetres alone, so that two photographs of
one lesion show the same pattern, turned and scaled. Places are complex numbers: x + iy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

Field = NDArray[np.float32]
"""One value for each pixel, shape (height, width)."""
Line = tuple[NDArray[np.complex128], float]
"""Places along a line, and its width (mm)."""

LATTICE = 64
"""Cells along the side of the random lattices, which repeat beyond it."""
SUPERSAMPLE = 3


@dataclass(frozen=True)
class View:
    """Where the pixels of one photograph lie on the skin.

    Attributes:
        width: pixels.
        height: pixels.
        origin: place of the upper left corner, mm.
        step: mm per pixel along a row, as a complex number that also holds the rotation.
    """

    width: int
    height: int
    origin: complex
    step: complex

    def places(self, column: ArrayLike, row: ArrayLike) -> NDArray[np.complex128]:
        """Places of pixel positions, which may lie outside the photograph."""
        return np.asarray(self.origin + self.step * (np.asarray(column) + 1j * np.asarray(row)))

    @cached_property
    def xy(self) -> tuple[Field, Field]:
        """Millimetres x and y of the centre of every pixel."""
        places = self.places(np.arange(self.width)[None] + 0.5, np.arange(self.height)[:, None] + 0.5)
        return places.real.astype(np.float32), places.imag.astype(np.float32)


def view_around(centre: complex, width_mm: float, angle_rad: float, width: int, height: int) -> View:
    """A view of `width_mm` of skin around `centre`, turned by `angle_rad`."""
    step = width_mm / width * complex(math.cos(angle_rad), math.sin(angle_rad))
    return View(width, height, centre - step * (width + 1j * height) / 2, step)


def noise(view: View, rng: np.random.Generator, spacing: float, octaves: int = 1) -> Field:
    """Smooth noise of about zero mean and unit variance.

    Args:
        view: where it is sampled.
        rng: decides the noise, with a fixed number of draws.
        spacing: distance between the largest bumps, mm.
        octaves: layers of detail, each with half the spacing and 0.6 of the height of the one before.
    """
    total = np.zeros((view.height, view.width), np.float32)
    for octave in range(octaves):
        lattice = np.tile(rng.standard_normal((LATTICE, LATTICE), dtype=np.float32), (4, 4))
        step, origin = view.step * 2**octave / spacing, view.origin * 2**octave / spacing + 2 * LATTICE * (1 + 1j)
        affine = (step.real, -step.imag, origin.real, step.imag, step.real, origin.imag)
        method = Image.Resampling.BILINEAR if octave else Image.Resampling.BICUBIC
        size = (view.width, view.height)
        total += 0.6**octave * np.asarray(Image.fromarray(lattice).transform(size, Image.Transform.AFFINE, affine, method))
    return total / np.float32(0.75 * math.sqrt(sum(0.36**octave for octave in range(octaves))))


def warped(view: View, rng: np.random.Generator, spacing: float, shift: float) -> tuple[Field, Field]:
    """The coordinates of `view`, moved by smooth noise of `shift` mm."""
    x, y = view.xy
    return x + shift * noise(view, rng, spacing, 2), y + shift * noise(view, rng, spacing, 2)


def honeycomb(x: Field, y: Field, period: float) -> Field:
    """A net in [0, 1]: 1 on its lines, 0 in the holes, which are `period` mm apart."""
    wave, half, tall = 4 * math.pi / (math.sqrt(3) * period), 0.5, math.sqrt(3) / 2
    total = np.cos(wave * x) + np.cos(wave * (half * x + tall * y)) + np.cos(wave * (half * x - tall * y))
    return np.asarray(np.clip((1.2 - total) / 2.4, 0, 1), np.float32)


def cells(x: Field, y: Field, rng: np.random.Generator, spacing: float) -> tuple[Field, Field]:
    """Distance to the nearest of scattered points, in units of their mean distance `spacing` (mm).

    Returns:
        The distance, and a random number in [0, 1) that belongs to the nearest point.
    """
    columns, rows, values = rng.random((3, LATTICE, LATTICE), np.float32)
    x, y = x / np.float32(spacing), y / np.float32(spacing)
    column, row = np.floor(x).astype(np.int32), np.floor(y).astype(np.int32)
    nearest, value = np.full((2, *x.shape), 9, np.float32)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            point = (row + down) % LATTICE * LATTICE + (column + right) % LATTICE
            distance = np.hypot(columns.take(point) + (column + right - x), rows.take(point) + (row + down - y))
            value = np.where(distance < nearest, values.take(point), value)
            nearest = np.minimum(nearest, distance)
    return np.asarray(nearest, np.float32), value


def step_down(value: Field, edge: float, softness: float) -> Field:
    """1 below `edge`, 0 above it, with a smooth passage `softness` wide on either side."""
    ratio = np.clip((edge + softness - value) / (2 * softness), 0, 1)
    return np.asarray(ratio * ratio * (3 - 2 * ratio), np.float32)


def curve(rng: np.random.Generator, start: complex, angle_rad: float, length: float, bend: float) -> NDArray[np.complex128]:
    """Places along a curve of `length` mm that leaves `start` at an angle and turns by about `bend` radians."""
    turn = np.cumsum(rng.normal(0, bend / 7, 12)) + rng.normal(0, bend) * np.linspace(0, 1, 12)
    return np.append(start, start + np.cumsum(length / 12 * np.exp(1j * (angle_rad + turn))))


def strokes(view: View, lines: Sequence[Line]) -> Field:
    """Lines drawn with a pen, coverage in [0, 1]."""
    canvas = Image.new("L", (view.width * SUPERSAMPLE, view.height * SUPERSAMPLE))
    pen = ImageDraw.Draw(canvas)
    for places, width_mm in sorted(lines, key=lambda line: line[1]):
        pixels = (places - view.origin) / view.step * SUPERSAMPLE
        width = width_mm / abs(view.step) * SUPERSAMPLE
        points = list(zip(pixels.real.tolist(), pixels.imag.tolist(), strict=True))
        pen.line(points, fill=round(255 * min(1.0, width)), width=max(1, round(width)), joint="curve")
    return np.asarray(canvas.reduce(SUPERSAMPLE), np.float32) / np.float32(255)
