"""The signs of one lesion, each painted as amounts of what colours the skin."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lesionlens.synthetic.canvas import Canvas, Pigments, prime
from lesionlens.synthetic.fields import Points, View, cells, curve, honeycomb, noise, spots, step_down, strokes, warped
from lesionlens.synthetic.looks import Look

ERYTHEMA_END = 1.65
"""Where the redness around a lesion ends, in distances of the border."""


def paint_lesion(look: Look, seed: int, view: View) -> Pigments:
    """Pigments of the lesion that lies at the origin of the skin's plane.

    Args:
        look: strength of its signs.
        seed: the lesion's own; its geometry is a function of it and of `look`.
        view: where the camera looks.
    """
    pigments = Pigments.none(view)
    half = _reach(look) / abs(view.step)
    middle = view.pixels(np.array([0j]))[0]
    left, right = (int(np.clip(middle.real + side, 0, view.width)) for side in (-half, half + 1))
    top, bottom = (int(np.clip(middle.imag + side, 0, view.height)) for side in (-half, half + 1))
    if left >= right or top >= bottom:
        return pigments
    canvas = prime(look, seed, view.crop(left, top, right, bottom))
    for paint, signs in PAINTERS:
        if any(getattr(look, sign) for sign in signs):
            paint(canvas)
    for name, field in vars(canvas.pigments).items():
        getattr(pigments, name)[top:bottom, left:right] = field
    return pigments


def _reach(look: Look) -> float:
    """Millimetres from the middle beyond which nothing of the lesion is seen."""
    end = ERYTHEMA_END if look.erythema else 1 + look.softness
    border = 1 + 1.8 * look.lobes + 3 * look.ragged + 0.1 * look.streaks
    return float(look.radius * np.sqrt(1 + look.elongation) * end * border)


def _paint_ground(canvas: Canvas) -> None:
    """The body: brown, red, blue and yellow, with shades, a darker side and a grain."""
    look, rng, pigments, view = canvas.look, canvas.rng("ground"), canvas.pigments, canvas.view
    x, y = view.xy
    side = rng.uniform(0, 2 * np.pi)
    slope = (x * np.float32(np.cos(side)) + y * np.float32(np.sin(side))) / np.float32(look.radius)
    shades = np.float32(0.7 * look.variegation) * noise(view, rng, look.radius * 0.6, 4)
    grain = np.float32(0.13) * noise(view, rng, 0.45, 2)
    tilt = np.float32(0.8 * look.asymmetry) * slope + np.float32(look.centre) * (np.float32(0.6) - pigments.inside)
    depth = np.exp(np.clip(shades + grain + tilt, -2, 1.1)) * canvas.body
    redness = np.exp(np.float32(0.35) * noise(view, rng, look.radius * 0.5, 3)) * canvas.body
    pigments.melanin += np.float32(look.melanin) * depth
    pigments.blood += np.float32(look.blood) * redness
    pigments.dermal += np.float32(look.dermal) * np.exp(shades) * canvas.body
    pigments.keratin += np.float32(look.keratin) * np.clip(noise(view, rng, look.radius * 0.5, 2) + 1, 0, 2) * canvas.body


def _paint_network(canvas: Canvas) -> None:
    """Pigment network: brown lines, paler holes; thick and uneven in some places, gone in others."""
    look, rng, pigments = canvas.look, canvas.rng("network"), canvas.pigments
    x, y = warped(canvas.view, rng, 0.8, 0.08 + 0.10 * look.thickness)
    net = honeycomb(x, y, rng.uniform(0.32, 0.48)) ** np.float32(1.7 - 0.8 * look.thickness)
    uneven = np.clip(np.float32(0.8) + np.float32(0.3 + look.thickness) * noise(canvas.view, rng, look.radius * 0.5, 2), 0, 1.6)
    ring = np.clip(1 - 3 * np.abs(pigments.inside - np.float32(0.85)), 0, 1)
    strength = (
        (np.float32(look.network * (0.25 + 0.45 * look.melanin)) + np.float32(0.5 * look.rim) * ring) * uneven * canvas.body
    )
    pigments.melanin += strength * (net - np.float32(0.45))
    np.maximum(pigments.melanin, 0, out=pigments.melanin)


def _paint_globules(canvas: Canvas) -> None:
    """Brown globules, alike in a nevus and of many sizes in a melanoma."""
    look, rng = canvas.look, canvas.rng("globules")
    nearest, _, value = cells(*warped(canvas.view, rng, 1.0, 0.1), rng, rng.uniform(0.38, 0.6), 0.45 + 0.5 * look.asymmetry)
    size = np.float32(0.22) + np.float32(0.08 + 0.22 * look.asymmetry) * value
    balls = step_down(nearest / size, 1, 0.5) * (value > np.float32(0.12))
    canvas.pigments.melanin += np.float32(0.8 * look.globules) * balls * canvas.body * np.float32(0.4 + 0.6 * look.melanin)


def _paint_dots(canvas: Canvas) -> None:
    """Black dots, more frequent near the border."""
    rng, pigments = canvas.rng("dots"), canvas.pigments
    nearest, _, value = cells(*canvas.view.xy, rng, 0.5, 0.95)
    specks = step_down(nearest, 0.2, 0.12) * (value < np.float32(0.5) * np.clip(pigments.inside, 0.2, 1))
    pigments.melanin += np.float32(1.3 * canvas.look.dots) * specks * canvas.body


def _paint_blotch(canvas: Canvas) -> None:
    """Dark structureless areas, off the middle."""
    rng = canvas.rng("blotch")
    area = step_down(-noise(canvas.view, rng, canvas.look.radius * 0.9, 4), -0.35, 0.75) * canvas.body
    canvas.pigments.melanin += np.float32(1.5 * canvas.look.blotch) * area


def _paint_veil(canvas: Canvas) -> None:
    """Blue-white veil: deep pigment under a ground-glass haze."""
    rng, pigments, strength = canvas.rng("veil"), canvas.pigments, canvas.look.veil
    area = step_down(-noise(canvas.view, rng, canvas.look.radius * 1.0, 3), -0.2, 0.8) * canvas.body
    depth = np.exp(np.float32(0.4) * noise(canvas.view, rng, 1.2, 3))
    pigments.dermal += np.float32(1.0 * strength) * area * depth
    pigments.white += np.float32(0.26 * strength) * area
    pigments.melanin *= 1 - np.float32(0.45 * strength) * area


def _paint_regression(canvas: Canvas) -> None:
    """Scar-like white areas with a breath of grey."""
    rng, pigments, strength = canvas.rng("regression"), canvas.pigments, canvas.look.regression
    area = step_down(-noise(canvas.view, rng, canvas.look.radius * 0.8, 3), -0.4, 0.8) * canvas.body
    pigments.melanin *= 1 - np.float32(0.8 * strength) * area
    pigments.white += np.float32(0.3 * strength) * area
    pigments.dermal += np.float32(0.2 * strength) * area


def _paint_fissures(canvas: Canvas) -> None:
    """Ridges between dark fissures, like the surface of a brain."""
    rng, pigments, strength = canvas.rng("fissures"), canvas.pigments, canvas.look.fissures
    x, y = warped(canvas.view, rng, 1.3, 0.45)
    way, period = rng.uniform(0, np.pi), rng.uniform(0.55, 0.95)
    distance = x * np.float32(np.cos(way)) + y * np.float32(np.sin(way))
    folds = np.cos(np.float32(2 * np.pi / period) * distance + np.float32(1.3) * noise(canvas.view, rng, 0.7, 3))
    pigments.melanin *= np.exp(np.float32(0.48 * strength) * folds)
    pigments.keratin += np.float32(0.35 * strength) * np.clip(folds, 0, 1) * canvas.body


def _paint_cysts(canvas: Canvas) -> None:
    """Milia-like cysts, bright, and comedo-like openings, dark."""
    rng, pigments, strength = canvas.rng("cysts"), canvas.pigments, canvas.look.cysts
    n = int(5 + 16 * strength)
    bright = spots(canvas.view, canvas.scatter(rng, n, 0.85), 0.05 + 0.16 * rng.random(n) ** 2, 0.6) * canvas.body
    pigments.white += np.float32(0.25 + 0.3 * strength) * bright
    pigments.melanin *= 1 - np.float32(0.5) * bright
    openings = spots(canvas.view, canvas.scatter(rng, n // 2, 0.85), 0.06 + 0.2 * rng.random(n // 2), 0.6) * canvas.body
    pigments.melanin += np.float32(0.7 * strength) * openings
    pigments.keratin += np.float32(0.5 * strength) * openings


def _paint_lacunae(canvas: Canvas) -> None:
    """Red to purple lakes with paler walls between them."""
    look, rng, pigments = canvas.look, canvas.rng("lacunae"), canvas.pigments
    x, y = warped(canvas.view, rng, look.radius * 0.35, look.radius * 0.08)
    nearest, second, value = cells(x, y, rng, look.radius * rng.uniform(0.3, 0.6), 0.85)
    lakes = step_down(nearest - second, -0.12, 0.2) * canvas.body
    pigments.blood *= 1 - np.float32(0.4 * look.lacunae) * (1 - lakes)
    pigments.blood += np.float32(0.8 * look.lacunae) * lakes * (np.float32(0.5) + np.float32(0.7) * value)
    pigments.dermal += np.float32(0.5 * look.lacunae * (0.3 + look.dermal)) * lakes * value
    pigments.white += np.float32(0.10 * look.lacunae) * (canvas.body - lakes)


def _paint_nests(canvas: Canvas) -> None:
    """Blue-grey ovoid nests."""
    look, rng, pigments = canvas.look, canvas.rng("nests"), canvas.pigments
    n = int(2 + 8 * look.nests)
    x, y = warped(canvas.view, rng, look.radius * 0.3, look.radius * 0.06)
    field = np.zeros_like(x)
    for place, radius in zip(canvas.scatter(rng, n, 0.85), look.radius * rng.uniform(0.06, 0.22, n), strict=True):
        distance = np.hypot(x - np.float32(place.real), y - np.float32(place.imag)) / np.float32(radius)
        np.maximum(field, step_down(distance, 1, 0.75), out=field)
    pigments.dermal += np.float32(0.95 * look.nests) * field
    pigments.melanin += np.float32(0.45 * look.nests) * field


def _paint_crust(canvas: Canvas) -> None:
    """A sore: dark red and yellow."""
    look, rng, pigments = canvas.look, canvas.rng("crust"), canvas.pigments
    place, size = canvas.scatter(rng, 1, 0.5), look.radius * rng.uniform(0.25, 0.55)
    area = spots(canvas.view, place, [size], 0.8) * step_down(-noise(canvas.view, rng, look.radius * 0.4, 3), 0.1, 0.7)
    pigments.blood += np.float32(1.2 * look.crust) * area
    pigments.keratin += np.float32(0.7 * look.crust) * area
    pigments.melanin += np.float32(0.5 * look.crust) * area


def _paint_vessels(canvas: Canvas) -> None:
    """Arborising vessels: bright red trees that come in from the border."""
    look, rng = canvas.look, canvas.rng("vessels")
    lines = [line for _ in range(int(2 + 5 * look.vessels)) for line in _tree(rng, look.radius)]
    canvas.pigments.blood += np.float32(0.95 * look.vessels) * strokes(canvas.view, lines)


def _tree(rng: np.random.Generator, radius: float) -> list[tuple[Points, float]]:
    bearing = rng.uniform(0, 2 * np.pi)
    start = radius * rng.uniform(0.6, 1.1) * np.exp(1j * bearing)
    trunk = curve(rng, complex(start), bearing + np.pi + rng.normal(0, 0.7), radius * rng.uniform(0.7, 1.4), 0.9)
    width = radius * rng.uniform(0.016, 0.045)
    lines = [(trunk, width)]
    for _ in range(int(rng.integers(3, 7))):
        at = int(rng.integers(2, len(trunk) - 2))
        ahead = float(np.angle(trunk[at + 1] - trunk[at])) + rng.choice([-1, 1]) * rng.uniform(0.4, 1.1)
        branch = curve(rng, complex(trunk[at]), ahead, radius * rng.uniform(0.2, 0.6), 1.1)
        twig = curve(rng, complex(branch[6]), ahead + rng.normal(0, 1), radius * rng.uniform(0.1, 0.3), 1.2)
        lines += [(branch, width * 0.6), (twig, width * 0.4)]
    return lines


def _paint_erythema(canvas: Canvas) -> None:
    """Redness that spreads beyond the border."""
    look, rng, pigments = canvas.look, canvas.rng("erythema"), canvas.pigments
    wide = step_down(pigments.inside, ERYTHEMA_END - 0.6, 0.6) * np.exp(
        np.float32(0.5) * noise(canvas.view, rng, look.radius * 0.5, 3)
    )
    pigments.blood += np.float32(0.4 * look.erythema) * wide


def _paint_strawberry(canvas: Canvas) -> None:
    """A red net around pale follicles, each with a yellow plug."""
    rng, pigments, strength = canvas.rng("strawberry"), canvas.pigments, canvas.look.strawberry
    nearest, _, value = cells(*warped(canvas.view, rng, 1.0, 0.15), rng, rng.uniform(0.6, 0.95), 0.7)
    follicles = step_down(nearest, 0.3, 0.2) * (value > np.float32(0.2))
    pigments.blood += np.float32(0.5 * strength) * canvas.body * (np.float32(0.7) - follicles)
    pigments.white += np.float32(0.22 * strength) * canvas.body * follicles
    pigments.keratin += np.float32(0.4 * strength) * canvas.body * step_down(nearest, 0.12, 0.1)
    np.maximum(pigments.blood, 0, out=pigments.blood)


def _paint_patch(canvas: Canvas) -> None:
    """White central patch, scar-like."""
    look, rng, pigments = canvas.look, canvas.rng("patch"), canvas.pigments
    edge = pigments.inside + np.float32(0.14) * noise(canvas.view, rng, look.radius * 0.4, 3)
    patch = step_down(edge, float(rng.uniform(0.25, 0.5)), 0.3)
    pigments.melanin *= 1 - np.float32(0.75 * look.patch) * patch
    pigments.white += np.float32(0.32 * look.patch) * patch


def _paint_scale(canvas: Canvas) -> None:
    """White to yellow flakes on the surface."""
    rng, pigments, strength = canvas.rng("scale"), canvas.pigments, canvas.look.scale
    flakes = step_down(-noise(canvas.view, rng, 1.1, 4), -0.7, 0.55) * canvas.body
    pigments.white += np.float32(0.5 * strength) * flakes
    pigments.keratin += np.float32(0.2 * strength) * flakes


def _paint_shine(canvas: Canvas) -> None:
    """Shiny white lines, at right angles to each other."""
    look, rng = canvas.look, canvas.rng("shine")
    places = canvas.scatter(rng, int(8 + 18 * look.shine), 0.7)
    ways = rng.uniform(0, np.pi) + rng.choice([0, np.pi / 2], len(places)) + rng.normal(0, 0.12, len(places))
    halves = look.radius * rng.uniform(0.05, 0.14, len(places)) * np.exp(1j * ways)
    lines = [(np.array([place - half, place + half]), look.radius * 0.02) for place, half in zip(places, halves, strict=True)]
    canvas.pigments.white += np.float32(0.45 * look.shine) * strokes(canvas.view, lines)


PAINTERS: tuple[tuple[Callable[[Canvas], None], tuple[str, ...]], ...] = (
    (_paint_ground, ("radius",)),
    (_paint_network, ("network", "rim")),
    (_paint_globules, ("globules",)),
    (_paint_fissures, ("fissures",)),
    (_paint_lacunae, ("lacunae",)),
    (_paint_blotch, ("blotch",)),
    (_paint_dots, ("dots",)),
    (_paint_veil, ("veil",)),
    (_paint_regression, ("regression",)),
    (_paint_nests, ("nests",)),
    (_paint_crust, ("crust",)),
    (_paint_vessels, ("vessels",)),
    (_paint_erythema, ("erythema",)),
    (_paint_strawberry, ("strawberry",)),
    (_paint_patch, ("patch",)),
    (_paint_cysts, ("cysts",)),
    (_paint_scale, ("scale",)),
    (_paint_shine, ("shine",)),
)
"""Every painter, in the order from deep to shallow, with the signs that call for it."""
