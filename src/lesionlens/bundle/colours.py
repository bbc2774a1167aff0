"""The colours of heat maps: viridis, whose steps look alike to the eye, also in grey and to the colour-blind.

Every fifth of its 256 colours is kept; the others differ from straight lines between them by at most
one level. By Smith, van der Walt and Firing, released under CC0 (https://bids.github.io/colormap).
"""

from __future__ import annotations

import numpy as np

VIRIDIS = (
    "44015446085c471063481769481d6f482475472a7a46307e453781433d844142873f48893d4e8a3a538b38598c355e8d33638d31688e"
    "2e6d8e2c718e2a768e297b8e27808e25848e23898e218e8d20928c1f978b1e9c891fa18821a58524aa8328ae802eb37c35b7793dbc74"
    "46c06f50c46a5ac86465cb5e70cf577cd25089d54895d840a2da37b0dd2fbddf26cae11fd8e219e5e419f1e51dfde725"
)


def colour_table() -> np.ndarray:
    """The 256 colours from lowest to highest, uint8 (256, 3)."""
    kept = np.frombuffer(bytes.fromhex(VIRIDIS), dtype=np.uint8).reshape(-1, 3)
    places = np.linspace(0, 255, len(kept))
    channels = [np.interp(np.arange(256), places, kept[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


def colourise(shares: np.ndarray) -> np.ndarray:
    """Colours, uint8 (..., 3), of `shares` (...), each in [0, 1]; what lies outside is clipped."""
    places = np.rint(np.clip(shares, 0, 1) * 255).astype(np.int64)
    return np.asarray(colour_table()[places])
