"""One lesion on the plane of the skin, drawn as amounts of pigment in the order light meets them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lesionlens.core.seeds import derive_seed
from lesionlens.data.synthetic_fields import (
    Field,
    View,
    cells,
    curve,
    fractal,
    honeycomb,
    noise,
    spots,
    step_down,
    strokes,
    warped,
)
from lesionlens.data.synthetic_looks import Look

REACH = 1.75
"""A lesion's signs, redness around it included, end within so many of its largest radii."""


@dataclass
class Pigments:
    """Amounts of what colours the skin, each of shape (height, width).

    Attributes:
        melanin: brown, shallow.
        blood: red.
        dermal: melanin deep in the skin, which looks blue-grey.
        keratin: yellow horn.
        white: share of the light that scale, scars and cysts throw back, in [0, 1].
        inside: below 1 inside the lesion, above 1 outside.
    """

    melanin: Field
    blood: Field
    dermal: Field
    keratin: Field
    white: Field
    inside: Field

    @classmethod
    def none(cls, view: View) -> Pigments:
        """No pigment anywhere in `view`."""
        zeros = [np.zeros((view.height, view.width), np.float32) for _ in range(5)]
        return cls(*zeros, inside=np.full((view.height, view.width), 9, np.float32))


class Brush:
    """Draws the signs of one lesion into its pigments; every sign has a generator of its own."""

    def __init__(self, look: Look, seed: int, view: View):
        self.look, self.seed, self.view = look, seed, view
        self.pigments = Pigments.none(view)
        self.angle = np.float32(self.rng("axis").uniform(0, 2 * np.pi))
        self.pigments.inside = self._border()
        self.body = step_down(self.pigments.inside, 1, look.softness)

    def rng(self, sign: str) -> np.random.Generator:
        """The generator of one sign, the same for all photographs of the lesion."""
        return np.random.Generator(np.random.PCG64(derive_seed(self.seed, sign)))

    def _border(self) -> Field:
        look, rng, (x, y) = self.look, self.rng("border"), self.view.xy
        along = (x * np.cos(self.angle) + y * np.sin(self.angle)) / np.float32(np.sqrt(1 + look.elongation))
        across = (y * np.cos(self.angle) - x * np.sin(self.angle)) * np.float32(np.sqrt(1 + look.elongation))
        bearing = np.arctan2(across, along)
        radius = np.ones_like(x)
        for wave in range(2, 7):
            height = look.lobes * rng.uniform(0.3, 1.0) * 1.5 / np.sqrt(wave)
            radius += np.float32(height) * np.cos(np.float32(wave) * bearing + np.float32(rng.uniform(0, 2 * np.pi)))
        radius += np.float32(look.ragged) * fractal(self.view, rng, look.radius * 0.35, 3)
        if look.streaks:
            rays = np.cos(np.float32(rng.integers(18, 34)) * bearing + 2 * noise(self.view, rng, look.radius * 0.5))
            radius += np.float32(0.10 * look.streaks) * rays * np.clip(noise(self.view, rng, look.radius) + 0.4, 0, 1)
        return np.asarray(np.hypot(along, across) / (np.float32(look.radius) * np.maximum(radius, 0.25)), np.float32)

    def paint_body(self) -> None:
        """The even ground: brown, red, blue and yellow, with shades and a darker side."""
        look, rng, pigments = self.look, self.rng("body"), self.pigments
        x, y = self.view.xy
        side = rng.uniform(0, 2 * np.pi)
        slope = (x * np.float32(np.cos(side)) + y * np.float32(np.sin(side))) / np.float32(look.radius)
        shades = np.float32(look.variegation) * fractal(self.view, rng, look.radius * 0.5, 3)
        depth = 1 + shades + np.float32(look.asymmetry) * slope + np.float32(look.centre) * (np.float32(0.6) - pigments.inside)
        depth = np.clip(depth, 0.12, 3) * self.body
        grain = 1 + np.float32(0.12) * fractal(self.view, rng, 0.5, 2)
        pigments.melanin += np.float32(look.melanin) * depth * grain
        redness = np.clip(1 + np.float32(0.5) * noise(self.view, rng, look.radius * 0.4), 0.2, 2)
        pigments.blood += np.float32(look.blood) * self.body * redness
        pigments.dermal += np.float32(look.dermal) * self.body * np.clip(1 + shades, 0.2, 2)
        pigments.keratin += np.float32(look.keratin) * self.body * np.clip(noise(self.view, rng, look.radius * 0.5) + 1, 0, 2)

    def paint_network(self) -> None:
        """Pigment network over the body, or at its rim only."""
        look, rng = self.look, self.rng("network")
        x, y = warped(self.view, rng, 1.2, 0.12 + 0.25 * look.thickness)
        net = honeycomb(x, y, rng.uniform(0.5, 0.85)) ** np.float32(1.8 - look.thickness)
        uneven = np.clip(1 + np.float32(look.thickness) * noise(self.view, rng, look.radius * 0.5), 0, 2)
        over = look.network * uneven * self.body * (0.5 + look.melanin)
        inside = self.pigments.inside
        rim = look.rim * 0.7 * self.body * np.clip(1 - 3 * np.abs(inside - np.float32(0.8)), 0, 1)
        strength = np.float32(1.0) * (over + rim)
        self.pigments.melanin *= 1 - np.float32(0.35 * look.network) * (1 - net)
        self.pigments.melanin += np.float32(0.55) * strength * (net - np.float32(0.35))
        np.maximum(self.pigments.melanin, 0, out=self.pigments.melanin)

    def paint_globules(self) -> None:
        """Brown globules, and black dots that are more frequent near the border."""
        look, rng = self.look, self.rng("globules")
        x, y = self.view.xy
        if look.globules:
            nearest, _, value = cells(x, y, rng, rng.uniform(0.45, 0.75), 0.35 + 0.5 * look.asymmetry)
            balls = step_down(nearest, 0.28, 0.12) * (value > 0.15)
            self.pigments.melanin += np.float32(0.9 * look.globules) * balls * self.body
        if look.dots:
            nearest, _, value = cells(x, y, rng, 0.6, 0.95)
            near_border = np.clip(self.pigments.inside, 0.2, 1)
            specks = step_down(nearest, 0.2, 0.1) * (value < 0.5 * near_border)
            self.pigments.melanin += np.float32(1.6 * look.dots) * specks * self.body

    def paint_patches(self) -> None:
        """Blotches, blue-white veil and scar-like regression, each in an area of its own."""
        look, rng, pigments = self.look, self.rng("patches"), self.pigments
        areas = [fractal(self.view, rng, look.radius * 0.7, 3) for _ in range(3)]
        blotch, veil, scar = (
            step_down(-area, edge, 0.35) * self.body for area, edge in zip(areas, (-0.5, -0.45, -0.6), strict=True)
        )
        pigments.melanin += np.float32(1.7 * look.blotch) * blotch
        pigments.dermal += np.float32(1.3 * look.veil) * veil
        pigments.white += np.float32(0.3 * look.veil) * veil
        pigments.melanin *= 1 - np.float32(0.6 * look.veil) * veil
        pigments.melanin *= 1 - np.float32(0.85 * look.regression) * scar
        pigments.white += np.float32(0.35 * look.regression) * scar
        pigments.dermal += np.float32(0.15 * look.regression) * scar

    def paint_keratosis(self) -> None:
        """Milia-like cysts, and ridges between dark fissures."""
        look, rng, pigments = self.look, self.rng("keratosis"), self.pigments
        if look.fissures:
            x, y = warped(self.view, rng, 0.9, 0.45)
            way = rng.uniform(0, np.pi)
            stripes = np.cos(
                np.float32(2 * np.pi / rng.uniform(0.8, 1.4)) * (x * np.float32(np.cos(way)) + y * np.float32(np.sin(way)))
            )
            folds = np.clip(stripes + np.float32(0.5) * noise(self.view, rng, 0.9), -1, 1)
            pigments.melanin *= 1 + np.float32(0.6 * look.fissures) * folds
            pigments.keratin += np.float32(0.4 * look.fissures) * np.clip(folds, 0, 1) * self.body
        if look.cysts:
            n = int(4 + 16 * look.cysts)
            centres = self._scatter(rng, n, 0.85)
            balls = spots(self.view, centres, rng.uniform(0.10, 0.28, n), 0.45) * self.body
            pigments.white += np.float32(0.65) * balls
            holes = spots(self.view, self._scatter(rng, n // 2, 0.85), rng.uniform(0.12, 0.3, n // 2), 0.4) * self.body
            pigments.melanin += np.float32(0.8 * look.cysts) * holes
            pigments.keratin += np.float32(0.5 * look.cysts) * holes

    def _scatter(self, rng: np.random.Generator, n: int, reach: float) -> np.ndarray:
        distance = self.look.radius * reach * np.sqrt(rng.random(n))
        return distance * np.exp(2j * np.pi * rng.random(n))

    def paint_carcinoma(self) -> None:
        """Arborising vessels, blue-grey ovoid nests, and crust."""
        look, rng, pigments = self.look, self.rng("carcinoma"), self.pigments
        if look.nests:
            n = int(2 + 7 * look.nests)
            nests = spots(self.view, self._scatter(rng, n, 0.8), look.radius * rng.uniform(0.07, 0.22, n), 0.5)
            pigments.dermal += np.float32(1.5 * look.nests) * nests
            pigments.melanin += np.float32(0.5 * look.nests) * nests
        if look.crust:
            area = fractal(self.view, rng, look.radius * 0.4, 3)
            place = self._scatter(rng, 1, 0.5)
            crust = spots(self.view, place, [look.radius * rng.uniform(0.2, 0.5)], 0.6) * step_down(-area, 0.2, 0.4)
            pigments.blood += np.float32(1.8 * look.crust) * crust
            pigments.keratin += np.float32(0.8 * look.crust) * crust
            pigments.melanin += np.float32(0.6 * look.crust) * crust
        if look.vessels:
            lines = [line for _ in range(int(2 + 5 * look.vessels)) for line in self._tree(rng)]
            pigments.blood += np.float32(1.5 * look.vessels) * strokes(self.view, lines)

    def _tree(self, rng: np.random.Generator) -> list[tuple[np.ndarray, float]]:
        bearing = rng.uniform(0, 2 * np.pi)
        start = self.look.radius * 1.05 * np.exp(1j * bearing)
        trunk = curve(rng, start, bearing + np.pi + rng.normal(0, 0.4), self.look.radius * rng.uniform(0.8, 1.5), 0.6)
        width = rng.uniform(0.09, 0.2)
        lines = [(trunk, width)]
        for _ in range(int(rng.integers(2, 6))):
            at = int(rng.integers(2, len(trunk) - 2))
            ahead = float(np.angle(trunk[at + 1] - trunk[at]))
            length = self.look.radius * rng.uniform(0.25, 0.7)
            lines.append((curve(rng, trunk[at], ahead + rng.choice([-1, 1]) * rng.uniform(0.4, 1.1), length, 0.9), width * 0.55))
        return lines

    def paint_surface(self) -> None:
        """Scale, and shiny white lines."""
        look, rng, pigments = self.look, self.rng("surface"), self.pigments
        if look.scale:
            flakes = step_down(-fractal(self.view, rng, 0.9, 3), -0.7, 0.25)
            pigments.white += np.float32(0.65 * look.scale) * flakes * self.body
            pigments.keratin += np.float32(0.2 * look.scale) * flakes * self.body
        if look.shine:
            way = rng.uniform(0, np.pi)
            places = self._scatter(rng, int(8 + 18 * look.shine), 0.7)
            ways = way + rng.choice([0, np.pi / 2], len(places)) + rng.normal(0, 0.12, len(places))
            halves = look.radius * rng.uniform(0.06, 0.16, len(places)) * np.exp(1j * ways)
            lines = [(np.array([place - half, place + half]), 0.07) for place, half in zip(places, halves, strict=True)]
            pigments.white += np.float32(0.5 * look.shine) * strokes(self.view, lines)

    def paint_redness(self) -> None:
        """Redness that spreads beyond the border, and the strawberry pattern."""
        look, rng, pigments = self.look, self.rng("redness"), self.pigments
        wide = step_down(pigments.inside, 1.15, 0.5) * np.clip(
            1 + np.float32(0.5) * fractal(self.view, rng, look.radius * 0.5, 2), 0, 2
        )
        pigments.blood += np.float32(0.5 * look.erythema) * wide
        if look.strawberry:
            nearest, _, value = cells(*self.view.xy, rng, rng.uniform(0.75, 1.1), 0.6)
            follicles = step_down(nearest, 0.3, 0.14)
            pigments.blood += np.float32(0.75 * look.strawberry) * self.body * (np.float32(0.85) - follicles)
            pigments.white += np.float32(0.35 * look.strawberry) * self.body * follicles * (value > 0.2)
            pigments.keratin += np.float32(0.5 * look.strawberry) * self.body * step_down(nearest, 0.13, 0.08)
            np.maximum(pigments.blood, 0, out=pigments.blood)

    def paint_lacunae(self) -> None:
        """Red to purple lakes with pale walls between."""
        look, rng, pigments = self.look, self.rng("lacunae"), self.pigments
        if look.lacunae:
            x, y = warped(self.view, rng, 0.8, 0.15)
            nearest, second, value = cells(x, y, rng, look.radius * rng.uniform(0.3, 0.6), 0.8)
            lakes = step_down(-(second - nearest), -0.16, 0.12) * self.body
            pigments.blood *= 1 - np.float32(0.45 * look.lacunae) * (1 - lakes)
            pigments.blood += np.float32(0.9 * look.lacunae) * lakes * (np.float32(0.4) + value)
            pigments.dermal += np.float32(0.6 * look.lacunae * (0.3 + look.dermal)) * lakes * value
            pigments.white += np.float32(0.15 * look.lacunae) * (self.body - lakes)

    def paint_centre(self) -> None:
        """White central patch."""
        look, rng, pigments = self.look, self.rng("centre"), self.pigments
        edge = pigments.inside + np.float32(0.12) * fractal(self.view, rng, look.radius * 0.4, 3)
        patch = step_down(edge, float(rng.uniform(0.3, 0.55)), 0.2)
        pigments.melanin *= 1 - np.float32(0.8 * look.patch) * patch
        pigments.white += np.float32(0.4 * look.patch) * patch


def paint_lesion(look: Look, seed: int, view: View) -> Pigments:
    """Pigments of the lesion that lies at the origin of the skin's plane.

    Args:
        look: strength of its signs.
        seed: the lesion's own; its geometry is a function of it and of `look`.
        view: where the camera looks.
    """
    pigments = Pigments.none(view)
    reach = REACH * look.radius * (1 + look.lobes) * np.sqrt(1 + look.elongation)
    centre = view.pixels(np.array([0j]))[0]
    half = reach / abs(view.step)
    left, right = (int(np.clip(centre.real + side, 0, view.width)) for side in (-half, half + 1))
    top, bottom = (int(np.clip(centre.imag + side, 0, view.height)) for side in (-half, half + 1))
    if left >= right or top >= bottom:
        return pigments
    brush = Brush(look, seed, view.crop(left, top, right, bottom))
    for paint in (
        brush.paint_body,
        brush.paint_network,
        brush.paint_globules,
        brush.paint_keratosis,
        brush.paint_lacunae,
        brush.paint_patches,
        brush.paint_carcinoma,
        brush.paint_redness,
        brush.paint_centre,
        brush.paint_surface,
    ):
        paint()
    for name, field in vars(brush.pigments).items():
        getattr(pigments, name)[top:bottom, left:right] = field
    return pigments
