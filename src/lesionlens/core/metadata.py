"""What a network may be told of the patient beside the image: age, sex and site, each of which may be unknown.

A value becomes weights that add up to 1 over the places of its field, the first of which means "unknown". A linear layer over
them is a table of embeddings, and its first row the mask embedding of a missing value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from lesionlens.core.errors import DataError, RecipeError

FIELDS = ("age", "sex", "site")
SEXES = ("female", "male")
SITES = (
    *("abdomen", "acral", "back", "chest", "ear", "face", "foot", "genital", "hand", "head/neck", "lower extremity"),
    *("neck", "scalp", "trunk", "upper extremity"),
)
"""HAM10000's words for places on the body, and the ISIC Archive's coarser `head/neck`."""
SAME_SITES = {
    "torso": "trunk",
    "anterior torso": "trunk",
    "lateral torso": "trunk",
    "posterior torso": "back",
    "palms/soles": "acral",
    "oral/genital": "genital",
    "genital areas": "genital",
    "lower limbs": "lower extremity",
    "upper limbs": "upper extremity",
    "head neck": "head/neck",
}
"""Words of the ISIC Archive and of Derm7pt for the same places."""
OLDEST = 120
AGE_CENTRES = tuple(range(5, 90, 10))
"""Ages, years, between which an age is interpolated; younger and older ones count as the first and the last."""
WIDTHS = {"age": 1 + len(AGE_CENTRES), "sex": 1 + len(SEXES), "site": 1 + len(SITES)}
UNKNOWN = ("", "unknown")
SHOWN = 5
FORBIDDEN = {
    "dx_type": "how a diagnosis was made is known only after it, and tells it (histology is ordered for what looks malignant)",
    "dataset": "the clinic that an image came from tells its diagnosis, because each collected other lesions",
    "dx": "it is the diagnosis",
}
"""What no network may be told, and why."""


class HasMetadata(Protocol):
    """A record, or anything else that has these three."""

    @property
    def age(self) -> float | None:
        """Years, or None."""

    @property
    def sex(self) -> str:
        """Lower case, or empty."""

    @property
    def site(self) -> str:
        """Lower case, or empty."""


@dataclass(frozen=True)
class Metadata:
    """What is known of a patient.

    Attributes:
        age: years, in [0, 120]; None if unknown.
        sex: `female` or `male`; empty if unknown.
        site: one of `SITES`; empty if unknown.
    """

    age: float | None = None
    sex: str = ""
    site: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "site", SAME_SITES.get(self.site, self.site))

    def known(self) -> Metadata:
        """The same without values that no network knows, which count as unknown.

        >>> Metadata(200.0, "x", "torso").known()
        Metadata(age=None, sex='', site='trunk')
        """
        age = self.age if self.age is not None and 0 <= self.age <= OLDEST else None
        return Metadata(age, self.sex if self.sex in SEXES else "", self.site if self.site in SITES else "")

    def to_json(self, fields: Iterable[str] = FIELDS) -> dict[str, Any]:
        """The known values of some fields.

        >>> Metadata(age=55.0, site="back").to_json()
        {'age': 55.0, 'site': 'back'}
        """
        return {name: getattr(self, name) for name in fields if getattr(self, name) not in (None, "")}

    def missing(self, fields: Iterable[str] = FIELDS) -> tuple[str, ...]:
        """The fields that are unknown.

        >>> Metadata(age=55.0).missing()
        ('sex', 'site')
        """
        fields = tuple(fields)
        return tuple(name for name in fields if name not in self.to_json(fields))


def check_fields(fields: Sequence[str], key: str) -> None:
    """Refuse fields that a network may not be told, that do not exist, or that are named twice.

    Raises:
        RecipeError: with the reason.
    """
    for name in fields:
        if name in FORBIDDEN:
            raise RecipeError(f"{key} names {name!r}, which no network may see: {FORBIDDEN[name]}. Leave it out")
        if name not in FIELDS:
            raise RecipeError(f"{key} names {name!r}; it must be of {', '.join(FIELDS)}")
    if len(set(fields)) < len(fields):
        raise RecipeError(f"{key} = {list(fields)}; each field must stand once")


def read_metadata(values: dict[str, str], where: str) -> Metadata:
    """Metadata from texts, as from a table, a form or an option; a field that is absent, empty or `unknown` is unknown.

    Args:
        values: by field.
        where: what the texts are of, for messages.

    Raises:
        DataError: if a field may not be given or is none, or a value is none that is known.

    >>> read_metadata({"age": "55", "sex": "Female", "site": "torso"}, "row 1")
    Metadata(age=55.0, sex='female', site='trunk')
    """
    for name in values:
        if name in FORBIDDEN:
            raise DataError(f"{where} has {name!r}, which no network may see: {FORBIDDEN[name]}. Leave it out")
        if name not in FIELDS:
            raise DataError(f"{where} has {name!r}; it must be of {', '.join(FIELDS)}")
    texts = {name: text.strip().lower() for name, text in values.items()}
    sex, site = (texts.get(name, "") for name in ("sex", "site"))
    return Metadata(_age(texts.get("age", ""), where), _sex(sex, where), _site(site, where))


def _age(text: str, where: str) -> float | None:
    if text in UNKNOWN:
        return None
    try:
        age = float(text)
    except ValueError:
        age = -1.0
    if not 0 <= age <= OLDEST:
        raise DataError(f"{where} has age {text[:40]!r}; it must be years from 0 to {OLDEST}, or empty if unknown")
    return age


def _sex(text: str, where: str) -> str:
    if text in UNKNOWN:
        return ""
    if text not in SEXES:
        raise DataError(f"{where} has sex {text[:40]!r}; it must be {' or '.join(SEXES)}, or empty if unknown")
    return text


def _site(text: str, where: str) -> str:
    text = SAME_SITES.get(text, text)
    if text in UNKNOWN:
        return ""
    if text not in SITES:
        raise DataError(f"{where} has site {text[:40]!r}; it must be of {', '.join(SITES)}, or empty if unknown")
    return text


def width(fields: Sequence[str]) -> int:
    """Length of the encoding of these fields."""
    return sum(WIDTHS[name] for name in fields)


def encode(items: Sequence[HasMetadata], fields: Sequence[str]) -> np.ndarray:
    """Weights over the places of each field, float32 (N, D); every field's add up to 1.

    A value that is not one of those that the network knows counts as unknown; `unknown_values` counts them.

    >>> encode([Metadata(sex="male"), Metadata()], ["sex"]).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    blocks = {"age": _encoded_age, "sex": _encoded_sex, "site": _encoded_site}
    rows = [np.concatenate([blocks[name](item) for name in fields]) for item in items]
    return np.array(rows, np.float32).reshape(len(items), width(fields))


