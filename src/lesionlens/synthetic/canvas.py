"""What one lesion is painted on: its border, and the amounts of what colours the skin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lesionlens.core.seeds import generator
from lesionlens.synthetic.fields import Field, Points, View, noise, step_down
from lesionlens.synthetic.looks import Look


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
        melanin, blood, dermal, keratin, white, inside = np.zeros((6, view.height, view.width), np.float32)
        return cls(melanin, blood, dermal, keratin, white, inside + np.float32(9))


@dataclass
class Canvas:
    """What the painters of the signs share.

    Attributes:
        look: strength of the signs.
        seed: the lesion's.
        view: where the camera looks.
        pigments: what they paint into.
        body: share of the lesion's own colour, 1 well inside and 0 outside.
    """

    look: Look
    seed: int
    view: View
    pigments: Pigments
    body: Field

    def rng(self, sign: str) -> np.random.Generator:
        """The generator of one sign, the same for every photograph of the lesion."""
        return generator(self.seed, sign)

    def scatter(self, rng: np.random.Generator, n: int, reach: float) -> Points:
        """Places of `n` things within `reach` radii of the middle."""
        distance = self.look.radius * reach * np.sqrt(rng.random(n))
        return np.asarray(distance * np.exp(2j * np.pi * rng.random(n)))


def prime(look: Look, seed: int, view: View) -> Canvas:
    """A canvas that knows the lesion's border and nothing else.

    Args:
        look: strength of the signs.
        seed: the lesion's.
        view: where the camera looks.
    """
    canvas = Canvas(look, seed, view, Pigments.none(view), np.zeros(0, np.float32))
    canvas.pigments.inside = _border(canvas)
    canvas.body = step_down(canvas.pigments.inside, 1, look.softness)
    return canvas


def _border(canvas: Canvas) -> Field:
    """Distance from the middle over the distance of the border in that direction."""
    look, rng, (x, y) = canvas.look, canvas.rng("border"), canvas.view.xy
    angle, stretch = rng.uniform(0, np.pi), np.sqrt(1 + look.elongation)
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    along, across = (x * cosine + y * sine) / np.float32(stretch), (y * cosine - x * sine) * np.float32(stretch)
    bearing = np.arctan2(across, along)
    radius = 1 + np.float32(look.ragged) * noise(canvas.view, rng, look.radius * 0.4, 3)
    for wave in range(2, 7):
        height = np.float32(look.lobes * rng.uniform(0.4, 1.4) * 1.6 / wave)
        radius += height * np.cos(np.float32(wave) * bearing + np.float32(rng.uniform(0, 2 * np.pi)))
    if look.streaks:
        rays = np.cos(np.float32(rng.integers(18, 34)) * bearing + 2 * noise(canvas.view, rng, look.radius * 0.5))
        radius += np.float32(0.08 * look.streaks) * rays * np.clip(noise(canvas.view, rng, look.radius) + np.float32(0.4), 0, 1)
    return np.asarray(np.hypot(along, across) / (np.float32(look.radius) * np.maximum(radius, np.float32(0.3))), np.float32)
