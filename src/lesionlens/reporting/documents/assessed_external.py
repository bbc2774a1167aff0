"""external.json of every other data set in the documents: scores beside the own test split, and how the images differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lesionlens.bundle.card_limits import Limit
from lesionlens.reporting.documents.numbers import metric_number
from lesionlens.reporting.documents.people import cell

Sets = Mapping[str, Mapping[str, Any]]
COLUMNS = {
    "balanced_accuracy": "balanced accuracy",
    "melanoma_auc": "AUC melanoma",
    "melanoma_sensitivity": "sensitivity melanoma",
    "melanoma_specificity": "specificity melanoma",
    "malignant_auc": "AUC malignant",
}
COMPARED = ("melanoma_auc", "malignant_auc", "balanced_accuracy")  # the first that both have
NAMES = {
    "melanoma_auc": "the AUC for melanoma",
    "malignant_auc": "the AUC for malignant lesions",
    "balanced_accuracy": "balanced accuracy",
}
MELANOMA_NOTE = 'Sensitivity and specificity for melanoma at the frozen threshold, where "not sure" counts as found.'


def section(sets: Sets) -> str:
    """The section of the card."""
    lines = [
        "## Other data sets",
        MELANOMA_NOTE,
        "",
        f"| data | images | {' | '.join(COLUMNS.values())} |",
        "|---" * (len(COLUMNS) + 2) + "|",
    ]
    internal = _internal(sets)
    rows = {} if internal is None else {f"own {internal['split']} split": internal}
    rows |= {name: content["key_figures"]["image"] for name, content in sets.items()}
    lines += [_row(name, row) for name, row in rows.items()]
    lines += ["", *(f"- {cell(name)}: {_flow(content)} {_shift(content)}" for name, content in sets.items()), *_reasons(rows)]
    return "\n".join(lines)


def answer(sets: Sets) -> str:
    """Scores on each other data set in sentences."""
    return " ".join(f"{name}: {_flow(content)} {_figures(content['key_figures']['image'])}." for name, content in sets.items())


def shift(sets: Sets) -> str:
    """How the images of each data set differ from the training images."""
    return " ".join(f"{name}: {_shift(content)}" for name, content in sets.items())


def limits(sets: Sets) -> list[Limit]:
    """The data set with the lowest score beside the own test split."""
    known = [(content, *compared) for content in sets.values() if (compared := _compared(content)) is not None]
    if not known:
        return []
    content, metric, _ = min(known, key=lambda row: row[2])
    there = content["key_figures"]["image"]
    text = (
        f"On {content['name']} ({there['n_images']} images) {NAMES[metric]} is {metric_number(metric, there['figures'][metric])}"
    )
    own = (content["internal"] or {}).get("figures", {}).get(metric, {})
    beside = f", on the own test split {metric_number(metric, own)}" if own.get("value") is not None else ""
    return [Limit(80, "external", f"{text}{beside}.")]


def _compared(content: Mapping[str, Any]) -> tuple[str, float] | None:
    """The metric that is compared with the own test split, and its value; None if the data allow none."""
    figures = content["key_figures"]["image"]["figures"]
    known = (metric for metric in COMPARED if figures[metric]["value"] is not None)
    metric = next(known, None)
    return None if metric is None else (metric, float(figures[metric]["value"]))


def _internal(sets: Sets) -> Mapping[str, Any] | None:
    return next((content["internal"] for content in sets.values() if content["internal"]), None)


def _row(name: str, row: Mapping[str, Any]) -> str:
    cells = " | ".join(_cell(column, row["figures"][column]) for column in COLUMNS)
    return f"| {cell(name)} | {row['n_images']} | {cells} |"


def _cell(name: str, figure: Mapping[str, Any]) -> str:
    return "undefined" if figure["value"] is None else cell(metric_number(name, figure))


def _reasons(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Why figures are undefined, each reason once."""
    found: dict[str, list[str]] = {}
    for name, row in rows.items():
        for column, title in COLUMNS.items():
            figure = row["figures"][column]
            if figure["value"] is None:
                found.setdefault(figure.get("reason", "not computed"), []).append(f"{title} ({name})")
    return [f"- Undefined: {cell(', '.join(where))}, because {cell(reason)}." for reason, where in found.items()]


def _figures(row: Mapping[str, Any]) -> str:
    return "; ".join(f"{title} {metric_number(name, row['figures'][name])}" for name, title in COLUMNS.items())


def _flow(content: Mapping[str, Any]) -> str:
    flow = content["flow"]
    return (
        f"{flow['index']} images, {flow['leaked']} left out because they may be training images, {flow['unreadable']} "
        f"unreadable, "
        f'{flow["refused"]} refused by the gate, {flow["not_sure"]} "not sure", {flow["diagnosed"]} diagnosed.'
    )


def _shift(content: Mapping[str, Any]) -> str:
    distance, prior = content["shift"]["distance"], content["shift"]["prior"]
    known = "reason" not in distance
    beyond = f"{100 * distance['share_beyond']:.1f} % beyond the threshold" if known else f"not measured ({distance['reason']})"
    changed, shares = prior["observed_from_training"], ""
    if changed is not None:
        shares = f"; {100 * changed:.1f} % of the images would have to change diagnosis to have the shares of training"
    return f"Distance from the training images: {beyond}{shares}."
