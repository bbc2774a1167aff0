"""Drawn photographs without a dermatoscope, to teach a gate the difference.

Each begins with a dermoscopic image: its lesion is laid on drawn skin, further away, in a room's light. What tells such a
photograph from dermoscopy is drawn: wrinkles, glints, shadows, the edge of a limb, fingers, rulers, pen marks, dense hair.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from lesionlens.core.seeds import generator
from lesionlens.synthetic.patterns import Line, View, curve, noise, step_down, strokes, view_around

Random = np.random.Generator
Photo = NDArray[np.float32]
"""Red, green and blue of every pixel, shape (S, S, 3), 1 for white."""

ITA_DEG = (-50.0, 65.0)
"""Individual typology angles that drawn skin may have, from dark to very light (Chardon 1991)."""
GROUNDS = ((0.9, 0.9, 0.88), (0.25, 0.4, 0.65), (0.15, 0.15, 0.17), (0.45, 0.6, 0.5), (0.5, 0.38, 0.3))
"""What lies behind a limb: paper, blue cloth, shadow, green cloth, wood."""
PENS = ((0.25, 0.22, 0.6), (0.12, 0.12, 0.14), (0.15, 0.35, 0.7))


def clinical_photo(kind: str, number: int, dermoscopic: np.ndarray, ita_deg: float | None = None) -> np.ndarray:
    """Draw one photograph; a function of its arguments alone.

    Args:
        kind: a key of `KINDS`.
        number: seed of everything that varies.
        dermoscopic: the image that gives the lesion, uint8 (S, S, 3).
        ita_deg: tone of the skin as its individual typology angle, degrees; drawn from `ITA_DEG` if None.

    Returns:
        The photograph, uint8 (S, S, 3).

    Example:
        >>> clinical_photo("bare_skin", 0, np.zeros((64, 64, 3), np.uint8)).shape
        (64, 64, 3)
    """
    random = generator("clinical photo", kind, number)
    side = len(dermoscopic)
    view = view_around(0j, float(random.uniform(25, 90)), float(random.uniform(0, 2 * math.pi)), side, side)
    photo = draw_skin(view, random, float(random.uniform(*ITA_DEG)) if ita_deg is None else ita_deg)
    for draw in KINDS[kind]:
        photo = draw(photo, view, random, dermoscopic)
    return _expose(_room_light(photo, view, random), random)


def draw_skin(view: View, random: Random, ita_deg: float) -> Photo:
    """Skin of a tone, with wrinkles, pores and blotches."""
    yellow = float(random.uniform(12, 22)) * (1 if ita_deg > -20 else 0.7)
    lightness = float(np.clip(50 + yellow * math.tan(math.radians(ita_deg)), 15, 88))
    lab = np.empty((view.height, view.width, 3), np.float32)
    lab[..., 0] = lightness + 1.5 * noise(view, random, 12, 3)
    lab[..., 1] = random.uniform(6, 16) + 1.5 * noise(view, random, 7, 3)
    lab[..., 2] = yellow + 1.2 * noise(view, random, 9, 2)
    relief = random.uniform(0.5, 7) * _wrinkles(view, random) + random.uniform(0.3, 2.5) * noise(view, random, 0.9, 2)
    lab[..., 0] += relief * lightness / 60
    return np.asarray(np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1), np.float32)


def _wrinkles(view: View, random: Random) -> NDArray[np.float32]:
    """Lines of the skin: ridged noise, stretched along one direction."""
    angle, stretch = random.uniform(0, math.pi), random.uniform(1, 4)
    step = view.step * complex(math.cos(angle), math.sin(angle))
    turned = View(view.width, view.height, view.origin, step)
    ridges = 1 - np.abs(noise(turned, random, random.uniform(1.5, 4), 3)) * 1.5
    fine = 1 - np.abs(noise(view, random, random.uniform(0.8, 2), 2)) * 1.5
    return np.asarray((stretch * ridges + fine) / (1 + stretch), np.float32)


def _lesion(photo: Photo, view: View, random: Random, dermoscopic: np.ndarray) -> Photo:
    """The lesion, further away: its contrast to the skin around it, laid on the drawn skin."""
    side = len(dermoscopic)
    small = max(8, round(side * random.uniform(0.15, 0.6)))
    image = cv2.resize(dermoscopic, (small, small), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    rim = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    contrast = np.clip((image + 0.02) / (np.median(rim, axis=0) + 0.02), 0, 1.4)
    x = np.linspace(-1, 1, small, dtype=np.float32)
    cover = step_down(np.hypot(x[None], x[:, None]), 0.8, 0.2)[..., None] * np.float32(random.uniform(0.6, 1))
    left, top = (int(each) for each in random.integers(0, side - small + 1, 2))
    place = (slice(top, top + small), slice(left, left + small))
    photo = photo.copy()
    photo[place] *= 1 - cover + cover * contrast
    return photo


def _close_lesion(photo: Photo, view: View, random: Random, dermoscopic: np.ndarray) -> Photo:
    """The lesion fills the picture as in dermoscopy, but its fine structure is lost under the surface's reflections."""
    side = len(dermoscopic)
    blurred = cv2.GaussianBlur(dermoscopic, (0, 0), side * random.uniform(0.006, 0.02)).astype(np.float32) / 255
    rim = np.concatenate([blurred[0], blurred[-1], blurred[:, 0], blurred[:, -1]])
    contrast = np.clip((blurred + 0.05) / (np.median(rim, axis=0) + 0.05), 0, 1.3)
    return np.asarray(photo * (1 + random.uniform(0.5, 0.9) * (contrast - 1)), np.float32)


