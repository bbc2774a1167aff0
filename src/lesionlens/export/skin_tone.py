"""Dermoscopic images with another skin tone, so that a gate does not take dark skin for a fault."""

from __future__ import annotations

import math

import cv2
import numpy as np

BORDER = 0.04  # of the side: where the skin is measured
LEAST_YELLOW = 8.0  # units of b*; below, the angle is not defined well
LIGHTNESS = (12.0, 92.0)  # of skin


def shift_tone(image: np.ndarray, ita_deg: float) -> np.ndarray:
    """An image as if its skin had another individual typology angle (Chardon 1991), an approximation.

    The lightness of all pixels is multiplied so that the median of the border has the angle's; the hue stays. Real dark skin
    differs in more than its lightness.

    Args:
        image: dermoscopic, sRGB, uint8 (S, S, 3).
        ita_deg: in (-90, 90); 55 and more is very light skin, below -30 dark.

    Returns:
        uint8 (S, S, 3).

    Example:
        >>> int(shift_tone(np.full((8, 8, 3), (220, 180, 160), np.uint8), -50.0).mean()) < 120
        True
    """
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    width = max(1, round(BORDER * len(image)))
    border = np.concatenate([side.reshape(-1, 3) for side in (lab[:width], lab[-width:], lab[:, :width], lab[:, -width:])])
    lightness, _, yellow = np.median(border, axis=0)
    wanted = np.clip(50 + max(LEAST_YELLOW, float(yellow)) * math.tan(math.radians(ita_deg)), *LIGHTNESS)
    lab[..., 0] *= wanted / max(float(lightness), 1.0)
    return np.asarray(np.clip(255 * cv2.cvtColor(lab, cv2.COLOR_LAB2RGB) + 0.5, 0, 255), np.uint8)
