"""Scores and comparisons as plain text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lesionlens.core.percent import p_number
from lesionlens.evaluation.calibration import ECE_BINS
from lesionlens.evaluation.weighted_metrics import OVERALL, PER_CLASS

Number = dict[str, Any]


def scores_table(scores: dict[str, Any]) -> str:
    """The content of scores.json as text: a header, the overall metrics, one line per diagnosis."""
    level = f"{100 * scores['confidence']:g} %"
    head = (
        f"{scores['name']}: {scores['split']} split, {scores['n_images']} images of {scores['n_lesions']} lesions, "
        f"protocol {scores['protocol']}, {scores['views']} view{'s' if scores['views'] > 1 else ''}\n"
        f"{level} intervals by lesion; macro means over "
        f"{scores['n_classes_averaged']} of {len(scores['per_class'])} diagnoses"
    )
    header = ("metric", "value", f"{level} interval", "method")
    overall = _aligned([header] + [_row(name, scores["metrics"][name]) for name in OVERALL])
    columns = ("diagnosis", "images", *PER_CLASS)
    lines = [(code, str(row["n"]), *(_with_bounds(row[name]) for name in PER_CLASS)) for code, row in scores["per_class"].items()]
    notes = [*few_lesions(scores), *calibration_note(scores)]
    return "\n\n".join([*warnings(scores), head, overall, _aligned([columns, *lines]), *notes])


def few_lesions(scores: dict[str, Any]) -> list[str]:
    """Diagnoses whose metrics have no interval, in one sentence; none for scores of lesionlens 0.1."""
    few = [
        f"{code} ({row['n_lesions']})"
        for code, row in scores["per_class"].items()
        if 0 < row.get("n_lesions", 0) < scores.get("least_lesions", 0)
    ]
    if not few:
        return []
    return [
        f"Fewer than {scores['least_lesions']} lesions, so counts and no intervals: {', '.join(few)} (lesions in brackets). "
        "The macro means include them."
    ]


def calibration_note(scores: dict[str, Any]) -> list[str]:
    """What the calibration error is, and its test, in one sentence; none for scores of lesionlens 0.1."""
    ece = scores["metrics"]["ece"]
    if "plain" not in ece:
        return []
    test = "not tested" if ece["p"] is None else f"p {p_number(ece['p'])} that the model is calibrated"
    return [f"ECE is debiased; plain, in {ECE_BINS} bins, it is {ece['plain']:.4f}; {test}."]


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
        f"{level} intervals by lesion, paired"
    )
    header = ("metric", "first", "second", "difference", f"{level} interval", "p")
    overall = _aligned([(*header, "tested as")] + [_tested(name, comparison) for name in OVERALL])
    per_class = [
        _difference(f"{name} {code}", row[name]) for code, row in comparison["per_class"].items() for name in ("recall", "auc")
    ]
    test = comparison["mcnemar"]
    last = (
        f"correct only in the first: {test['first_only']}, only in the second: {test['second_only']}; "
        f"exact McNemar p {p_number(test['p'])}\n"
        f"{test['caution']}"
    )
    exploratory = "The p values of single diagnoses, and those without an entry above, are exploratory: no correction was made."
    reasons = sorted({row["reason"] for row in comparison["metrics"].values() if row.get("reason")})
    return "\n\n".join(
        [*comparison["notes"], head, overall, *map(_sentence, reasons), _aligned([header, *per_class]), exploratory, last]
    )


def pooled_table(pooled: dict[str, Any]) -> str:
    """The result of `pooling.pool` as text."""
    level = f"{100 * pooled['confidence']:g} %"
    folds, repetitions = pooled["n_folds"], pooled["n_repetitions"]
    head = (
        f"{' and '.join(pooled['names'])}: {pooled['n_runs']} runs, {folds} fold{'s' if folds > 1 else ''}, "
        f"{repetitions} repetition{'s' if repetitions > 1 else ''}, "
        f"{pooled['n_images']} images of {pooled['n_lesions']} lesions"
    )
    header = ("metric", "mean", f"{level} interval", "sd of sampling", "sd of training")
    rows = [
        (*_row(name, number)[:3], _number(number["sampling_sd"]), _number(number["training_sd"]))
        for name, number in pooled["metrics"].items()
    ]
    return "\n\n".join([head, _aligned([header, *rows]), _sentence(f"interval: {pooled['method']}")])


def _row(name: str, number: Number) -> tuple[str, str, str, str]:
    value = _number(number["value"])
    if number["low"] is None:
        return name.replace("_", " "), value, _count(number) or "-", number.get("reason", "")
    return name.replace("_", " "), value, f"{_number(number['low'])} to {_number(number['high'])}", number.get("method", "")


def _with_bounds(number: Number) -> str:
    if number["value"] is None:
        return "-"
    if number["low"] is None:
        count = _count(number)
        return f"{number['value']:.3f} ({count})" if count else f"{number['value']:.3f}"
    return f"{number['value']:.3f} ({number['low']:.3f}-{number['high']:.3f})"


def _count(number: Number) -> str:
    return f"{number['count']} of {number['of']}" if "count" in number else ""


def _tested(name: str, comparison: dict[str, Any]) -> tuple[str, ...]:
    hypotheses = comparison["hypotheses"]
    role = "primary" if name == hypotheses["primary"] else ""
    if name in hypotheses["holm"]:
        role = f"family, Holm {p_number(hypotheses['holm'][name])}"
    return (*_difference(name, comparison["metrics"][name]), role)


def _difference(name: str, row: Number) -> tuple[str, ...]:
    signed = "-" if row["difference"] is None else f"{row['difference']:+.4f}"
    interval = "-" if row["low"] is None else f"{row['low']:+.4f} to {row['high']:+.4f}"
    return name.replace("_", " "), _number(row["first"]), _number(row["second"]), signed, interval, p_number(row["p"])


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    numbers = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
    return "  ".join((row[0].ljust(widths[0]), *numbers))
