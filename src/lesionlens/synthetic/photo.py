"""Photographs of drawn lesions: the signs of each diagnosis on skin, seen through a dermatoscope.

The words are those of the dermoscopic literature (Kittler et al., J. Am. Acad. Dermatol. 74:1093, 2016). Everything is
drawn as amounts of what colours skin; its colour in the photograph depends on the skin, the light and the camera.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from lesionlens.core.seeds import generator
from lesionlens.synthetic import patterns
from lesionlens.synthetic.patterns import Field, Line, View, noise, step_down, strokes

Colour = NDArray[np.float32]
"""Red, green and blue light of every pixel, shape (height, width, 3), 1 for white."""
Pigments = NDArray[np.float32]
"""Melanin, blood, melanin deep in the skin, keratin and white of every pixel, shape (5, height, width)."""
Pattern = Callable[["Ground", np.random.Generator], Field]

PROPERTIES = ("radius", "ragged", "softness", "shades", "melanin", "blood", "keratin")
MEANS = {
    "nv": (2.8, 0.04, 0.24, 0.2, 0.9, 0.2, 0.0),
    "mel": (3.9, 0.13, 0.16, 0.8, 1.0, 0.3, 0.0),
    "bkl": (3.5, 0.08, 0.08, 0.4, 0.5, 0.1, 0.7),
    "bcc": (3.1, 0.07, 0.30, 0.4, 0.1, 0.4, 0.0),
    "akiec": (3.9, 0.12, 0.35, 0.7, 0.25, 0.6, 0.3),
    "vasc": (2.0, 0.04, 0.12, 0.2, 0.0, 1.3, 0.0),
    "df": (3.1, 0.05, 0.50, 0.2, 0.5, 0.3, 0.0),
}
"""Mean of each of the `PROPERTIES`, which every lesion has.

The radius is in mm; raggedness and softness of the border are shares of it; shades are the contrast within the lesion.
"""
SIGNS_OF = {
    "nv": {"network": 0.7, "globules": 0.5},
    "mel": {"network": 0.5, "blotch": 0.7, "veil": 0.8},
    "bkl": {"fissures": 0.8, "cysts": 0.8},
    "bcc": {"nests": 0.7, "vessels": 0.8},
    "akiec": {"follicles": 0.8, "scale": 0.7},
    "vasc": {"lacunae": 0.8, "veil": 0.3},
    "df": {"network": 0.5, "patch": 0.8},
}
"""Mean strength of the signs that a lesion may have; 1 is plain to see."""
PRESENT, SPREAD = 0.8, 0.5
"""Probability of each sign, and the share of its mean by which each property and sign varies up and down."""
ATYPICAL, ATYPICAL_MIX = 0.15, (0.3, 0.6)
"""Share of lesions that look partly like another diagnosis, and how much: no classifier can be perfect."""

ABSORPTION = np.array([[0.46, 0.80, 1.10], [0.20, 0.80, 0.62], [0.95, 0.75, 0.42], [0.06, 0.20, 0.50]], np.float32)
"""Absorption of red, green and blue light per unit of melanin, blood, melanin deep in the skin, and keratin."""
SCATTER = np.array([0.95, 0.88, 0.86], np.float32)
"""Colour of scale, scars and cysts, the fifth pigment, as the share of light that they scatter back."""
CAMERAS = ((1.0, 0.94, 0.93), (0.96, 0.89, 0.98), (1.02, 0.88, 0.84), (0.95, 0.94, 0.87), (1.05, 1.0, 1.02))
"""White balances of HAM10000: neutral, lilac, salmon, greenish grey, bright."""
CAMERA_SHARES = (0.3, 0.25, 0.2, 0.1, 0.15)


@dataclass(frozen=True)
class Lesion:
    """One drawn lesion: the seed of the data set, its own id, its diagnosis."""

    seed: int
    lesion_id: str
    dx: str


@dataclass(frozen=True)
class Ground:
    """What a sign is drawn on: the lesion's look, the view of the camera, and `inside`, the `lesion_distance`."""

    look: dict[str, float]
    view: View
    inside: Field


