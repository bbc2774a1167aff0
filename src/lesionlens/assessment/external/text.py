"""An external evaluation as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lesionlens.assessment.external.intention import NOT_SURE, REFUSED, UNREADABLE

COLUMNS = {
    "balanced_accuracy": "balanced accuracy",
    "restricted_balanced_accuracy": "restricted",
    "melanoma_auc": "melanoma AUC",
    "melanoma_sensitivity": "sensitivity",
    "melanoma_specificity": "specificity",
    "refitted_sensitivity": "re-fitted sens.",
    "refitted_specificity": "re-fitted spec.",
    "malignant_auc": "malignant AUC",
}
WORDS = {UNREADABLE: "unreadable", REFUSED: "refused by the gate", NOT_SURE: "not sure"}


def external_text(content: dict[str, Any], others: Sequence[dict[str, Any]] = ()) -> str:
    """The content of external.json as text.

    Args:
        content: of this evaluation.
        others: contents of further evaluations of the same model, for the table of centres.
    """
    head = f"{content['model']['name']} on {content['name']}: {flow_line(content['flow'])}"
    lines = [head, f"Frozen: {frozen_line(content['frozen'])}", *mapping_lines(content), *leak_lines(content["leaks"])]
    table = centre_table([*others, content])
    intention = [f"{row['rule']}: {_intention(row)}" for row in content["intention"].values()]
    return "\n\n".join(
        ["\n".join(lines), table, "\n".join(intention), "\n".join([*shift_lines(content["shift"]), *conformal_lines(content)])]
    )


def flow_line(flow: dict[str, Any]) -> str:
    """What became of the images, in one line."""
    steps = [f"{flow[name]} {WORDS[name]}" for name in WORDS]
    kept = f" ({flow['leaked_kept']} leaked ones kept)" if flow["leaked_kept"] else ""
    return (
        f"{flow['index']} images, {flow['leaked']} leaked and left out{kept}, {', '.join(steps)}, {flow['diagnosed']} diagnosed"
    )


def frozen_line(frozen: dict[str, Any]) -> str:
    """Temperature and threshold, and where they come from."""
    if frozen["threshold"] is None:
        threshold = f"no threshold ({frozen['threshold_reason']})"
    else:
        threshold = f"threshold {frozen['threshold']:.4f} for {' '.join(frozen['watched'])}"
    gate = "gate" if frozen["gate"] else "no gate"
    return f"temperature {frozen['temperature']:.3f}, {threshold}, {gate}; from {frozen['source']}"


def mapping_lines(content: dict[str, Any]) -> list[str]:
    """How labels were mapped, what the model lacks, and what the data lack."""
    rows = content["mapping"]["rows"]
    mapped = [f"{row['code']} as {row['model']} ({row['n_images']})" for row in rows if row["model"] not in (None, row["code"])]
    outside = [f"{row['code']} ({row['n_images']})" for row in rows if row["model"] is None and row["n_images"]]
    absent = content["mapping"]["absent"]
    lines = [f"Mapped: {', '.join(mapped)}."] if mapped else []
    if outside:
        lines.append(
            f"The model lacks {', '.join(outside)}: not in its scores by class, but in those of malignant against benign."
        )
    if absent:
        lines.append(
            f"The data lack {', '.join(absent)}: a first choice of these is an error; the column `restricted` leaves them out."
        )
    return lines


def leak_lines(leaks: dict[str, Any]) -> list[str]:
    """What was leaked of the training images."""
    if not leaks["screened"]:
        return [f"Leaks from training: {' '.join(leaks['notes'])}."]
    kinds = ", ".join(f"{kind} {count}" for kind, count in leaks["by_kind"].items())
    fate = "KEPT, so the scores are too good" if leaks["kept"] else "left out"
    leaked = f"{leaks['n_leaked']} images ({kinds}), {fate}" if leaks["n_leaked"] else "none"
    suspected = f"; {leaks['n_suspected']} more are suspected and kept" if leaks["n_suspected"] else ""
    line = f"Leaks from training: {leaked}{suspected}; compared with {leaks['n_training']} images of {leaks['source']}."
    return [line, *(f"Note: {note}." for note in leaks["notes"])]


def shift_lines(shift: dict[str, Any]) -> list[str]:
    """How far the images are from the training images."""
    lines, distance, prior = [], shift["distance"], shift["prior"]
    if "reason" in distance:
        lines.append(f"Gate distance: not measured, {distance['reason']}.")
    else:
        area = distance["auc_reason"] if distance["auc"] is None else f"AUC {distance['auc']:.3f} against validation images"
        lines.append(f"Gate distance: {100 * distance['share_beyond']:.1f} % beyond the threshold; {area}.")
    if prior["observed_from_training"] is not None:
        lines.append(
            f"Shares of diagnoses: {100 * prior['observed_from_training']:.1f} % of the images would have to change diagnosis to "
            f"have the shares of training; estimated without labels, {100 * prior['estimated_from_observed']:.1f} % off."
        )
    differences = {name: row["difference"] for name, row in shift["colour"]["statistics"].items()}
    values = [f"{name} {value:+.2f}" for name, value in differences.items() if value is not None]
    lines.append(f"Colour, in SDs of the training images: {', '.join(values)}." if values else "Colour: not compared.")
    return lines


def conformal_lines(content: dict[str, Any]) -> list[str]:
    """Coverage of the run's conformal sets here, beside that on its own test split."""
    conformal = content["conformal"]
    if "reason" in conformal:
        return [f"Conformal sets: not evaluated, {conformal['reason']}."]
    return [
        f"Conformal sets ({row['score']}, {row['group']}), {100 * row['coverage']:g} % promised: coverage "
        f"{figure_text(row['external']['coverage'])}, {row['external']['size']:.2f} diagnoses on average; on the own test split "
        f"{figure_text(row['test']['coverage'])}, {row['test']['size']:.2f}."
        for row in conformal["sets"]
    ]


