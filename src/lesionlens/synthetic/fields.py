"""Patterns on the plane of the skin, sampled wherever a camera looks.

A pattern is a function of its generator and of the place in millimetres, so that two photographs of
one lesion show the same pattern, turned and scaled. Places are complex numbers: x + iy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Field = NDArray[np.float32]
Points = NDArray[np.complex128]

TILE = 64
"""Side of the random lattices in cells; a pattern repeats after so many."""
SUPERSAMPLE = 3


@dataclass(frozen=True)
class View:
    """Where the pixels of one photograph lie on the skin.

    Attributes:
        width: pixels.
        height: pixels.
        origin: place of the image's upper left corner, mm.
        step: mm per pixel along a row, as a complex number that also holds the rotation.
    """

    width: int
    height: int
    origin: complex
    step: complex

    @classmethod
    def of(cls, width: int, height: int, centre: complex, width_mm: float, angle_rad: float) -> View:
        """A view of `width_mm` of skin around `centre`, turned by `angle_rad`."""
        step = width_mm / width * np.exp(1j * angle_rad)
        return cls(width, height, complex(centre - step * (width + 1j * height) / 2), complex(step))

    def crop(self, left: int, top: int, right: int, bottom: int) -> View:
        """The part of this view between two pixel corners."""
        return View(right - left, bottom - top, self.origin + self.step * (left + 1j * top), self.step)

    def pixels(self, places: Points) -> Points:
        """Pixel positions x + iy of places on the skin."""
        return np.asarray((places - self.origin) / self.step)

    @cached_property
    def xy(self) -> tuple[Field, Field]:
        """Millimetres x and y of every pixel's centre, each of shape (height, width)."""
        column = np.arange(self.width, dtype=np.float32)[None] + np.float32(0.5)
        row = np.arange(self.height, dtype=np.float32)[:, None] + np.float32(0.5)
        along, across = np.float32(self.step.real), np.float32(self.step.imag)
        x = np.float32(self.origin.real) + along * column - across * row
        y = np.float32(self.origin.imag) + across * column + along * row
        return x, y


def noise(view: View, rng: np.random.Generator, spacing: float, octaves: int = 1) -> Field:
    """Smooth noise of about unit variance, shape (height, width).

    Args:
        view: where it is sampled.
        rng: decides the noise, with a fixed number of draws.
        spacing: distance between the largest bumps, mm.
        octaves: layers of detail, from 1 to 4, each with half the spacing and 0.6 of the height of the one before.
    """
    tile = _tile(rng, octaves)
    scale = np.float32(len(tile) * 2 ** (octaves - 1) / (TILE * spacing))
    x, y = view.xy
    return _sample(tile, x * scale, y * scale)


def _tile(rng: np.random.Generator, octaves: int) -> Field:
    """One period of noise on a grid of half its finest spacing, shape (2 * TILE, 2 * TILE)."""
    total = np.zeros((2 * TILE, 2 * TILE), np.float32)
    for octave in range(octaves):
        n = TILE >> (octaves - 1 - octave)
        around = np.arange(-3, n + 3) % n
        lattice = rng.standard_normal((n, n), dtype=np.float32)[around][:, around]
        smooth = Image.fromarray(lattice).resize(total.shape, Image.Resampling.BICUBIC, box=(3, 3, n + 3, n + 3))
        total += np.float32(0.6**octave) * np.asarray(smooth)
    return total / np.float32(0.8 * np.sqrt(sum(0.36**octave for octave in range(octaves))))


def _sample(tile: Field, x: Field, y: Field) -> Field:
    """Bilinear samples of a tile that repeats without end."""
    side = len(tile)
    column, row = np.floor(x), np.floor(y)
    right, down = x - column, y - row
    last = side - 1  # a power of two less one: a bitwise and is the remainder
    left_index, top_index = column.astype(np.int32) & last, (row.astype(np.int32) & last) * side
    right_index, bottom_index = (left_index + 1) & last, (top_index + side) & (side * last)
    top = tile.take(top_index + left_index) * (1 - right) + tile.take(top_index + right_index) * right
    bottom = tile.take(bottom_index + left_index) * (1 - right) + tile.take(bottom_index + right_index) * right
    return np.asarray(top * (1 - down) + bottom * down, np.float32)


def warped(view: View, rng: np.random.Generator, spacing: float, reach: float) -> tuple[Field, Field]:
    """The view's coordinates, moved by smooth noise of `reach` mm."""
    x, y = view.xy
    shift = np.float32(reach)
    return x + shift * noise(view, rng, spacing, 2), y + shift * noise(view, rng, spacing, 2)


