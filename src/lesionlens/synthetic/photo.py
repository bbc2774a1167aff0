"""The dermatoscope: skin around a lesion, light, hairs, rulers, bubbles, lens and sensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from lesionlens.core.seeds import generator
from lesionlens.synthetic.canvas import Pigments
from lesionlens.synthetic.fields import Field, View, cells, curve, noise, spots, step_down, strokes
from lesionlens.synthetic.lesions import paint_lesion
from lesionlens.synthetic.looks import Look, draw_look

ABSORPTION = np.array(
    [
        [0.46, 0.80, 1.10],  # melanin
        [0.20, 0.80, 0.62],  # blood
        [0.95, 0.75, 0.42],  # dermal melanin
        [0.06, 0.20, 0.50],  # keratin
    ],
    np.float32,
)
"""Absorption of red, green and blue light per unit of each pigment."""
SCATTER = np.array([0.95, 0.88, 0.86], np.float32)
"""Colour of what is white."""
CAMERAS = ((1.0, 0.94, 0.93), (0.96, 0.89, 0.98), (1.02, 0.88, 0.84), (0.95, 0.94, 0.87), (1.05, 1.0, 1.02))
"""White balances met in HAM10000: neutral, lilac, salmon, greenish grey, bright."""
CAMERA_SHARES = (0.3, 0.25, 0.2, 0.1, 0.15)


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
    _paint_skin(view, own, pigments)
    colour = _paint_things(_develop(pigments, own, rng), view, rng)
    return _expose(_shade(colour, own, rng), own, rng), pigments.inside < 1


def _frame(look: Look, own: np.random.Generator, rng: np.random.Generator, width: int, height: int) -> View:
    field_mm = look.radius * np.clip(4.3 * np.exp(own.normal(0, 0.32)), 2.7, 9) * np.exp(rng.normal(0, 0.18))
    field_mm = float(np.clip(field_mm, 7, 30))
    centre = complex(rng.normal(0, 0.06), rng.normal(0, 0.05)) * field_mm
    return View.of(width, height, centre, field_mm, rng.uniform(0, 2 * np.pi))


def _paint_skin(view: View, own: np.random.Generator, pigments: Pigments) -> None:
    """The skin that the lesion lies in: its tone, lines, freckles, small vessels and pores."""
    tone = own.choice([0.05, 0.12, 0.24, 0.55], p=[0.40, 0.36, 0.17, 0.07]) * own.uniform(0.7, 1.3)
    flush = own.choice([0.14, 0.25, 0.4], p=[0.45, 0.38, 0.17]) * own.uniform(0.7, 1.3)
    lines = noise(view, own, 0.3, 2)
    pigments.melanin += np.float32(tone) * np.exp(np.float32(0.2) * noise(view, own, 5.0, 3)) + np.float32(0.018) * lines
    pigments.blood += np.float32(flush) * np.exp(np.float32(0.14) * noise(view, own, 3.5, 4)) + np.float32(0.016) * lines
    freckled, veined, pored = own.random(3) < (0.25, 0.22, 0.18)
    strengths = own.uniform(0.4, 1.0, 3).astype(np.float32)
    if freckled:
        pigments.melanin += np.float32(0.22) * strengths[0] * step_down(-noise(view, own, 1.8, 3), -0.9, 0.9)
    if veined:
        here = np.clip(noise(view, own, 4.0) + np.float32(0.3), 0, 1)
        pigments.blood += np.float32(0.5) * strengths[1] * step_down(np.abs(noise(view, own, 1.6, 3)), 0.06, 0.14) * here
    if pored:
        nearest, _, _ = cells(*view.xy, own, own.uniform(0.8, 1.3), 0.85)
        pigments.dermal += np.float32(0.3) * strengths[2] * step_down(nearest, 0.08, 0.07)


def _develop(pigments: Pigments, own: np.random.Generator, rng: np.random.Generator) -> Field:
    """Light that comes back through the pigments (Beer and Lambert), as a camera sees it with its own white balance."""
    amounts = np.stack([pigments.melanin, pigments.blood, pigments.dermal, pigments.keratin], axis=-1)
    through = np.exp(-(amounts.reshape(-1, 4) @ ABSORPTION)).reshape(*amounts.shape[:2], 3)
    white = np.clip(pigments.white, 0, 0.85)[..., None]
    haze = np.float32(own.uniform(0.04, 0.11))
    colour = (through * (1 - white) + SCATTER * white) * (1 - haze) + haze
    style = CAMERAS[int(own.choice(len(CAMERAS), p=CAMERA_SHARES))]
    balance = np.array(style) * np.exp(own.normal(0, 0.025, 3) + rng.normal(0, 0.015, 3))
    return np.asarray(colour * balance.astype(np.float32), np.float32)


def _paint_things(colour: Field, view: View, rng: np.random.Generator) -> Field:
    """A pen's mark, hairs, a ruler and gel bubbles, each in some photographs."""
    width_mm = abs(view.step) * view.width
    for chance, draw in ((0.03, _mark), (0.4, _hair), (0.12, _ruler), (0.15, _bubbles)):
        if rng.random() < chance:
            colour = draw(colour, view, rng, width_mm)
    return colour


