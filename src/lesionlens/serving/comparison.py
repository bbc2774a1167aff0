"""Two photographs of one lesion compared: how they lie over each other, and how size and colour changed."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from lesionlens.serving.lesion_measures import LesionMeasures, measure_lesion
from lesionlens.serving.registration import Registration, register

Spacing = tuple[float, float] | None
DIGITS = 4


def compare(first: Image.Image, second: Image.Image, spacings: tuple[Spacing, Spacing] = (None, None)) -> dict[str, Any]:
    """Compare a later photograph with an earlier one.

    Args:
        first: the earlier one, RGB.
        second: the later one, RGB.
        spacings: millimetres between rows and columns of each; None where a file does not state them.

    Returns:
        As `Comparison` in `timeline_schemas`, without the ids.
    """
    registration = register(first, second)
    measures = (measure_lesion(first), measure_lesion(second))
    sizes = (first.size, second.size)
    areas = [measure.area_mm2(size, spacing) for measure, size, spacing in zip(measures, sizes, spacings, strict=True)]
    return {
        "registration": _registration(registration),
        "areas": [_area(measure, area) for measure, area in zip(measures, areas, strict=True)],
        "size": _size(registration, measures, areas, sizes),
        "colour": _colour(measures),
    }


def _registration(found: Registration) -> dict[str, Any]:
    return {
        "matrix": None if found.matrix is None else [[round(float(value), 6) for value in row] for row in found.matrix],
        "zoom": _rounded(found.zoom),
        "rotation_deg": _rounded(found.rotation_deg),
        "agreement": _rounded(found.agreement),
        "overlap": _rounded(found.overlap),
        "reason": found.reason,
    }


def _area(measure: LesionMeasures, area_mm2: float | None) -> dict[str, Any]:
    """Of one photograph."""
    diameter = None if area_mm2 is None else _rounded(2 * float(np.sqrt(area_mm2 / np.pi)))
    return {
        "share": None if measure.reason else _rounded(measure.area_share),
        "mm2": None if area_mm2 is None else _rounded(area_mm2),
        "diameter_mm": diameter,
        "reason": measure.reason,
    }


def _size(
    registration: Registration,
    measures: tuple[LesionMeasures, LesionMeasures],
    areas: list[float | None],
    sizes: tuple[tuple[int, int], tuple[int, int]],
) -> dict[str, Any]:
    """Factor of the area, by the best scale that there is: millimetres, else the skin around the lesion."""
    reason = next((f"the lesion was not found: {measure.reason}" for measure in measures if measure.reason), "")
    if reason:
        return {"factor": None, "by": None, "reason": reason}
    if areas[0] is not None and areas[1] is not None:
        return {"factor": _rounded(areas[1] / areas[0]), "by": "mm", "reason": ""}
    if registration.matrix is None:
        told = "the files state no scale, and the pictures could not be laid over each other, so there is nothing to measure by"
        return {"factor": None, "by": None, "reason": told}
    shares = [
        measure.area_share * width * height / max(width, height) ** 2
        for measure, (width, height) in zip(measures, sizes, strict=True)
    ]
    return {"factor": _rounded(shares[1] / registration.zoom**2 / shares[0]), "by": "registration", "reason": ""}


def _colour(measures: tuple[LesionMeasures, LesionMeasures]) -> dict[str, Any]:
    """Change of the lesion's colour against its skin, CIELAB, which most changes of light leave alone."""
    if any(measure.reason for measure in measures):
        return {"delta_e": None, "lightness": None, "red": None, "yellow": None}
    change = measures[1].colour - measures[0].colour
    lightness, red, yellow = (_rounded(float(value)) for value in change)
    return {"delta_e": _rounded(float(np.linalg.norm(change))), "lightness": lightness, "red": red, "yellow": yellow}


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