def _limb_edge(photo: Photo, view: View, random: Random, dermoscopic: np.ndarray) -> Photo:
    """The edge of an arm or a face, and what lies behind it; the skin darkens towards the edge."""
    x, y = _unit_square(view)
    angle, bend, place = random.uniform(0, 2 * math.pi), random.uniform(-0.4, 0.4), random.uniform(0.2, 0.8)
    across = x * math.cos(angle) + y * math.sin(angle) + bend * (y * math.cos(angle) - x * math.sin(angle)) ** 2
    across += 0.02 * noise(view, random, 15, 2)
    shade = 1 - 0.6 * np.exp(-np.maximum(place - across, 0) / random.uniform(0.1, 0.4))
    behind = step_down(np.asarray(-across, np.float32), -place, 0.01)
    return _cover(np.asarray(photo * shade[..., None], np.float32), behind, _ground(view, random))


def _finger(photo: Photo, view: View, random: Random, dermoscopic: np.ndarray) -> Photo:
    """One to three fingers or gloved fingertips that come in from the border."""
    gloved = random.random() < 0.4
    tone = draw_skin(view, random, float(random.uniform(*ITA_DEG)))
    if gloved:
        tone = np.asarray(
            0.25 * tone + 0.75 * np.array([(0.75, 0.8, 0.9), (0.3, 0.5, 0.8), (0.9, 0.88, 0.8)][random.integers(3)])
        )
    x, y = _unit_square(view)
    angle, width = random.uniform(0, 2 * math.pi), random.uniform(0.18, 0.3)
    for number in range(int(random.integers(1, 4))):
        along = x * math.cos(angle) + y * math.sin(angle) - random.uniform(0.2, 0.7)
        across = y * math.cos(angle) - x * math.sin(angle) - (number - 1) * 2.1 * width + random.uniform(-0.1, 0.1)
        distance = np.asarray(np.hypot(np.minimum(along, 0), across) / width, np.float32)
        shaded = tone * (1 - 0.45 * np.clip(distance, 0, 1) ** 2)[..., None]
        photo = _cover(photo * (1 - 0.3 * step_down(distance, 1.2, 0.2))[..., None], step_down(distance, 1, 0.03), shaded)
    return photo


def _ruler(photo: Photo, view: View, random: Random, dermoscopic: np.ndarray) -> Photo:
    """A paper ruler with ticks at every millimetre."""
    edge = random.uniform(0.3, 0.85) * (1 if random.random() < 0.5 else -1)
    step = view.width / float(random.uniform(25, 70))  # pixels
    upright = random.random() < 0.5
    paper, ink = np.array(random.uniform(0.75, 1, 3).mean() + random.normal(0, 0.03, 3)), np.zeros(3)
    flat = View(view.width, view.height, 0j, 1 + 0j)
    start, inwards = (edge + 1) / 2 * view.width, math.copysign(1, edge)
    lines: list[Line] = []
    for number in range(int(view.width / step) + 1):
        depth = start + inwards * step * (3 if number % 10 == 0 else 1.5) * np.array([0.0, 1.0])
        place = np.full(2, number * step)
        lines.append((place + 1j * depth if upright else depth + 1j * place, max(0.6, step * 0.12)))
    x, y = _unit_square(view)
    covered = _cover(
        photo, step_down(-inwards * (y if upright else x), -inwards * edge, 0.01), np.broadcast_to(paper, photo.shape)
    )
    return _cover(covered, strokes(flat, lines), np.broadcast_to(ink, photo.shape))