def take_photo(lesion: Lesion, number: int, width: int, height: int) -> tuple[Image.Image, NDArray[np.bool_]]:
    """One photograph of a lesion: a function of its arguments alone.

    Args:
        lesion: which one.
        number: of the photograph; another one has another framing, rotation, light and hairs.
        width: pixels.
        height: pixels.

    Returns:
        The RGB image, and the lesion's exact mask of shape (height, width).
    """
    seeds = (lesion.seed, "synthetic", lesion.dx, lesion.lesion_id)
    own, rng = generator(*seeds), generator(*seeds, number)  # what all photographs share, and what is this one's
    look = draw_look(own, lesion.dx)
    width_mm = look["radius"] * np.clip(4.3 * math.exp(own.normal(0, 0.32)), 2.7, 9) * math.exp(rng.normal(0, 0.18))
    width_mm = float(np.clip(width_mm, 7, 30))
    centre = width_mm * complex(rng.normal(0, 0.06), rng.normal(0, 0.05))
    view = patterns.view_around(centre, width_mm, rng.uniform(0, 2 * math.pi), width, height)
    ground = Ground(look, view, lesion_distance(look, view, own))
    colour = _develop(paint_lesion(ground, int(own.integers(2**62))) + _skin(view, own), own, rng)
    for probability, draw in ((0.4, _hair), (0.15, _ruler)):
        if rng.random() < probability:
            colour = draw(colour, view, rng)
    return _expose(colour * _light(view, own, rng)[..., None], own, rng), ground.inside < 1


def draw_look(rng: np.random.Generator, dx: str) -> dict[str, float]:
    """The properties and signs of one lesion with diagnosis `dx`."""
    own, other = _typical_look(rng, dx), _typical_look(rng, str(rng.choice([code for code in MEANS if code != dx])))
    atypical, share = rng.random() < ATYPICAL, rng.uniform(*ATYPICAL_MIX)
    return {name: (1 - share) * own[name] + share * other[name] for name in own} if atypical else own


def _typical_look(rng: np.random.Generator, dx: str) -> dict[str, float]:
    look = dict(zip(PROPERTIES, MEANS[dx], strict=True))
    look |= {sign: SIGNS_OF[dx].get(sign, 0.0) * (rng.random() < PRESENT) for sign in SIGNS if sign not in PROPERTIES}
    return {name: mean * rng.uniform(1 - SPREAD, 1 + SPREAD) for name, mean in look.items()}


def lesion_distance(look: dict[str, float], view: View, rng: np.random.Generator) -> Field:
    """Distance from the lesion's centre over the distance of its border in that direction: below 1 inside."""
    angle, stretch = rng.uniform(0, math.pi), math.sqrt(rng.uniform(1.0, 1.6))
    x, y = view.xy
    along = (x * math.cos(angle) + y * math.sin(angle)) / stretch
    across = (y * math.cos(angle) - x * math.sin(angle)) * stretch
    border, bearing = 1 + 0.6 * look["ragged"] * noise(view, rng, look["radius"] * 0.3, 3), np.arctan2(across, along)
    for wave in range(2, 7):
        height, phase = look["ragged"] * rng.uniform(0.7, 2.7) / wave, rng.uniform(0, 2 * math.pi)
        border += height * np.cos(wave * bearing + phase)
    return np.asarray(np.hypot(along, across) / (look["radius"] * np.maximum(border, 0.3)), np.float32)


def _shades(ground: Ground, rng: np.random.Generator) -> Field:
    """The lesion's own colour, with darker and lighter areas and a darker side."""
    look, (x, y), side = ground.look, ground.view.xy, rng.uniform(0, 2 * math.pi)
    tilt = 0.6 * look["shades"] / look["radius"] * (x * math.cos(side) + y * math.sin(side))
    shades = (0.1 + 0.7 * look["shades"]) * noise(ground.view, rng, look["radius"] * 0.6, 4)
    middle = rng.uniform(-0.5, 0.6) * (0.6 - ground.inside)
    return np.asarray(np.exp(np.clip(shades + tilt + middle, -2, 1.1)), np.float32)


def _net(ground: Ground, rng: np.random.Generator) -> Field:
    """Brown lines around paler holes; thick and uneven where the lesion has many shades."""
    uneven = ground.look["shades"]
    x, y = patterns.warped(ground.view, rng, 0.8, 0.08 + 0.1 * uneven)
    net = patterns.honeycomb(x, y, rng.uniform(0.32, 0.48)) ** (1.7 - 0.8 * uneven) - np.float32(0.45)
    places = np.clip(0.8 + (0.3 + uneven) * noise(ground.view, rng, ground.look["radius"] * 0.5, 2), 0, 1.6)
    return np.asarray(net * places, np.float32)


def _folds(ground: Ground, rng: np.random.Generator) -> Field:
    """Ridges and fissures, like the surface of a brain."""
    x, y = patterns.warped(ground.view, rng, 1.3, 0.45)
    angle, period = rng.uniform(0, math.pi), rng.uniform(0.55, 0.95)
    distance = x * math.cos(angle) + y * math.sin(angle)
    return np.asarray(np.cos(2 * math.pi / period * distance + 1.3 * noise(ground.view, rng, 0.7, 3)), np.float32)


