"""Which part of an image the network sees, if it is not squashed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lesionlens.core.seeds import derive_seed

if TYPE_CHECKING:
    from lesionlens.data.image import InputSpec

TOLERANCE = 1e-6  # pixels


def seen_box(size: tuple[int, int], spec: InputSpec, image_id: str = "") -> tuple[float, float, float, float]:
    """What is cut out of an image: the centre, or the window of its id.

    Args:
        size: width and height of the image, pixels.
        spec: the rule: `short_side` or `window`.
        image_id: places a window once and for all, wherever the image is used; the centre if empty.

    Returns:
        Left, top, right and bottom, in pixels of the image.
    """
    width, height = size
    short = min(size)
    side = short * (spec.prepared / spec.frame)
    if spec.resize == "window" and image_id:
        left, top = window_corner(size, spec, image_id)
    else:
        left, top = (width - side) / 2, (height - side) / 2
    return left, top, min(left + side, width), min(top + side, height)


def window_corner(size: tuple[int, int], spec: InputSpec, image_id: str) -> tuple[float, float]:
    """Left and top of an image's window, in pixels of the image: one of all places on the frame's grid, all alike.

    An image of 600x450 pixels and a frame of 450 have 217 x 67 places for a window of 384.
    """
    pixel = min(size) / spec.frame  # of the frame, in pixels of the image
    across, down = (int(length / pixel + TOLERANCE) - spec.size + 1 for length in size)
    place = derive_seed(0, "window", image_id) % (across * down)
    return pixel * (place % across), pixel * (place // across)
