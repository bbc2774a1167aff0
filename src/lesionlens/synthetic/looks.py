"""How the seven diagnoses look under the dermatoscope, as ranges from which each lesion is drawn.

The words are those of the dermoscopic literature (Kittler et al., J. Am. Acad. Dermatol. 74:1093, 2016).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Look:
    """Strength of each dermoscopic sign of one lesion; 0 where it is absent, about 1 where it is plain.

    Attributes:
        radius: mean radius, mm.
        elongation: long over short axis, less 1.
        lobes: depth of the border's large waves, share of the radius.
        ragged: depth of the border's small notches, share of the radius.
        softness: width of the border's passage into skin, share of the radius.
        melanin: brown pigment of the body.
        blood: redness of the body.
        dermal: blue-grey pigment of the whole body.
        keratin: yellowish horn of the body.
        variegation: several shades of brown.
        asymmetry: one side darker than the other.
        centre: pigment that gathers at the centre; negative: at the rim.
        network: pigment network.
        thickness: of the network's lines, uneven ones included.
        globules: brown globules.
        dots: black dots.
        streaks: radial streaks at the border.
        blotch: dark patches off the centre.
        veil: blue-white veil.
        regression: scar-like white areas.
        cysts: milia-like cysts.
        fissures: ridges and fissures.
        vessels: arborising vessels.
        nests: blue-grey ovoid nests.
        shine: shiny white lines.
        scale: whitish scale.
        crust: yellow-red crust or ulcer.
        strawberry: red net around pale follicles.
        erythema: redness that spreads beyond the border.
        lacunae: red to purple lakes.
        patch: white central patch.
        rim: delicate network at the periphery only.
    """

    radius: float = 3.0
    elongation: float = 0.0
    lobes: float = 0.0
    ragged: float = 0.0
    softness: float = 0.1
    melanin: float = 0.0
    blood: float = 0.0
    dermal: float = 0.0
    keratin: float = 0.0
    variegation: float = 0.0
    asymmetry: float = 0.0
    centre: float = 0.0
    network: float = 0.0
    thickness: float = 0.0
    globules: float = 0.0
    dots: float = 0.0
    streaks: float = 0.0
    blotch: float = 0.0
    veil: float = 0.0
    regression: float = 0.0
    cysts: float = 0.0
    fissures: float = 0.0
    vessels: float = 0.0
    nests: float = 0.0
    shine: float = 0.0
    scale: float = 0.0
    crust: float = 0.0
    strawberry: float = 0.0
    erythema: float = 0.0
    lacunae: float = 0.0
    patch: float = 0.0
    rim: float = 0.0


Range = tuple[float, float, float]
"""Chance that the sign is there, and its lowest and highest strength if it is."""

LOOKS: dict[str, dict[str, Range]] = {
    "nv": {
        "radius": (1, 1.6, 4.0), "elongation": (1, 0.0, 0.6), "lobes": (1, 0.0, 0.10), "ragged": (1, 0.02, 0.07),
        "softness": (1, 0.12, 0.35), "melanin": (1, 0.55, 1.3), "blood": (1, 0.05, 0.4), "variegation": (1, 0.1, 0.35),
        "asymmetry": (0.4, 0.0, 0.25), "centre": (1, 0.0, 0.7), "network": (0.7, 0.4, 1.0), "thickness": (1, 0.1, 0.5),
        "globules": (0.4, 0.4, 0.9), "dots": (0.1, 0.2, 0.5), "blotch": (0.08, 0.2, 0.5),
    },
    "mel": {
        "radius": (1, 2.4, 5.5), "elongation": (1, 0.0, 0.7), "lobes": (1, 0.08, 0.22), "ragged": (1, 0.06, 0.13),
        "softness": (1, 0.07, 0.25), "melanin": (1, 0.6, 1.5), "blood": (1, 0.1, 0.6), "variegation": (1, 0.5, 1.0),
        "asymmetry": (0.9, 0.4, 0.9), "centre": (1, -0.4, 0.3), "network": (0.4, 0.3, 1.0), "thickness": (1, 0.4, 1.0),
        "globules": (0.4, 0.3, 0.9), "dots": (0.6, 0.5, 1.0), "streaks": (0.45, 0.4, 1.0), "blotch": (0.8, 0.5, 1.1),
        "veil": (0.7, 0.5, 1.0), "regression": (0.4, 0.4, 0.9), "shine": (0.2, 0.3, 0.8), "erythema": (0.3, 0.1, 0.4),
    },
    "bkl": {
        "radius": (1, 2.0, 5.2), "elongation": (1, 0.0, 0.7), "lobes": (1, 0.03, 0.16), "ragged": (1, 0.02, 0.09),
        "softness": (1, 0.03, 0.12), "melanin": (1, 0.25, 0.85), "blood": (1, 0.0, 0.2), "dermal": (0.25, 0.1, 0.35),
        "keratin": (0.95, 0.4, 1.0), "variegation": (1, 0.1, 0.6), "asymmetry": (0.5, 0.0, 0.4), "centre": (1, -0.5, 0.2),
        "network": (0.1, 0.2, 0.6), "thickness": (1, 0.2, 0.7), "cysts": (0.75, 0.5, 1.0), "fissures": (0.75, 0.5, 1.0),
        "dots": (0.15, 0.2, 0.7), "scale": (0.25, 0.2, 0.6), "globules": (0.1, 0.2, 0.6),
    },
    "bcc": {
        "radius": (1, 1.8, 4.5), "elongation": (1, 0.0, 0.6), "lobes": (1, 0.02, 0.14), "ragged": (1, 0.03, 0.09),
        "softness": (1, 0.15, 0.45), "melanin": (1, 0.0, 0.15), "blood": (1, 0.2, 0.6), "variegation": (1, 0.2, 0.7),
        "vessels": (0.9, 0.6, 1.0), "nests": (0.75, 0.5, 1.0), "shine": (0.35, 0.3, 0.9), "crust": (0.4, 0.4, 1.0),
        "scale": (0.1, 0.2, 0.5), "erythema": (0.3, 0.1, 0.4), "regression": (0.3, 0.2, 0.6),
    },
    "akiec": {
        "radius": (1, 2.4, 5.5), "elongation": (1, 0.0, 0.7), "lobes": (1, 0.05, 0.2), "ragged": (1, 0.08, 0.15),
        "softness": (1, 0.2, 0.5), "melanin": (1, 0.05, 0.45), "blood": (1, 0.2, 0.6), "keratin": (0.8, 0.2, 0.7),
        "variegation": (1, 0.4, 1.0), "asymmetry": (0.4, 0.0, 0.5), "scale": (0.9, 0.5, 1.0), "strawberry": (0.75, 0.6, 1.0),
        "erythema": (0.9, 0.4, 0.9), "crust": (0.15, 0.2, 0.7), "dots": (0.15, 0.2, 0.6),
    },
    "vasc": {
        "radius": (1, 1.0, 3.0), "elongation": (1, 0.0, 0.4), "lobes": (1, 0.0, 0.08), "ragged": (1, 0.01, 0.05),
        "softness": (1, 0.05, 0.2), "blood": (1, 1.1, 2.2), "dermal": (0.5, 0.2, 1.1), "variegation": (1, 0.05, 0.4),
        "lacunae": (0.9, 0.5, 1.0), "veil": (0.15, 0.2, 0.5), "scale": (0.1, 0.2, 0.4), "erythema": (0.2, 0.1, 0.3),
    },
    "df": {
        "radius": (1, 2.0, 4.2), "elongation": (1, 0.0, 0.3), "lobes": (1, 0.0, 0.08), "ragged": (1, 0.03, 0.09),
        "softness": (1, 0.4, 0.65), "melanin": (1, 0.25, 0.6), "blood": (1, 0.15, 0.45), "variegation": (1, 0.1, 0.35),
        "centre": (1, -0.5, -0.1), "patch": (0.95, 0.6, 1.0), "rim": (0.85, 0.5, 0.9), "thickness": (1, 0.1, 0.4),
        "shine": (0.3, 0.3, 0.7), "erythema": (0.3, 0.1, 0.3),
    },
}  # fmt: skip

LOOKALIKES = {
    "nv": ("mel", "bkl", "df"),
    "mel": ("nv", "nv", "bkl"),
    "bkl": ("mel", "nv", "akiec"),
    "bcc": ("akiec", "df", "nv"),
    "akiec": ("bkl", "bcc"),
    "vasc": ("mel", "nv"),
    "df": ("nv", "bcc"),
}
"""What an atypical lesion of a diagnosis is mistaken for."""

ATYPICAL_SHARE = 0.15
ATYPICAL_MIX = (0.3, 0.6)


def draw_look(rng: np.random.Generator, dx: str) -> Look:
    """The look of one lesion with diagnosis `dx`; some lesions borrow half their look from another diagnosis."""
    own, other = _draw(rng, dx), _draw(rng, str(rng.choice(LOOKALIKES[dx])))
    atypical, share = rng.random() < ATYPICAL_SHARE, rng.uniform(*ATYPICAL_MIX)
    if not atypical:
        return own
    mixed = {
        field.name: (1 - share) * getattr(own, field.name) + share * getattr(other, field.name)
        for field in dataclasses.fields(Look)
    }
    return Look(**mixed)


def _draw(rng: np.random.Generator, dx: str) -> Look:
    values = {}
    for sign, (chance, low, high) in LOOKS[dx].items():
        present, value = rng.random() < chance, rng.uniform(low, high)
        if present:
            values[sign] = float(value)
    return Look(**values)
