"""Who is in the images: age, sex, site, how the diagnosis was made, and where, by split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import quantiles
from typing import Any

from lesionlens.data.index import Index, Record
from lesionlens.data.protocols import SPLITS
from lesionlens.data.split import Split

UNKNOWN = "unknown"
COUNTED = ("dx", "sex", "site", "dx_type", "dataset")  # fields of a record; the last two are known to some indexes only
TITLES = {
    "sex": "Sex",
    "site": "Site",
    "dx_type": "Diagnosis by",
    "dataset": "From",
}
LISTED = 6


def people(index: Index, split: Split) -> dict[str, dict[str, Any]]:
    """Counts by split, JSON-ready.

    Returns:
        For each split: `images`, `lesions` (those with an id), `patients` (those known), `age` (`n`, and `median`, `low` and
        `high` quartile, None below two ages), and counts by `dx`, `sex`, `site`, `dx_type` and `dataset`, the most frequent
        first; an unknown value counts as `unknown`. A field that the whole index lacks is an empty mapping.
    """
    records = index.by_id()
    return {name: _counts([records[image_id] for image_id in split.ids[name]]) for name in SPLITS}


def _counts(records: Sequence[Record]) -> dict[str, Any]:
    return {
        "images": len(records),
        "lesions": len({record.lesion_id for record in records if record.has_lesion_id}),
        "patients": len({record.patient_id for record in records} - {""}),
        "age": _ages([record.age for record in records if record.age is not None]),
        **{name: _by(records, name) for name in COUNTED},
    }


def _ages(ages: Sequence[float]) -> dict[str, Any]:
    low, median, high = quantiles(ages, n=4, method="inclusive") if len(ages) > 1 else (None, None, None)
    return {"n": len(ages), "median": median, "low": low, "high": high}


def _by(records: Sequence[Record], name: str) -> dict[str, int]:
    values = [getattr(record, name, "") or UNKNOWN for record in records]
    counts = dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))
    return {} if set(counts) <= {UNKNOWN} else counts


def people_table(counted: dict[str, dict[str, Any]]) -> str:
    """The counts as a section of the card."""
    heads = [name for name in SPLITS if counted[name]["images"]]
    rows = [
        ("Images", [f"{counted[name]['images']:,}" for name in heads]),
        ("Lesion ids", [f"{counted[name]['lesions']:,}" for name in heads]),
        ("Patients", [f"{counted[name]['patients']:,}" if counted[name]["patients"] else UNKNOWN for name in heads]),
        ("Age, median (quartiles)", [_age_text(counted[name]) for name in heads]),
    ]
    rows += [
        (title, [counts_text(counted[name][key]) for name in heads])
        for key, title in TITLES.items()
        if any(counted[name][key] for name in heads)
    ]
    codes = sorted({code for name in heads for code in counted[name]["dx"]})
    rows += [(f"Images of {code}", [f"{counted[name]['dx'].get(code, 0):,}" for name in heads]) for code in codes]
    lines = [f"| {cell(title)} | " + " | ".join(cells) + " |" for title, cells in rows]
    head = "| | " + " | ".join(heads) + " |"
    rule = "|---" * (len(heads) + 1) + "|"
    return "\n".join(["## People and lesions", head, rule, *lines, "", "Race, ethnicity and skin type are not recorded."])


def _age_text(counts: dict[str, Any]) -> str:
    age = counts["age"]
    if age["median"] is None:
        return UNKNOWN
    missing = counts["images"] - age["n"]
    return f"{age['median']:g} ({age['low']:g} to {age['high']:g})" + (f"; {missing} {UNKNOWN}" if missing else "")


def counts_text(counts: dict[str, int]) -> str:
    """Counts in one line, the most frequent first.

    >>> counts_text({"male": 7, "female": 5})
    'male 7, female 5'
    >>> counts_text({})
    'unknown'
    """
    shown = [f"{cell(name)} {count}" for name, count in list(counts.items())[:LISTED]]
    rest = sum(list(counts.values())[LISTED:])
    return ", ".join([*shown, *([f"others {rest}"] if rest else [])]) or UNKNOWN


def cell(text: str) -> str:
    """A text that cannot break out of the cell of a Markdown table.

    >>> cell("a|b")
    'a/b'
    """
    return " ".join(text.replace("|", "/").split())
