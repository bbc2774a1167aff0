"""The dermatoscope: skin around a lesion, light, hairs, rulers, bubbles, lens and sensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from lesionlens.core.seeds import generator
from lesionlens.data.synthetic_fields import Field, View, cells, curve, fractal, noise, spots, step_down, strokes
from lesionlens.data.synthetic_lesions import Pigments, paint_lesion
from lesionlens.data.synthetic_looks import Look, draw_look

MELANIN = np.array([0.42, 0.82, 1.25], np.float32)
BLOOD = np.array([0.16, 0.85, 0.70], np.float32)
DERMAL = np.array([0.95, 0.75, 0.45], np.float32)
KERATIN = np.array([0.06, 0.22, 0.55], np.float32)
"""Absorption of red, green and blue light per unit of each pigment."""
SCATTER = np.array([0.95, 0.90, 0.88], np.float32)
"""Colour of what is white."""


@dataclass(frozen=True)
class Lesion:
    """One drawn lesion.

    Attributes:
        seed: of the whole data set.
        lesion_id: its name, which is part of its seed.
        dx: its diagnosis.
    """

    seed: int
    lesion_id: str
    dx: str


def take_photo(lesion: Lesion, photo: int, width: int, height: int) -> tuple[Image.Image, NDArray[np.bool_]]:
    """One photograph of a lesion: a function of its arguments alone.

    Args:
        lesion: which one.
        photo: number of the photograph; another number has another framing, rotation, light and hairs.
        width: pixels.
        height: pixels.

    Returns:
        The RGB image, and the lesion's exact mask of shape (height, width).
    """
    seeds = (lesion.seed, "synthetic", lesion.dx, lesion.lesion_id)
    own, rng = generator(*seeds), generator(*seeds, photo)
    look = draw_look(own, lesion.dx)
    view = _frame(look, own, rng, width, height)
    pigments = paint_lesion(look, int(own.integers(2**62)), view)
    colour = _develop(pigments, _paint_skin(view, own, pigments), own, rng)
    colour = _paint_things(colour, view, rng)
    colour = _shade(colour, own, rng)
    return _expose(colour, own, rng), pigments.inside < 1


def _frame(look: Look, own: np.random.Generator, rng: np.random.Generator, width: int, height: int) -> View:
    field_mm = look.radius * np.clip(4.4 * np.exp(own.normal(0, 0.32)), 2.6, 9) * np.exp(rng.normal(0, 0.18))
    field_mm = float(np.clip(field_mm, 7, 30))
    centre = complex(rng.normal(0, 0.06), rng.normal(0, 0.05)) * field_mm
    return View.of(width, height, centre, field_mm, rng.uniform(0, 2 * np.pi))


def _paint_skin(view: View, own: np.random.Generator, pigments: Pigments) -> Field:
    """Reflectance of bare skin (height, width, 3); vessels and freckles go into `pigments`."""
    tone = own.choice([0.05, 0.14, 0.28, 0.6], p=[0.35, 0.38, 0.2, 0.07]) * own.uniform(0.7, 1.3)
    flush = own.uniform(0.12, 0.55)
    mottle = fractal(view, own, 3.0, 3)
    lines = noise(view, own, 0.35) + np.float32(0.6) * noise(view, own, 0.16)
    pigments.melanin += np.float32(tone) * np.clip(1 + np.float32(0.18) * mottle + np.float32(0.07) * lines, 0.2, 3)
    pigments.blood += np.float32(flush) * np.clip(1 + np.float32(0.16) * fractal(view, own, 1.6, 3), 0.2, 3)
    damaged, veins, pores = own.random() < 0.3, own.random() < 0.25, own.random() < 0.2
    if damaged:
        pigments.melanin += np.float32(own.uniform(0.08, 0.3)) * step_down(-fractal(view, own, 1.5, 3), -0.6, 0.5)
    if veins:
        ridge = np.abs(fractal(view, own, 1.3, 2))
        pigments.blood += (
            np.float32(own.uniform(0.2, 0.6)) * step_down(ridge, 0.09, 0.09) * np.clip(mottle + np.float32(0.6), 0, 1)
        )
    if pores:
        nearest, _, _ = cells(*view.xy, own, own.uniform(0.9, 1.5), 0.8)
        pigments.dermal += np.float32(own.uniform(0.15, 0.5)) * step_down(nearest, 0.1, 0.06)
    gloss = 1 + np.float32(0.02) * lines
    return np.asarray(np.array([0.97, 0.93, 0.91], np.float32) * gloss[..., None], np.float32)


def _develop(pigments: Pigments, skin: Field, own: np.random.Generator, rng: np.random.Generator) -> Field:
    """Light that comes back through the pigments (Beer and Lambert), seen by a camera with its own white balance."""
    density = (
        pigments.melanin[..., None] * MELANIN
        + pigments.blood[..., None] * BLOOD
        + pigments.dermal[..., None] * DERMAL
        + pigments.keratin[..., None] * KERATIN
    )
    white = np.clip(pigments.white, 0, 0.9)[..., None]
    colour = skin * np.exp(-density) * (1 - white) + SCATTER * white
    warmth, tint = own.normal(0, 0.07) + rng.normal(0, 0.02), own.normal(0, 0.035) + rng.normal(0, 0.01)
    balance = np.exp(np.array([warmth + tint, -tint, -warmth + tint + 0.03])).astype(np.float32)
    return np.asarray(colour * balance, np.float32)


def _paint_things(colour: Field, view: View, rng: np.random.Generator) -> Field:
    """Hairs, a ruler, gel bubbles and a pen's mark, each in some photographs."""
    width_mm = abs(view.step) * view.width
    corner, across = view.origin, view.step / abs(view.step)
    hairy, ruled, bubbly, marked = rng.random(4) < (0.4, 0.12, 0.18, 0.03)
    if marked:
        line = curve(rng, corner + across * width_mm * complex(rng.uniform(0, 1), 0.03), rng.uniform(0, 6), width_mm * 0.5, 0.05)
        ink = strokes(view, [(line, rng.uniform(0.3, 0.7))])[..., None] * np.float32(0.6)
        colour = colour * (1 - ink * np.array([0.75, 0.7, 0.15], np.float32))
    if hairy:
        cover = strokes(view, _hairs(view, rng, width_mm))[..., None]
        dark = np.array([0.10, 0.07, 0.06]) + rng.choice([0.0, 0.15, 0.6], p=[0.65, 0.25, 0.10])
        colour = colour * (1 - cover) + dark.astype(np.float32) * cover
    if ruled:
        cover = strokes(view, _ruler(view, rng, width_mm))[..., None] * np.float32(rng.uniform(0.4, 0.9))
        colour = colour * (1 - cover) + np.float32(0.12) * cover
    if bubbly:
        n = int(rng.integers(1, 7))
        places = corner + across * width_mm * (rng.random(n) + 0.75j * rng.random(n))
        radii = width_mm * rng.uniform(0.008, 0.045, n)
        ring = spots(view, places, radii, 0.15) - spots(view, places, 0.8 * radii, 0.25)
        glint = spots(view, places + across * radii * (0.4 - 0.4j), 0.28 * radii, 0.6)
        colour = colour * (1 - np.float32(0.2) * ring[..., None]) + np.float32(0.4) * (glint + np.float32(0.4) * ring)[..., None]
    return np.asarray(colour, np.float32)


