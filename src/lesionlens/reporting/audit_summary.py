"""The audit as a few facts and short tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lesionlens.core.errors import ArtifactError
from lesionlens.reporting.formats import count, plural
from lesionlens.reporting.run_folder import RunContents

LISTED = 10
FIELDS = {"age": "age", "sex": "sex", "site": "site", "lesion_id": "lesion id", "patient_id": "patient id", "mask": "lesion mask"}


def audit_summary(run: RunContents) -> dict[str, Any] | None:
    """Findings of the audit: `facts` as (name, text) pairs, and `tables`; None without an audit.

    Raises:
        ArtifactError: if the audit lacks a field.
    """
    if run.audit is None:
        return None
    try:
        return {"facts": _facts(run.audit), "tables": [table for table in _tables(run.audit) if table["rows"]]}
    except (AttributeError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{run.paths.audit} is not an audit ({error!r}); make it again with: lesionlens audit INDEX"
        ) from error


def _facts(audit: dict[str, Any]) -> list[tuple[str, str]]:
    pairs, unreadable, known = audit["pairs"], audit["unreadable"], audit["known"]
    exact, certain = sum(pair["kind"] == "exact" for pair in pairs), sum(bool(pair["certain"]) for pair in pairs)
    missing = [f"{count(n)} without {FIELDS.get(name, name)}" for name, n in audit["missing"].items() if n]
    facts = [
        ("Files", f"{plural(audit['n_images'], 'image')}, {count(len(unreadable)) if unreadable else 'none'} of them unreadable"),
        (
            "Duplicates",
            f"{plural(len(pairs), 'suspected pair')} of images that show one lesion under two lesion ids, "
            f"{count(certain)} certain, {count(exact)} with equal pixels",
        ),
        ("Repeats", f"{plural(audit['exact_within_lesion'], 'image')} equal to another of the same lesion id"),
        ("Missing fields", ", ".join(missing) or "none"),
        ("Labels", f"{plural(len(audit['disagreeing']), 'lesion')} with more than one diagnosis"),
    ]
    if known["listed"]:
        words = f"{count(known['found'])} of {plural(known['listed'], 'published pair')} found, {count(known['certain'])} certain"
        facts.insert(2, ("Known pairs", words))
    if audit["split_hash"]:
        facts.append(("Crossing", f"{plural(len(audit['crossing']), 'lesion')} with images in more than one split"))
    return facts


def _tables(audit: dict[str, Any]) -> list[dict[str, Any]]:
    broken = [(row["image_id"], row["reason"]) for row in audit["unreadable"]]
    pairs = [
        (
            pair["image_id_a"],
            pair["image_id_b"],
            pair["dx_a"] if pair["dx_a"] == pair["dx_b"] else f"{pair['dx_a']}, {pair['dx_b']}",
            str(pair["keypoints"]) if "keypoints" in pair else f"{pair['correlation']:.2f}",  # correlation: of 0.1.0
            ", ".join(word for word, holds in (("certain", pair["certain"]), ("published", pair["known"])) if holds)
            or "suspected",
        )
        for pair in audit["pairs"]
    ]
    labels = [(", ".join(row["lesion_ids"]), _counted(row["dx"])) for row in audit["disagreeing"]]
    crossing = [(", ".join(row["lesion_ids"]), _counted(row["splits"])) for row in audit["crossing"]]
    return [
        _table("Unreadable files", ("Image", "Why"), broken),
        _table("Suspected pairs, most alike first", ("Image", "Image", "Diagnosis", "Shared keypoints", "Verdict"), pairs),
        _table("Lesions with more than one diagnosis", ("Lesion", "Images by diagnosis"), labels),
        _table("Lesions in more than one split", ("Lesion", "Images by split"), crossing),
    ]


def _table(title: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    return {"title": title, "heads": heads, "rows": rows[:LISTED], "more": max(0, len(rows) - LISTED)}


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in counts.items())