def _dots(ground: Ground, rng: np.random.Generator, spacing: float, size: float, share: float) -> Field:
    """Round spots about `spacing` mm apart, of different sizes around `size` of it; a `share` of the places has one."""
    nearest, value = patterns.cells(*patterns.warped(ground.view, rng, 1.0, 0.1), rng, spacing * rng.uniform(0.8, 1.25))
    return step_down(nearest / (size * (0.5 + value / share)), 1, 0.5) * (value < share)


def _areas(ground: Ground, rng: np.random.Generator, spacing: float, edge: float) -> Field:
    """Irregular areas; a larger `edge` covers more."""
    return step_down(noise(ground.view, rng, spacing, 3), edge, 0.7)


def _vessels(ground: Ground, rng: np.random.Generator) -> Field:
    """Thick and thin vessels that come in from the border."""
    radius, lines = ground.look["radius"], list[Line]()
    for bearing in rng.uniform(0, 2 * math.pi, int(rng.integers(6, 14))):
        start, inwards = radius * rng.uniform(0.3, 1.1) * np.exp(1j * bearing), bearing + math.pi + rng.normal(0, 0.9)
        line = patterns.curve(rng, start, inwards, radius * rng.uniform(0.3, 1.4), 0.8)
        lines.append((line, radius * rng.uniform(0.01, 0.045)))
    return strokes(ground.view, lines)


def _patch(ground: Ground, rng: np.random.Generator) -> Field:
    """An irregular area at the centre."""
    edge = ground.inside + 0.14 * noise(ground.view, rng, ground.look["radius"] * 0.4, 3)
    return step_down(edge, rng.uniform(0.25, 0.5), 0.3)


SIGNS: dict[str, tuple[Pattern, tuple[float, ...]]] = {
    "melanin": (_shades, (1.0, 0.0, 0.0, 0.0, 0.0)),
    "blood": (_shades, (0.0, 1.0, 0.0, 0.0, 0.0)),
    "keratin": (_shades, (0.0, 0.0, 0.0, 1.0, 0.0)),
    "network": (_net, (0.6, 0.0, 0.0, 0.0, 0.0)),
    "globules": (partial(_dots, spacing=0.5, size=0.3, share=0.85), (0.8, 0.0, 0.0, 0.0, 0.0)),
    "fissures": (_folds, (0.35, 0.0, 0.0, -0.2, 0.0)),
    "lacunae": (partial(_dots, spacing=1.1, size=0.42, share=1), (0.0, 1.0, 0.4, 0.0, 0.0)),
    "blotch": (partial(_areas, spacing=3.0, edge=-0.4), (1.5, 0.0, 0.0, 0.0, 0.0)),
    "veil": (partial(_areas, spacing=3.5, edge=-0.2), (-0.4, 0.0, 1.0, 0.0, 0.26)),
    "nests": (partial(_dots, spacing=1.6, size=0.35, share=0.5), (0.4, 0.0, 0.9, 0.0, 0.0)),
    "vessels": (_vessels, (0.0, 0.95, 0.0, 0.0, 0.0)),
    "follicles": (partial(_dots, spacing=0.8, size=0.3, share=0.8), (0.0, -0.5, 0.0, 0.3, 0.22)),
    "patch": (_patch, (-0.4, 0.0, 0.0, 0.0, 0.32)),
    "cysts": (partial(_dots, spacing=0.75, size=0.2, share=0.5), (-0.3, 0.0, 0.0, 0.0, 0.5)),
    "scale": (partial(_areas, spacing=1.1, edge=-0.7), (0.0, 0.0, 0.0, 0.2, 0.5)),
}
"""Pattern of each sign, and how much melanin, blood, deep melanin, keratin and white it adds to the lesion."""


def paint_lesion(ground: Ground, seed: int) -> Pigments:
    """The pigments that a lesion adds to skin.

    Args:
        ground: what it is painted on.
        seed: the lesion's own; the geometry of its signs is a function of it and of the look.
    """
    pigments = np.zeros((5, *ground.inside.shape), np.float32)
    body = step_down(ground.inside, 1, ground.look["softness"])
    for sign, (pattern, amounts) in SIGNS.items():
        if strength := ground.look[sign]:
            drawn = body * pattern(ground, generator(seed, sign))
            for pigment, amount in zip(pigments, amounts, strict=True):
                if amount:
                    pigment += strength * amount * drawn
    return np.maximum(pigments, 0)


