"""Skin tone from the border of a photograph: an estimate, never a Fitzpatrick type.

The individual typology angle, ITA = arctan((L* - 50) / b*), orders skin from light to dark (Chardon, Cretois & Hourseau, Int.
J. Cosmet. Sci. 13:191, 1991) and has six bands (Del Bino & Bernerd, Br. J. Dermatol. 169:33, 2013). It is defined for a
calibrated colorimeter. From dermoscopic photographs it depends on camera, polarisation, white balance and pressure, and methods
disagree with one another (Kalb et al., ISIC workshop at MICCAI 2023), so it can show a gap and cannot rule one out.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

BANDS = (("very light", 55.0), ("light", 41.0), ("intermediate", 28.0), ("tan", 10.0), ("brown", -30.0), ("dark", -90.0))
"""Name and lower end of each band, degrees."""
INNER, OUTER = 0.70, 0.97  # of half the side: between the lesion in the middle and the corners, which vignettes darken
DARKEST, BRIGHTEST = 40, 250  # grey levels: below is a black corner or a mark, above a reflection
MARGIN = 0.03  # of the side, around lesion and black corners
HAIR_WIDTH, HAIR_CONTRAST = 0.04, 6.0  # of the side; units of L*
LEAST_SKIN = 0.03  # of the frame's pixels


def ita_band(angle_deg: float) -> str:
    """Band of an individual typology angle; empty for NaN.

    >>> ita_band(60.0), ita_band(30.0), ita_band(-45.0), ita_band(float("nan"))
    ('very light', 'intermediate', 'dark', '')
    """
    return next((name for name, low in BANDS if angle_deg > low), "dark") if np.isfinite(angle_deg) else ""


class BorderSkin(NamedTuple):
    """The skin at the border of a photograph.

    Attributes:
        ita_deg: individual typology angle, degrees, in (-90, 90); NaN where less than `LEAST_SKIN` of the frame is visible
            skin, or the skin is bluer than grey (an effect of white balance: the angle is not defined there).
        share: of the frame that is visible skin, in [0, 1].
    """

    ita_deg: float
    share: float


def skin_of_border(image: np.ndarray, lesion: np.ndarray | None = None) -> BorderSkin:
    """Tone of the skin at the border of a photograph.

    The ellipse between `INNER` and `OUTER` is read, without lesion, black corners, hair and reflections; L* and b* are medians.

    Args:
        image: sRGB, uint8 (F, F, 3).
        lesion: which pixels are lesion, bool (F, F); None if that is not known.
    """
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)  # L* in [0, 100]
    skin = visible_skin(image, lab[..., 0], lesion)
    share = float(skin.mean())
    if share < LEAST_SKIN:
        return BorderSkin(float("nan"), share)
    lightness, yellowness = (float(np.median(lab[..., channel][skin])) for channel in (0, 2))
    angle_deg = float(np.degrees(np.arctan((lightness - 50) / yellowness))) if yellowness > 0 else float("nan")
    return BorderSkin(angle_deg, share)


def visible_skin(image: np.ndarray, lightness: np.ndarray, lesion: np.ndarray | None = None) -> np.ndarray:
    """Which pixels of the border are skin without hair, bool (F, F).

    Args:
        image: sRGB, uint8 (F, F, 3).
        lightness: L* of the same pixels, float32 (F, F).
        lesion: which pixels are lesion, bool (F, F); None if that is not known.
    """
    side = len(image)
    excluded = image.max(axis=2) < DARKEST
    if lesion is not None:
        excluded |= lesion
    excluded = cv2.dilate(excluded.astype(np.uint8), _disc(MARGIN * side)).astype(bool)
    hair = cv2.morphologyEx(lightness, cv2.MORPH_BLACKHAT, _disc(HAIR_WIDTH * side)) > HAIR_CONTRAST
    return np.asarray(_ring(side) & ~excluded & ~hair & (image.min(axis=2) < BRIGHTEST))


def _ring(side: int) -> np.ndarray:
    place = (np.arange(side) + 0.5) / side * 2 - 1
    radius = np.hypot(place[:, None], place[None, :])
    return np.asarray((radius >= INNER) & (radius <= OUTER))


def _disc(radius: float) -> np.ndarray:
    size = 2 * max(1, round(radius)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
