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


def noise(view: View, rng: np.random.Generator, spacing: float) -> Field:
    """Smooth noise of about unit variance whose bumps are `spacing` mm apart, shape (height, width)."""
    lattice = rng.standard_normal((TILE, TILE), dtype=np.float32)
    corners = np.array([0, view.width, 1j * view.height, view.width + 1j * view.height])
    cells = (view.origin + view.step * corners) / spacing
    left, top = int(np.floor(cells.real.min())) - 3, int(np.floor(cells.imag.min())) - 3
    columns = np.arange(left, int(cells.real.max()) + 5) % TILE
    rows = np.arange(top, int(cells.imag.max()) + 5) % TILE
    origin, step = view.origin / spacing - (left + 1j * top), view.step / spacing
    affine = (step.real, -step.imag, origin.real, step.imag, step.real, origin.imag)
    image = Image.fromarray(lattice[np.ix_(rows, columns)])
    field = image.transform((view.width, view.height), Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC)
    return np.asarray(field, dtype=np.float32) * np.float32(1.3)


def fractal(view: View, rng: np.random.Generator, spacing: float, octaves: int) -> Field:
    """Noise with detail: octaves of half the spacing and 0.6 of the height each, about unit variance."""
    total = np.zeros((view.height, view.width), np.float32)
    for octave in range(octaves):
        total += np.float32(0.6**octave) * noise(view, rng, spacing / 2**octave)
    return total / np.float32(np.sqrt(sum(0.36**octave for octave in range(octaves))))


def warped(view: View, rng: np.random.Generator, spacing: float, reach: float) -> tuple[Field, Field]:
    """The view's coordinates, moved by smooth noise of `reach` mm."""
    x, y = view.xy
    shift = np.float32(reach)
    return x + shift * noise(view, rng, spacing), y + shift * noise(view, rng, spacing)


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
            place = ((row + down) % TILE) * TILE + (column + right) % TILE
            distance = np.hypot(offsets[0].take(place) + np.float32(right) - x, offsets[1].take(place) + np.float32(down) - y)
            closer = distance < nearest
            second = np.minimum(second, np.where(closer, nearest, distance))
            nearest = np.where(closer, distance, nearest)
            value = np.where(closer, values.take(place), value)
    return nearest, second, value


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
    """Places along a curve that starts at `start` and wanders by about `bend` radians per mm."""
    turn = np.cumsum(rng.normal(0, 1, n)) * bend * length / n + rng.normal(0, bend) * np.arange(n) * length / n
    steps = length / n * np.exp(1j * (angle_rad + turn))
    return np.concatenate([[start], start + np.cumsum(steps)])
