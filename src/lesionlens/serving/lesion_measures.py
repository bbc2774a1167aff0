"""Size and colour of a lesion in one photograph, by a simple method that is told, and that declines where it is not sure.

1. The picture is reduced to `SIDE` pixels and smoothed. Dark corners of the dermoscope (lightness below `DARK`, connected to
   the border) do not count.
2. The skin's colour is the median of the brighter half of what is left at the border.
3. Each pixel's distance to it in CIELAB is cut in two by Otsu's threshold (1979).
4. The lesion is the connected part with the largest sum of distances, weighted towards the middle; holes are filled.

The area is measured in shares of the frame, and in mm² where the file states the distance of its pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

SIDE = 128
SMOOTH = 2.0  # pixels
DARK = 18.0  # of 100
BORDER = 6  # pixels
LEAST_AREA, MOST_AREA = 0.003, 0.85  # of the frame
MOST_CUT = 0.3  # of the lesion's outline that may lie at the frame
LEAST_DISTANCE = 8.0  # CIELAB: a lesion that differs less from its skin is not told from it
WHITE_POINT = np.array([0.95047, 1.0, 1.08883])
TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])


@dataclass(frozen=True, eq=False)
class LesionMeasures:
    """What was measured of one lesion.

    Attributes:
        mask: where it is, bool (H, W), with the longest side `SIDE`; all False if it was declined.
        area_share: of the frame, in [0, 1]; NaN if it was declined.
        colour: CIELAB of the lesion minus that of its skin, (3,); NaN if it was declined.
        reason: why it was declined; empty if it was not.
    """

    mask: np.ndarray
    area_share: float
    colour: np.ndarray
    reason: str = ""

    def area_mm2(self, size: tuple[int, int], spacing_mm: tuple[float, float] | None) -> float | None:
        """Area in mm².

        Args:
            size: width and height of the image, pixels.
            spacing_mm: millimetres between rows and between columns; None if they are not known.
        """
        if spacing_mm is None or self.reason:
            return None
        return self.area_share * size[0] * spacing_mm[1] * size[1] * spacing_mm[0]


def measure_lesion(image: Image.Image) -> LesionMeasures:
    """Find and measure the lesion of a photograph, RGB of any size."""
    share = SIDE / max(image.size)
    size = (max(16, round(image.width * share)), max(16, round(image.height * share)))
    small = image.convert("RGB").resize(size, Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(SMOOTH))
    lab = cielab(np.asarray(small))
    dark = _grown(_border_of(lab.shape[:2], 1), lab[..., 0] < DARK)
    skin = _skin(lab, ~dark)
    distance = np.where(dark, 0.0, np.sqrt(np.square(lab - skin).sum(-1)))
    threshold = otsu(distance[~dark])
    lesion = _filled(_main_part(distance > threshold, distance))
    if distance[lesion].size == 0 or float(distance[lesion].mean()) < LEAST_DISTANCE:
        return _declined(lesion, "no lesion stands out from the skin")
    return _checked(lesion, lab[lesion].mean(0) - skin, dark)


def cielab(pixels: np.ndarray) -> np.ndarray:
    """CIELAB (D65) of sRGB pixels, uint8 (..., 3), by IEC 61966-2-1 and CIE 15.

    >>> cielab(np.array([255, 255, 255], np.uint8)).round(1).tolist()[0]
    100.0
    """
    shares = pixels.astype(np.float64) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    xyz = linear @ TO_XYZ.T / WHITE_POINT
    bent = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(bent, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def otsu(values: np.ndarray, n_bins: int = 128) -> float:
    """The threshold that splits values with the largest variance between both parts (Otsu 1979)."""
    counts, edges = np.histogram(values, n_bins)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * centres)
    between = below * above * np.square(sums / np.maximum(below, 1) - (sums[-1] - sums) / np.maximum(above, 1))
    return float(edges[1 + int(between.argmax())])


def _checked(lesion: np.ndarray, colour: np.ndarray, dark: np.ndarray) -> LesionMeasures:
    area = float(lesion.sum() / (~dark).sum())
    outline = lesion & ~_eroded(lesion)
    cut = float((outline & (_border_of(lesion.shape, 1) | _dilated(dark))).sum() / max(1, outline.sum()))
    if not LEAST_AREA <= area <= MOST_AREA:
        return _declined(lesion, f"what stands out covers {100 * area:.1f} % of the picture, as no lesion does")
    if cut > MOST_CUT:
        return _declined(lesion, f"{100 * cut:.0f} % of the lesion's outline lie outside of the picture")
    return LesionMeasures(lesion, float(lesion.mean()), colour)


def _declined(lesion: np.ndarray, reason: str) -> LesionMeasures:
    return LesionMeasures(np.zeros_like(lesion), float("nan"), np.full(3, np.nan), reason)


def _skin(lab: np.ndarray, seen: np.ndarray) -> np.ndarray:
    edge = _border_of(seen.shape, BORDER) & seen
    ring = lab[edge if edge.sum() > BORDER * BORDER else seen]
    return np.asarray(np.median(ring[ring[:, 0] >= np.median(ring[:, 0])], axis=0))


def _main_part(candidate: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """The connected part that weighs most; places near the middle weigh more."""
    height, width = candidate.shape
    y, x = np.mgrid[:height, :width]
    radius = np.hypot((x - width / 2) / width, (y - height / 2) / height)
    weight = distance * np.exp(-4 * radius**2)
    left, best, heaviest = candidate.copy(), np.zeros_like(candidate), 0.0
    while left.any():
        seed = np.zeros_like(left)
        seed.flat[int(np.where(left, weight, -1.0).argmax())] = True
        part = _grown(seed, left)
        if (weight_of := float(weight[part].sum())) > heaviest:
            best, heaviest = part, weight_of
        left &= ~part
        if float(weight[left].sum()) <= heaviest:
            break
    return best


def _filled(part: np.ndarray) -> np.ndarray:
    return np.asarray(~_grown(_border_of(part.shape, 1) & ~part, ~part))


def _grown(seed: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Everything in `allowed` that is connected to `seed`."""
    part: np.ndarray = seed & allowed
    while True:
        larger: np.ndarray = _dilated(part) & allowed
        if larger.sum() == part.sum():
            return part
        part = larger


def _dilated(part: np.ndarray) -> np.ndarray:
    larger: np.ndarray = part.copy()
    larger[1:] |= part[:-1]
    larger[:-1] |= part[1:]
    larger[:, 1:] |= part[:, :-1]
    larger[:, :-1] |= part[:, 1:]
    return larger


def _eroded(part: np.ndarray) -> np.ndarray:
    smaller = part.copy()
    smaller[[0, -1]] = False
    smaller[:, [0, -1]] = False
    return np.asarray(smaller & ~_dilated(~part))


def _border_of(shape: tuple[int, ...], width: int) -> np.ndarray:
    border = np.ones(shape, bool)
    border[width:-width, width:-width] = False
    return border