def _mark(colour: Field, view: View, rng: np.random.Generator, width_mm: float) -> Field:
    start = view.origin + view.step * view.width * complex(rng.uniform(0, 1), 0.03)
    line = curve(rng, start, rng.uniform(0, 2 * np.pi), width_mm * 0.5, 0.6)
    ink = strokes(view, [(line, width_mm * rng.uniform(0.02, 0.04))])[..., None]
    return np.asarray(colour * (1 - ink * np.array([0.5, 0.45, 0.08], np.float32)), np.float32)


def _hair(colour: Field, view: View, rng: np.random.Generator, width_mm: float) -> Field:
    way, n = rng.uniform(0, 2 * np.pi), int(rng.choice([2, 6, 16], p=[0.5, 0.35, 0.15]))
    thickness, length = width_mm * rng.uniform(0.002, 0.006), rng.uniform(0.2, 0.9) * width_mm
    lines = []
    for _ in range(n):
        start = view.origin + view.step * complex(rng.uniform(-0.2, 1) * view.width, rng.uniform(-0.2, 1) * view.height)
        hair = curve(rng, start, way + rng.normal(0, 0.6), length * rng.uniform(0.5, 1.2), 0.4)
        lines.append((hair, thickness * rng.uniform(0.7, 1.3)))
    cover = strokes(view, lines)[..., None] * np.float32(rng.uniform(0.5, 0.95))
    shade = np.array([0.16, 0.10, 0.09], np.float32) + np.float32(rng.choice([0.0, 0.12, 0.6], p=[0.65, 0.25, 0.10]))
    return np.asarray(colour * (1 - cover) + shade * cover, np.float32)


def _ruler(colour: Field, view: View, rng: np.random.Generator, width_mm: float) -> Field:
    upright, far = rng.random(2) < 0.5
    across, down = view.step, view.step * 1j
    edge = view.origin + (across * view.width if upright else down * view.height) * (0.98 if far else 0.02)
    along, inward = (down, across) if upright else (across, down)
    along, inward = along / abs(along), inward / abs(inward) * (-1 if far else 1)
    lengths = width_mm * np.where(np.arange(60) % 10 == 0, 0.06, np.where(np.arange(60) % 2 == 0, 0.035, 0.02))
    lines = [(edge + along * 0.5 * n + inward * np.array([0, length]), width_mm * 0.0045) for n, length in enumerate(lengths)]
    cover = strokes(view, lines)[..., None] * np.float32(rng.uniform(0.35, 0.8))
    return np.asarray(colour * (1 - cover) + np.float32(0.15) * cover, np.float32)


def _bubbles(colour: Field, view: View, rng: np.random.Generator, width_mm: float) -> Field:
    n = int(rng.integers(1, 7))
    across = view.step / abs(view.step)
    places = view.origin + across * width_mm * (rng.random(n) + 0.75j * rng.random(n))
    radii = width_mm * rng.uniform(0.008, 0.04, n)
    ring = spots(view, places, radii, 0.2) - spots(view, places, 0.75 * radii, 0.3)
    glint = spots(view, places + across * radii * (0.4 - 0.4j), 0.25 * radii, 0.8)
    return np.asarray(
        colour * (1 - np.float32(0.1) * ring[..., None]) + np.float32(0.3) * (glint + ring * np.float32(0.3))[..., None]
    )


def _shade(colour: Field, own: np.random.Generator, rng: np.random.Generator) -> Field:
    """Uneven light, and the dark edge of a round lens."""
    height, width = colour.shape[:2]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * np.float32(height / width)
    slope, centre = rng.normal(0, 0.05, 2).astype(np.float32), rng.normal(0, 0.05, 2).astype(np.float32)
    distance = np.hypot(x - centre[0], y - centre[1])
    light = 1 + slope[0] * x + slope[1] * y - np.float32(abs(own.normal(0, 0.16))) * distance**2
    round_lens, reach, edge = own.random() < 0.15, own.uniform(0.9, 1.15) * np.exp(rng.normal(0, 0.03)), own.uniform(0.04, 0.12)
    if round_lens:
        light = light * (np.float32(0.05) + np.float32(0.95) * step_down(distance, float(reach), float(edge)))
    return np.asarray(colour * (light * np.float32(np.exp(rng.normal(0, 0.06))))[..., None], np.float32)


def _expose(colour: Field, own: np.random.Generator, rng: np.random.Generator) -> Image.Image:
    """Tone curve, focus, sensor noise, 8 bit."""
    contrast, gain = np.float32(own.uniform(0.9, 1.3)), np.float32(own.uniform(0.95, 1.12))
    colour = np.clip(colour * gain, 0, 1) ** contrast
    grain = rng.standard_normal(colour.shape[:2], dtype=np.float32) * np.float32(rng.uniform(1, 5))
    pixels = np.asarray(np.clip(colour * (255 + grain[..., None]), 0, 255) + np.float32(0.5), np.uint8)
    blur = (0.45 + abs(rng.normal(0, 0.35))) * colour.shape[1] / 200
    return Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(blur))
