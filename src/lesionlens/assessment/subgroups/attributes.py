"""Attributes that divide images into subgroups: of the patient, the place, the diagnosis and the photograph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lesionlens.assessment.subgroups.image_measures import ImageMeasures
from lesionlens.assessment.subgroups.skin_tone import BANDS, ita_band
from lesionlens.data.index import Record
from lesionlens.evaluation.predictions import Predictions

AGE_EDGES = (0, 30, 45, 60, 75)  # years, lower ends of the bands
SIZE_EDGES = (0.0, 0.10, 0.20, 0.40)  # share of the frame, lower ends of the bands
INDEX_AGAIN = "index the images again with: lesionlens index ROOT (the split stays valid)"


@dataclass(frozen=True, eq=False)
class Attribute:
    """One way to divide N images into groups.

    Attributes:
        name: key in the result.
        title: heading.
        definition: what the groups are, with units.
        values: group of each image, (N,); empty where it is unknown.
        order: groups in the order in which they are shown.
        reason: why the attribute is not available; empty if it is.
        is_estimate: whether the groups are estimated from pixels.
        notes: what people should know.
    """

    name: str
    title: str
    definition: str
    values: np.ndarray
    order: tuple[str, ...]
    reason: str = ""
    is_estimate: bool = False
    notes: tuple[str, ...] = ()

    @classmethod
    def unavailable(cls, name: str, title: str, definition: str, reason: str) -> Attribute:
        """An attribute without values, and why."""
        return cls(name, title, definition, np.zeros(0, np.str_), (), reason)


def attributes_of(predictions: Predictions, records: Sequence[Record] | None, measures: ImageMeasures | None) -> list[Attribute]:
    """All attributes of predicted images, those that are not available with their reason.

    Args:
        predictions: of N images.
        records: of the same images, in their order; None without an index.
        measures: of the same images; None if there are no stored pixels.
    """
    return [
        _named("sex", "Sex", "as the source states it", predictions.sex, "the index names no sex"),
        _age(predictions.age),
        _named("site", "Body site", "as the source states it", predictions.site, "the index names no body site"),
        _origin("dx_type", "Ground truth", "how the diagnosis was made", records),
        _origin("dataset", "Source", "clinic or collection of the image", records),
        _lesion_size(predictions.lesion_ids, measures),
        _skin_tone(predictions.lesion_ids, measures),
    ]


def _origin(name: str, title: str, definition: str, records: Sequence[Record] | None) -> Attribute:
    """A field of the records that only the index knows."""
    if records is None:
        return Attribute.unavailable(name, title, definition, f"the run has no index; {INDEX_AGAIN}")
    values = np.array([getattr(record, name) for record in records])
    return _named(name, title, definition, values, f"the index has no column {name}; {INDEX_AGAIN}")


def _named(name: str, title: str, definition: str, values: np.ndarray, reason: str) -> Attribute:
    counts = Counter(values.tolist())
    order = tuple(value for value, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if value)
    return Attribute(name, title, definition, values, order) if order else Attribute.unavailable(name, title, definition, reason)


def _age(age: np.ndarray) -> Attribute:
    definition = "years at the time of the photograph"
    if np.isnan(age).all():
        return Attribute.unavailable("age", "Age", definition, "the index names no age")
    names = (*(f"{low} to {high - 1}" for low, high in pairwise(AGE_EDGES)), f"{AGE_EDGES[-1]} and over")
    return Attribute("age", "Age", definition, _banded(age, AGE_EDGES, names), names)


def _lesion_size(lesion_ids: np.ndarray, measures: ImageMeasures | None) -> Attribute:
    name, title = "lesion_size", "Lesion size"
    definition = "area of the lesion mask as a share of the frame; median over the photographs of a lesion"
    if measures is None:
        return Attribute.unavailable(name, title, definition, _no_store())
    count = measures.masks
    if not count.used:
        reason = next(iter(count.examples), "not_listed").replace("_", " ")
        why = (
            "lists no lesion masks" if reason == "not listed" else f"lists masks of which none is usable (the first is {reason})"
        )
        return Attribute.unavailable(name, title, definition, f"the index {why}; put them beside the images and {INDEX_AGAIN}")
    low, high = (f"{100 * edge:.0f}" for edge in (SIZE_EDGES[1], SIZE_EDGES[-1]))
    middle = tuple(f"{100 * a:.0f} to {100 * b:.0f} %" for a, b in pairwise(SIZE_EDGES[1:]))
    names = (f"under {low} %", *middle, f"{high} % and over")
    return Attribute(
        name,
        title,
        definition,
        _banded(median_by_lesion(measures.lesion_share, lesion_ids), SIZE_EDGES, names),
        names,
        notes=tuple(_mask_notes(measures)),
    )


def _mask_notes(measures: ImageMeasures) -> list[str]:
    count = measures.masks
    skipped = {"not_listed": "not in the index", "missing": "not there", "unreadable": "not readable", "empty": "empty"}
    return [
        f"{getattr(count, name)} lesion masks are {words}; the first is {count.examples[name]}"
        for name, words in skipped.items()
        if getattr(count, name)
    ]


def _skin_tone(lesion_ids: np.ndarray, measures: ImageMeasures | None) -> Attribute:
    name, title = "skin_tone", "Skin tone (estimate)"
    definition = (
        "individual typology angle of the skin at the border of the photograph, estimated from pixels that are not "
        "colour-calibrated; no Fitzpatrick type. Median over the photographs of a lesion"
    )
    if measures is None:
        return Attribute.unavailable(name, title, definition, _no_store())
    if np.isnan(measures.ita_deg).all():
        return Attribute.unavailable(name, title, definition, "no photograph shows enough skin around the lesion")
    angles = median_by_lesion(measures.ita_deg, lesion_ids)
    values = np.array([ita_band(angle) for angle in angles])
    why = ((measures.n_without_skin, "too little skin around the lesion"), (measures.n_blue, "skin that is bluer than grey"))
    notes = [f"{count} photographs show {words} and have no estimate" for count, words in why if count]
    if not measures.masks.used:
        notes.append("without lesion masks, the border of large lesions counts as skin")
    return Attribute(name, title, definition, values, tuple(band for band, _ in BANDS), is_estimate=True, notes=tuple(notes))


def _no_store() -> str:
    return "the run has no stored pixels; make them with: lesionlens pack INDEX"


def _banded(values: np.ndarray, edges: Sequence[float], names: Sequence[str]) -> np.ndarray:
    """Name of the band of each value, empty for NaN; a band holds its lower end."""
    places = np.searchsorted(edges, values, side="right") - 1
    return np.array(["" if np.isnan(value) else names[max(0, place)] for value, place in zip(values, places, strict=True)])


def median_by_lesion(values: np.ndarray, lesion_ids: np.ndarray) -> np.ndarray:
    """Replace the values of all photographs of a lesion by their median, so that a lesion is in one group; (N,).

    NaN are left out; the median of a lesion without values is NaN.

    >>> median_by_lesion(np.array([1.0, 3.0, np.nan, 5.0]), np.array(["a", "a", "b", "c"])).tolist()
    [2.0, 2.0, nan, 5.0]
    """
    names, member = np.unique(lesion_ids, return_inverse=True)
    medians = np.full(len(names), np.nan)
    known = np.flatnonzero(~np.isnan(values))
    known = known[np.argsort(member[known], kind="stable")]
    lesions, starts = np.unique(member[known], return_index=True)
    for lesion, of_lesion in zip(lesions, np.split(values[known], starts[1:]), strict=False):
        medians[lesion] = np.median(of_lesion)
    return np.asarray(medians[member])
