"""What lies on the skin in dermoscopic photographs, drawn: hair, a ruler, bubbles in the gel.

Everything is drawn as a mask at `FINER` times the resolution and scaled down, so edges are smooth at any size. Lengths are
shares of the side. The draws do not depend on how many are shown, so more of them are the same ones and others.
"""

from __future__ import annotations

import cv2
import numpy as np

FINER = 3
MOST = 64  # hairs or bubbles that are drawn, shown or not
HAIR_COLOURS = ((28, 20, 16), (52, 34, 24), (84, 58, 38))  # black, dark brown, brown
HAIR_WIDTH = (0.0035, 0.008)
HAIR_OPACITY = 0.92
MARK_COLOUR, MARK_OPACITY, MARK_WIDTH = (26, 26, 30), 0.88, 0.007
MARK_SPACING = (0.05, 0.085)  # a millimetre
MARK_EDGE = (0.0, 0.08)  # distance of the ruler from the edge of the photograph
BUBBLE_RADIUS = (0.008, 0.045)


def hair(image: np.ndarray, count: float, random: np.random.Generator) -> np.ndarray:
    """Lay hairs over an image: bent strands of one colour that cross it in similar directions.

    Args:
        image: sRGB, uint8 (F, F, 3).
        count: number of hairs, at most `MOST`.
        random: draws colour and strands.
    """
    side = len(image)
    colour = np.array(HAIR_COLOURS[random.integers(len(HAIR_COLOURS))], np.float32)
    direction = random.uniform(0, np.pi)
    strands = [_strand(direction, random) for _ in range(MOST)]
    mask = _blank(side)
    for points, width in strands[: int(count)]:
        pixels = np.round(points * FINER * side * 16).astype(np.int32)  # 4 bits of fraction
        cv2.polylines(mask, [pixels], False, 255, max(1, round(width * FINER * side)), cv2.LINE_AA, shift=4)
    return _over(image, colour, HAIR_OPACITY * _scaled(mask, side))


def _strand(direction: float, random: np.random.Generator) -> tuple[np.ndarray, float]:
    """Points of a bent strand, shares of the side (P, 2), and its width."""
    angle = direction + random.normal(0, 0.5)
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    middle, length, bend = random.uniform(0, 1, 2), random.uniform(0.35, 1.3), random.normal(0, 0.12)
    t = np.linspace(-0.5, 0.5, 24)[:, None]
    points = middle + length * t * along + bend * (1 - 4 * t**2) * across
    return points, float(random.uniform(*HAIR_WIDTH))


def ruler(image: np.ndarray, percent: float, random: np.random.Generator) -> np.ndarray:
    """Lay the millimetre marks of a ruler along one edge; every fifth mark is half as long again.

    Args:
        image: sRGB, uint8 (F, F, 3).
        percent: length of the marks, per cent of the side.
        random: draws edge, spacing, place and tilt.
    """
    side, length = len(image), percent / 100
    edge, spacing = random.integers(4), random.uniform(*MARK_SPACING)
    start, distance, tilt = random.uniform(0, spacing), random.uniform(*MARK_EDGE), random.normal(0, 0.04)
    mask = _blank(side)
    for number, place in enumerate(np.arange(start, 1, spacing)):
        base = distance + tilt * (place - 0.5)
        ends = np.array([[place, base], [place, base + length * (1.5 if number % 5 == 0 else 1.0)]])
        pixels = np.round(ends * FINER * side * 16).astype(np.int32)
        cv2.line(mask, pixels[0].tolist(), pixels[1].tolist(), 255, max(1, round(MARK_WIDTH * FINER * side)), cv2.LINE_AA, 4)
    return _over(image, np.array(MARK_COLOUR, np.float32), MARK_OPACITY * np.rot90(_scaled(mask, side), int(edge)))


def bubbles(image: np.ndarray, count: float, random: np.random.Generator) -> np.ndarray:
    """Put bubbles into the gel: a dark rim, a bright one inside it, and a reflection.

    Args:
        image: sRGB, uint8 (F, F, 3).
        count: number of bubbles, at most `MOST`.
        random: draws places and sizes; small bubbles are more frequent than large ones.
    """
    side = len(image)
    places = random.uniform(0, 1, (MOST, 2))
    smallest, largest = (float(np.log(radius)) for radius in BUBBLE_RADIUS)
    radii = np.exp(random.uniform(smallest, largest, MOST))
    dark, bright = _blank(side), _blank(side)
    for (x, y), radius in zip(places[: int(count)], radii[: int(count)], strict=True):
        _ring(dark, (x, y), radius, 0.22 * radius, side)
        _ring(bright, (x, y), 0.78 * radius, 0.18 * radius, side)
        _ring(bright, (x - 0.35 * radius, y - 0.35 * radius), 0.14 * radius, 0.28 * radius, side)
    shaded = _over(image, np.zeros(3, np.float32), 0.45 * _scaled(dark, side))
    return _over(shaded, np.full(3, 255, np.float32), 0.75 * _scaled(bright, side))


def _ring(mask: np.ndarray, centre: tuple[float, float], radius: float, width: float, side: int) -> None:
    scale = FINER * side
    x, y = (round(16 * scale * value) for value in centre)
    cv2.circle(mask, (x, y), round(16 * scale * radius), 255, max(1, round(scale * width)), cv2.LINE_AA, 4)


def _blank(side: int) -> np.ndarray:
    return np.zeros((FINER * side, FINER * side), np.uint8)


def _scaled(mask: np.ndarray, side: int) -> np.ndarray:
    """Coverage of each pixel, (side, side), in [0, 1]."""
    return np.asarray(cv2.resize(mask, (side, side), interpolation=cv2.INTER_AREA) / np.float32(255))


def _over(image: np.ndarray, colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Lay a colour over an image with opacity `alpha` (F, F)."""
    share = alpha[..., None]
    return np.asarray(np.rint((1 - share) * image + share * colour).astype(np.uint8))