def honeycomb(x: Field, y: Field, period: float) -> Field:
    """A net in [0, 1]: 1 on its lines, 0 in the holes, which are `period` mm apart."""
    wave = np.float32(4 * np.pi / (np.sqrt(3) * period))
    half, tall = np.float32(0.5), np.float32(np.sqrt(3) / 2)
    total = np.cos(wave * x) + np.cos(wave * (half * x + tall * y)) + np.cos(wave * (half * x - tall * y))
    return np.asarray(np.clip((np.float32(1.2) - total) / np.float32(2.4), 0, 1), np.float32)


def cells(x: Field, y: Field, rng: np.random.Generator, spacing: float, jitter: float) -> tuple[Field, Field, Field]:
    """Distances to the two nearest of scattered points, and a random number of the nearest one.

    Args:
        x: millimetres.
        y: millimetres, shape as `x`.
        rng: places the points.
        spacing: mean distance of the points, mm.
        jitter: how far from a square lattice, from 0 to 1.

    Returns:
        Nearest and second distance in units of `spacing`, and a number in [0, 1) per point.
    """
    offsets = (rng.random((2, TILE, TILE), dtype=np.float32) - np.float32(0.5)) * np.float32(jitter) + np.float32(0.5)
    values = rng.random((TILE, TILE), dtype=np.float32)
    x, y = x / np.float32(spacing), y / np.float32(spacing)
    column, row = np.floor(x).astype(np.int32), np.floor(y).astype(np.int32)
    x, y = x - column, y - row
    nearest, second = np.full(x.shape, 9, np.float32), np.full(x.shape, 9, np.float32)
    value = np.zeros(x.shape, np.float32)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            place = ((row + down) & (TILE - 1)) * TILE + ((column + right) & (TILE - 1))
            aside, below = offsets[0].take(place) + np.float32(right) - x, offsets[1].take(place) + np.float32(down) - y
            square = aside * aside + below * below
            second = np.minimum(second, np.maximum(nearest, square))
            value = np.where(square < nearest, values.take(place), value)
            nearest = np.minimum(nearest, square)
    return np.sqrt(nearest), np.sqrt(second), value


def step_down(value: Field, edge: float, softness: float) -> Field:
    """1 below `edge`, 0 above it, with a smooth passage `softness` wide on either side."""
    ratio = np.clip((np.float32(edge + softness) - value) / np.float32(2 * softness), 0, 1)
    return np.asarray(ratio * ratio * (3 - 2 * ratio), np.float32)


def spots(view: View, centres: Points, radii: Sequence[float] | NDArray[np.float64], softness: float) -> Field:
    """Round spots in [0, 1] at `centres` (mm) with `radii` (mm); `softness` is a share of the radius."""
    x, y = view.xy
    field = np.zeros(x.shape, np.float32)
    for centre, radius in zip(centres, radii, strict=True):
        distance = np.hypot(x - np.float32(centre.real), y - np.float32(centre.imag)) / np.float32(radius)
        np.maximum(field, step_down(distance, 1, softness), out=field)
    return field


def strokes(view: View, lines: Sequence[tuple[Points, float]]) -> Field:
    """Curves drawn with a pen, coverage in [0, 1].

    Args:
        view: where to draw.
        lines: pairs of the places along a curve (mm) and its width (mm).
    """
    canvas = Image.new("L", (view.width * SUPERSAMPLE, view.height * SUPERSAMPLE))
    pen = ImageDraw.Draw(canvas)
    scale = SUPERSAMPLE / abs(view.step)
    for places, width_mm in sorted(lines, key=lambda line: line[1]):
        at = view.pixels(places) * SUPERSAMPLE
        width = width_mm * scale
        ink = round(255 * min(1.0, width))
        pen.line(list(zip(at.real.tolist(), at.imag.tolist(), strict=True)), fill=ink, width=max(1, round(width)), joint="curve")
    return np.asarray(canvas.reduce(SUPERSAMPLE), dtype=np.float32) / np.float32(255)


def curve(rng: np.random.Generator, start: complex, angle_rad: float, length: float, bend: float, n: int = 12) -> Points:
    """Places along a curve of `length` mm that leaves `start` at an angle and turns by about `bend` radians in all."""
    turn = np.cumsum(rng.normal(0, bend / np.sqrt(n), n)) * 0.5 + rng.normal(0, bend) * np.linspace(0, 1, n)
    steps = length / n * np.exp(1j * (angle_rad + turn))
    return np.concatenate([[start], start + np.cumsum(steps)])
