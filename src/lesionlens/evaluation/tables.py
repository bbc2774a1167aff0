"""Scores and comparisons as plain text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lesionlens.evaluation.weighted_metrics import OVERALL, PER_CLASS

Number = dict[str, float | None]


def scores_table(scores: dict[str, Any]) -> str:
    """The content of scores.json as text: a header, the overall metrics, one line per diagnosis."""
    level = f"{100 * scores['confidence']:g} %"
    head = (
        f"{scores['name']}: {scores['split']} split, {scores['n_images']} images of {scores['n_lesions']} lesions, "
        f"protocol {scores['protocol']}, {scores['views']} view{'s' if scores['views'] > 1 else ''}\n"
        f"{level} intervals from {scores['resamples']} resamples of lesions; macro means over "
        f"{scores['n_classes_averaged']} of {len(scores['per_class'])} diagnoses"
    )
    overall = _aligned([("metric", "value", f"{level} interval")] + [_row(name, scores["metrics"][name]) for name in OVERALL])
    header = ("diagnosis", "images", *PER_CLASS)
    lines = [(code, str(row["n"]), *(_with_bounds(row[name]) for name in PER_CLASS)) for code, row in scores["per_class"].items()]
    return "\n\n".join([*warnings(scores), head, overall, _aligned([header, *lines])])


def warnings(scores: dict[str, Any]) -> list[str]:
    """Warnings to show with the scores; none for the test split of a leak-free split."""
    lines = []
    if scores["leaks"]:
        rate = scores["leak_rate"]
        share = "" if rate is None else f": {100 * rate:.1f} % of these images show a lesion that was also trained on"
        lines.append(
            f"LEAKING SPLIT (protocol {scores['protocol']}){share}. These metrics are too good; do not report them alone."
        )
    if scores.get("patient_leak_rate"):
        lines.append(f"{100 * scores['patient_leak_rate']:.1f} % of these images are of a patient who is also in training.")
    if scores.get("n_unknown_lesion"):
        lines.append(
            f"{scores['n_unknown_lesion']} of {scores['n_images']} images have no lesion id: whether their lesion was trained on "
            "is unknown, and each counts as a lesion of its own in the intervals."
        )
    if scores["n_dropped"]:
        lines.append(f"{scores['n_dropped']} images of this split could not be read and are not counted.")
    if scores["split"] == "train":
        lines.append("These images were trained on; their metrics say nothing about new images.")
    return lines


def comparison_table(comparison: dict[str, Any]) -> str:
    """The result of `compare` as text."""
    first, second = comparison["first"], comparison["second"]
    level = f"{100 * comparison['confidence']:g} %"
    head = (
        f"first: {first['name']}, seed {first['seed']} ({first['protocol']}); "
        f"second: {second['name']}, seed {second['seed']} ({second['protocol']})\n"
        f"{comparison['split']} split, {comparison['n_images']} images of {comparison['n_lesions']} lesions; "
        f"{level} intervals from {comparison['resamples']} resamples of lesions"
    )
    header = ("metric", "first", "second", "difference", f"{level} interval", "p")
    overall = _aligned([header] + [_difference(name, comparison["metrics"][name]) for name in OVERALL])
    per_class = [
        _difference(f"{name} {code}", row[name]) for code, row in comparison["per_class"].items() for name in ("recall", "auc")
    ]
    test = comparison["mcnemar"]
    last = (
        f"correct only in the first: {test['first_only']}, only in the second: {test['second_only']}; "
        f"exact McNemar p {_p(test['p'])}\n"
        f"{test['caution']}"
    )
    return "\n\n".join([*comparison["notes"], head, overall, _aligned([header, *per_class]), last])


def _row(name: str, number: Number) -> tuple[str, str, str]:
    return name.replace("_", " "), _number(number["value"]), f"{_number(number['low'])} to {_number(number['high'])}"


def _with_bounds(number: Number) -> str:
    if number["value"] is None:
        return "-"
    value, low, high = ("-" if number[end] is None else f"{number[end]:.3f}" for end in ("value", "low", "high"))
    return f"{value} ({low}-{high})"


def _difference(name: str, row: Number) -> tuple[str, ...]:
    signed = "-" if row["difference"] is None else f"{row['difference']:+.4f}"
    low, high = ("-" if row[key] is None else f"{row[key]:+.4f}" for key in ("low", "high"))
    return name.replace("_", " "), _number(row["first"]), _number(row["second"]), signed, f"{low} to {high}", _p(row["p"])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _p(value: float | None) -> str:
    if value is None:
        return "-"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    numbers = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
    return "  ".join((row[0].ljust(widths[0]), *numbers))