def _skin(view: View, rng: np.random.Generator) -> Pigments:
    """The skin that the lesion lies in: its tone, flush and lines."""
    tone = rng.choice([0.05, 0.12, 0.24, 0.55], p=[0.40, 0.36, 0.17, 0.07]) * rng.uniform(0.7, 1.3)
    flush = rng.choice([0.14, 0.25, 0.4], p=[0.45, 0.38, 0.17]) * rng.uniform(0.7, 1.3)
    lines = 0.017 * noise(view, rng, 0.3, 2)
    skin = np.zeros((5, view.height, view.width), np.float32)
    skin[0] = tone * np.exp(0.2 * noise(view, rng, 5.0, 3)) + lines
    skin[1] = flush * np.exp(0.14 * noise(view, rng, 3.5, 4)) + lines
    return skin


def _develop(pigments: Pigments, own: np.random.Generator, rng: np.random.Generator) -> Colour:
    """Light that comes back through the pigments (Beer and Lambert), with the white balance of a camera."""
    through = np.exp(-np.einsum("phw,pc->hwc", pigments[:4], ABSORPTION))
    white = np.clip(pigments[4], 0, 0.85)[..., None]
    haze = own.uniform(0.04, 0.11)
    balance = np.array(CAMERAS[int(own.choice(len(CAMERAS), p=CAMERA_SHARES))])
    balance *= np.exp(own.normal(0, 0.025, 3) + rng.normal(0, 0.015, 3))
    return np.asarray(((through * (1 - white) + SCATTER * white) * (1 - haze) + haze) * balance, np.float32)


def _hair(colour: Colour, view: View, rng: np.random.Generator) -> Colour:
    width_mm, lines = abs(view.step) * view.width, list[Line]()
    angle, n = rng.uniform(0, 2 * math.pi), int(rng.choice([2, 6, 16], p=[0.5, 0.35, 0.15]))
    for column, row in rng.uniform(-0.2, 1, (n, 2)) * (view.width, view.height):
        length, thickness = width_mm * rng.uniform(0.2, 1.0), width_mm * rng.uniform(0.002, 0.006)
        lines.append((patterns.curve(rng, complex(view.places(column, row)), angle + rng.normal(0, 0.6), length, 0.4), thickness))
    shade = np.array([0.16, 0.10, 0.09]) + rng.choice([0.0, 0.12, 0.6], p=[0.65, 0.25, 0.10])
    return _ink(colour, strokes(view, lines) * rng.uniform(0.5, 0.95), shade)


def _ruler(colour: Colour, view: View, rng: np.random.Generator) -> Colour:
    """Ticks every half millimetre along one edge, the tenth ones long."""
    upright, far = rng.random(2) < 0.5
    mm = 1 / abs(view.step)  # pixels
    side, room = (view.width, view.height) if upright else (view.height, view.width)
    lines: list[Line] = []
    for number in range(int(room / mm * 2)):
        depth = np.array([0.02, 0.08 if number % 10 == 0 else 0.05]) * view.width
        across, along = (side - depth if far else depth), np.full(2, number * mm / 2)
        lines.append((view.places(across, along) if upright else view.places(along, across), 0.0045 * view.width / mm))
    return _ink(colour, strokes(view, lines) * rng.uniform(0.35, 0.8), np.full(3, 0.15))


def _ink(colour: Colour, cover: Field, shade: NDArray[np.float64]) -> Colour:
    """Cover that share of each pixel with one colour."""
    return np.asarray(colour * (1 - cover[..., None]) + shade * cover[..., None], np.float32)


def _light(view: View, own: np.random.Generator, rng: np.random.Generator) -> Field:
    """Uneven light, and with some cameras the dark edge of a round lens."""
    x = np.linspace(-1, 1, view.width, dtype=np.float32)[None] - rng.normal(0, 0.05)
    y = np.linspace(-1, 1, view.height, dtype=np.float32)[:, None] * (view.height / view.width) - rng.normal(0, 0.05)
    distance = np.hypot(x, y)
    light = 1 + rng.normal(0, 0.05) * x + rng.normal(0, 0.05) * y - abs(own.normal(0, 0.16)) * distance**2
    round_lens, edge, softness = own.random() < 0.15, own.uniform(0.9, 1.15), own.uniform(0.04, 0.12)
    if round_lens:
        light *= 0.05 + 0.95 * step_down(distance, edge, softness)
    return np.asarray(light * math.exp(rng.normal(0, 0.06)), np.float32)


def _expose(colour: Colour, own: np.random.Generator, rng: np.random.Generator) -> Image.Image:
    """Tone curve, sensor noise, 8 bits, focus."""
    contrast, gain = own.uniform(0.9, 1.3), own.uniform(0.95, 1.12)
    grain = rng.standard_normal(colour.shape[:2], dtype=np.float32) * np.float32(rng.uniform(1, 5))
    pixels = np.clip(colour * gain, 0, 1) ** contrast * (255 + grain[..., None]) + np.float32(0.5)
    blur = (0.45 + abs(rng.normal(0, 0.35))) * colour.shape[1] / 200
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(blur))