def _hairs(view: View, rng: np.random.Generator, width_mm: float) -> list[tuple[NDArray[np.complex128], float]]:
    way, n = rng.uniform(0, 2 * np.pi), int(rng.choice([3, 8, 20], p=[0.5, 0.35, 0.15]))
    thickness, length = rng.uniform(0.04, 0.11), rng.uniform(0.15, 0.9) * width_mm
    lines = []
    for _ in range(n):
        start = view.origin + view.step * complex(rng.uniform(-0.2, 1) * view.width, rng.uniform(-0.2, 1) * view.height)
        lines.append(
            (curve(rng, start, way + rng.normal(0, 0.5), length * rng.uniform(0.5, 1.2), 0.08), thickness * rng.uniform(0.6, 1.3))
        )
    return lines


def _ruler(view: View, rng: np.random.Generator, width_mm: float) -> list[tuple[NDArray[np.complex128], float]]:
    along = view.step / abs(view.step)
    side = float(rng.choice([0.02, 0.98]))
    edge = (
        view.origin + view.step * view.width * side if rng.random() < 0.5 else view.origin + view.step * view.height * side * 1j
    )
    way = along * 1j if edge == view.origin + view.step * view.width * side else along
    inward = (along if way != along else along * 1j) * (1 if side < 0.5 else -1)
    ticks = np.arange(0, width_mm, 0.5)
    return [
        (edge + way * tick + inward * np.array([0, 0.9 if n % 10 == 0 else 0.5 if n % 2 == 0 else 0.3]), 0.07)
        for n, tick in enumerate(ticks)
    ]


def _shade(colour: Field, own: np.random.Generator, rng: np.random.Generator) -> Field:
    """Uneven light, and the dark edge of a round lens."""
    height, width = colour.shape[:2]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * np.float32(height / width)
    slope = rng.normal(0, 0.06, 2).astype(np.float32)
    centre = rng.normal(0, 0.06, 2).astype(np.float32)
    distance = np.hypot(x - centre[0], y - centre[1])
    light = 1 + slope[0] * x + slope[1] * y - np.float32(abs(own.normal(0, 0.14))) * distance**2
    round_lens, reach = own.random() < 0.16, own.uniform(0.88, 1.12) * np.exp(rng.normal(0, 0.03))
    if round_lens:
        light = light * (np.float32(0.06) + np.float32(0.94) * step_down(distance, float(reach), 0.06))
    return np.asarray(colour * (light * np.float32(np.exp(rng.normal(0, 0.07))))[..., None], np.float32)


def _expose(colour: Field, own: np.random.Generator, rng: np.random.Generator) -> Image.Image:
    """Tone curve, focus, sensor noise, 8 bit."""
    contrast, gain = np.float32(own.uniform(0.85, 1.25)), np.float32(own.uniform(0.85, 1.05))
    colour = np.clip(colour * gain, 0, 1) ** contrast
    grain = rng.normal(0, 0.004 + 0.012 * rng.random(), colour.shape[:2]).astype(np.float32)
    pixels = np.asarray(np.clip(colour * 255 + 255 * grain[..., None], 0, 255) + np.float32(0.5), np.uint8)
    blur = abs(rng.normal(0, 0.4)) * colour.shape[1] / 200
    image = Image.fromarray(pixels)
    return image.filter(ImageFilter.GaussianBlur(blur)) if blur > 0.3 else image