def _pen(photo: Photo, view: View, random: Random, dermoscopic: np.ndarray) -> Photo:
    """Strokes of a surgical pen around the middle."""
    lines: list[Line] = []
    width_mm = abs(view.step) * view.width
    for bearing in random.uniform(0, 2 * math.pi, int(random.integers(2, 7))):
        start = width_mm * random.uniform(0.2, 0.45) * np.exp(1j * bearing)
        lines.append(
            (curve(random, complex(start), bearing + math.pi / 2, width_mm * 0.2, 0.5), width_mm * random.uniform(0.006, 0.015))
        )
    shade = np.array(PENS[int(random.integers(len(PENS)))])
    return _cover(photo, strokes(view, lines) * np.float32(random.uniform(0.4, 0.9)), np.broadcast_to(shade, photo.shape))


def _hair(photo: Photo, view: View, random: Random, dermoscopic: np.ndarray) -> Photo:
    """Dense hair as on a scalp or a forearm, dark, fair or grey."""
    width_mm, angle = abs(view.step) * view.width, random.uniform(0, 2 * math.pi)
    shade = np.array([(0.1, 0.08, 0.07), (0.35, 0.25, 0.15), (0.75, 0.75, 0.7)][int(random.integers(3))])
    lines: list[Line] = []
    for column, row in random.uniform(-0.1, 1.1, (int(random.integers(30, 160)), 2)) * view.width:
        start, length = complex(view.places(column, row)), width_mm * random.uniform(0.1, 0.5)
        lines.append((curve(random, start, angle + random.normal(0, 0.8), length, 0.6), width_mm * random.uniform(0.002, 0.005)))
    return _cover(photo, strokes(view, lines) * np.float32(random.uniform(0.5, 0.9)), np.broadcast_to(shade, photo.shape))


def _glints(photo: Photo, view: View, random: Random, dermoscopic: np.ndarray) -> Photo:
    """Reflections of a lamp or flash on the relief of the skin, which a dermatoscope's polariser or gel removes."""
    if random.random() < 0.4:
        return photo
    place, reach = random.uniform(-0.6, 0.6, 2), random.uniform(0.3, 0.9)
    x, y = _unit_square(view)
    lit = np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / reach**2)
    relief = np.clip(noise(view, random, 0.7, 2) + 0.7 * _wrinkles(view, random) - random.uniform(0.6, 1.4), 0, None)
    return np.asarray(photo + (random.uniform(0.2, 0.6) * lit * relief + random.uniform(0, 0.15) * lit)[..., None], np.float32)


Draw = Callable[[Photo, View, Random, np.ndarray], Photo]
KINDS: dict[str, tuple[Draw, ...]] = {
    "bare_skin": (_glints,),
    "further_away": (_lesion, _glints),
    "close_up": (_close_lesion, _glints),
    "limb_edge": (_lesion, _limb_edge),
    "finger": (_lesion, _glints, _finger),
    "ruler": (_lesion, _ruler),
    "pen": (_lesion, _pen, _glints),
    "hair": (_lesion, _hair),
}


def _ground(view: View, random: Random) -> Photo:
    colour = np.array(GROUNDS[int(random.integers(len(GROUNDS)))]) * random.uniform(0.6, 1.1)
    texture = 1 + 0.08 * noise(view, random, random.uniform(1, 6), 3)
    return np.asarray(colour * texture[..., None], np.float32)


def _cover(photo: Photo, share: NDArray[np.float32], over: NDArray[np.floating]) -> Photo:
    return np.asarray(photo * (1 - share[..., None]) + over * share[..., None], np.float32)


def _unit_square(view: View) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    x = np.linspace(-1, 1, view.width, dtype=np.float32)
    return np.broadcast_to(x[None], (view.height, view.width)), np.broadcast_to(x[:, None], (view.height, view.width))


def _room_light(photo: Photo, view: View, random: Random) -> Photo:
    """Uneven light of a room or a flash, with its colour."""
    x, y = _unit_square(view)
    angle, fall = random.uniform(0, 2 * math.pi), random.uniform(0, 0.35)
    light = 1 + fall * (x * math.cos(angle) + y * math.sin(angle)) - random.uniform(0, 0.25) * (x**2 + y**2)
    colour = np.exp(random.normal(0, 0.06, 3))
    return np.asarray(photo * light[..., None] * colour, np.float32)


def _expose(photo: Photo, random: Random) -> np.ndarray:
    gain, grain = random.uniform(0.8, 1.15), random.uniform(0.5, 3)
    pixels = 255 * np.clip(photo * gain, 0, 1) + grain * random.standard_normal(photo.shape)
    sigma = 0.3 + abs(float(random.normal(0, 0.5)))
    return np.asarray(cv2.GaussianBlur(np.clip(pixels + 0.5, 0, 255).astype(np.uint8), (0, 0), sigma))