def centre_table(contents: Sequence[dict[str, Any]]) -> str:
    """One row for each set and unit, and one for the model's own test split."""
    rows = [["set", "images", "lesions", *COLUMNS.values()]]
    internal = next((content["internal"] for content in reversed(contents) if content["internal"]), None)
    if internal is not None:
        rows.append(_row(f"own {internal['split']} split", internal))
    for content in contents:
        figures = content["key_figures"]
        rows.append(_row(content["name"], figures["image"]))
        if figures["lesion"] is not None:
            rows.append(_row(f"{content['name']}, by lesion", figures["lesion"]))
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(
        [*lines, "Sensitivity and specificity: melanoma, at the frozen threshold, where not sure counts as detected."]
    )


def _row(name: str, row: dict[str, Any]) -> list[str]:
    return [name, str(row["n_images"]), str(row["n_lesions"]), *(figure_text(row["figures"][column]) for column in COLUMNS)]


def figure_text(figure: dict[str, Any]) -> str:
    """A figure with its interval; without one its count, and a dash where it is not computed.

    >>> figure_text({"value": 0.912, "low": 0.8, "high": 0.95}), figure_text({"value": None, "low": None, "high": None})
    ('0.912 (0.800-0.950)', '-')
    """
    if figure["value"] is None:
        return "-"
    if figure["low"] is None:
        return f"{figure['value']:.3f}" + (f" ({figure['count']} of {figure['of']})" if "of" in figure else "")
    return f"{figure['value']:.3f} ({figure['low']:.3f}-{figure['high']:.3f})"


def _intention(row: dict[str, Any]) -> str:
    names = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy"}
    names |= {"malignant_sensitivity": "sensitivity for malignancy", "malignant_specificity": "specificity"}
    figures = ", ".join(f"{words} {figure_text(row[name])}" for name, words in names.items())
    return f"{row['n_images']} images, {figures}"