def hide(encoded: np.ndarray, hidden: np.ndarray, fields: Sequence[str]) -> np.ndarray:
    """The encoding with some fields unknown.

    Args:
        encoded: (N, D), not changed.
        hidden: which fields to hide, bool (N, number of fields).
        fields: of the encoding.
    """
    result, start = encoded.copy(), 0
    for number, name in enumerate(fields):
        block = slice(start, start + WIDTHS[name])
        result[hidden[:, number], block] = 0
        result[hidden[:, number], start] = 1
        start += WIDTHS[name]
    return result


def unknown_values(items: Iterable[HasMetadata], fields: Sequence[str]) -> dict[str, Counter[str]]:
    """Values that are known to a source but not to the networks, counted by field; they are encoded as unknown."""
    found: dict[str, Counter[str]] = {name: Counter() for name in fields}
    for item in items:
        if "sex" in found and item.sex and item.sex not in SEXES:
            found["sex"][item.sex] += 1
        if "site" in found and item.site and SAME_SITES.get(item.site, item.site) not in SITES:
            found["site"][item.site] += 1
        if "age" in found and item.age is not None and not 0 <= item.age <= OLDEST:
            found["age"][f"{item.age:g}"] += 1
    return {name: counts for name, counts in found.items() if counts}


def metadata_note(items: Sequence[HasMetadata], fields: Sequence[str]) -> str:
    """One line for people: how many images lack each field, and values that are none of those that networks know.

    >>> metadata_note([Metadata(age=50.0), Metadata()], ["age", "sex"])
    'metadata of 2 images: age missing in 1, sex missing in 2'
    """
    missing = Counter(name for item in items for name in fields if getattr(item, name) in (None, ""))
    parts = [f"{name} missing in {missing[name]}" for name in fields]
    for name, counts in unknown_values(items, fields).items():
        listed = ", ".join(f"{value} ({count})" for value, count in counts.most_common(SHOWN))
        rest = f" and {len(counts) - SHOWN} others" if len(counts) > SHOWN else ""
        parts.append(f"{name} treated as missing: {listed}{rest}")
    return f"metadata of {len(items)} images: {', '.join(parts)}"


def _encoded_age(item: HasMetadata) -> np.ndarray:
    weights = np.zeros(WIDTHS["age"], np.float32)
    if item.age is None or not 0 <= item.age <= OLDEST:
        weights[0] = 1
        return weights
    place = float(np.interp(item.age, AGE_CENTRES, range(len(AGE_CENTRES))))
    low = min(int(place), len(AGE_CENTRES) - 2)
    weights[1 + low], weights[2 + low] = 1 - (place - low), place - low
    return weights


def _encoded_sex(item: HasMetadata) -> np.ndarray:
    return _one_hot(item.sex, SEXES)


def _encoded_site(item: HasMetadata) -> np.ndarray:
    return _one_hot(SAME_SITES.get(item.site, item.site), SITES)


def _one_hot(value: str, known: Sequence[str]) -> np.ndarray:
    weights = np.zeros(1 + len(known), np.float32)
    weights[1 + known.index(value) if value in known else 0] = 1
    return weights
