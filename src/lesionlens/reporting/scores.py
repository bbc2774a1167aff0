"""The report's metrics: scores beside the paper's, confusion, curves, calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup

from lesionlens.core.labels import HAM10000
from lesionlens.evaluation.calibration import reliability_bins
from lesionlens.evaluation.ranking import average_precision, precision_recall_curve, roc_curve
from lesionlens.evaluation.tables import calibration_note, few_lesions
from lesionlens.reporting import paper, plots
from lesionlens.reporting.formats import (
    OVERALL,
    PER_CLASS,
    PLAIN,
    defined,
    has_interval,
    interval_text,
    metric_row,
    metric_text,
    metric_unit,
    percent,
)
from lesionlens.reporting.palette import class_names
from lesionlens.reporting.plots import IntervalRow
from lesionlens.reporting.run_folder import RunContents

Rows = list[dict[str, Any]]


def compares_with_paper(run: RunContents) -> bool:
    """Whether the paper's metrics belong beside this run's: real images of HAM10000's seven diagnoses."""
    return run.labels.codes == HAM10000.codes and not run.synthetic


def overall(run: RunContents) -> dict[str, Any]:
    """The table of overall metrics."""
    compare, scores = compares_with_paper(run), run.scores
    return {
        "rows": [
            {
                **metric_row(name, label, scores["metrics"][name]),
                "paper": _paper_cell(name, paper.overall(name) if compare else None),
            }
            for name, label in OVERALL.items()
        ],
        "compare": compare,
        "classes": scores["n_classes_averaged"],
        "known": len(run.labels),
        "method": interval_method(scores),
        "methods": list(scores.get("methods", {}).items()),
        "few": few_lesions(scores),
        "confidence": percent(scores["confidence"], 0),
        "paper_leak": percent(paper.LEAK_RATE),
        "paper_images": f"{paper.TEST_IMAGES:,}",
    }


def interval_method(scores: dict[str, Any]) -> str:
    """How the intervals were made, in a few words."""
    if "methods" in scores:
        return "by lesion, not image; the method of each is named"
    return f"from {scores['resamples']:,} resamples of lesions, not images (percentiles, as lesionlens 0.1 computed them)"


def per_class(run: RunContents) -> dict[str, Any]:
    """The table by diagnosis, and the interval plots of recall and precision."""
    css, compare = class_names(run.labels), compares_with_paper(run)
    rows = []
    for diagnosis in run.labels.diagnoses:
        own = run.scores["per_class"][diagnosis.code]
        cells = [_class_cell(name, diagnosis.code, own[name], compare) for name in PER_CLASS]
        rows.append({"diagnosis": diagnosis, "css": css[diagnosis.code], "n": own["n"], "cells": cells})
    return {
        "rows": rows,
        "heads": [(label, metric_unit(name).strip()) for name, label in PER_CLASS.items()],
        "corrections": _corrections(rows),
        "recall": _interval_plot(run, "recall", "recall (sensitivity), %", compare),
        "precision": _interval_plot(run, "precision", "precision, %", compare),
        "compare": compare,
    }


def _class_cell(name: str, code: str, metric: dict[str, Any], compare: bool) -> dict[str, Any]:
    return {
        "head": PER_CLASS[name],
        "value": metric_text(name, metric["value"]),
        "interval": interval_text(name, metric),
        "paper": _paper_cell(name, paper.per_class(code, name) if compare else None),
    }


def _paper_cell(name: str, value: paper.PaperValue | None) -> dict[str, Any] | None:
    if value is None:
        return None
    as_printed = f"{value.value:.4f}" if name in PLAIN else f"{100 * value.value:.2f}"
    return {"text": as_printed, "printed": None if value.printed is None else f"{value.printed:.2f}"}


def _corrections(rows: Rows) -> Rows:
    """The cells of the paper that are corrected here."""
    return [
        {"row": row["diagnosis"].name, "metric": cell["head"], **cell["paper"]}
        for row in rows
        for cell in row["cells"]
        if cell["paper"] and cell["paper"]["printed"]
    ]


def _interval_plot(run: RunContents, name: str, label: str, compare: bool) -> Markup:
    css, rows = class_names(run.labels), []
    for code in run.labels.codes:
        metric = run.scores["per_class"][code][name]
        if not defined(metric["value"]):
            continue
        if not defined(metric["low"]):
            continue  # a point without an interval would look exact; the table has its count
        low, high = metric["low"], metric["high"]
        printed = paper.per_class(code, name) if compare else None
        rows.append(IntervalRow(code, css[code], metric["value"], low, high, None if printed is None else printed.value))
    if not rows:
        return Markup('<p class="quiet">No diagnosis has enough lesions for an interval.</p>')
    return plots.interval_plot(rows, label, "paper" if compare else "")


OURS = (
    "accuracy",
    "macro_precision",
    "macro_recall",
    "macro_specificity",
    "macro_f1",
    "macro_auc",
)  # in the order of paper.METRICS


def ablations(run: RunContents) -> dict[str, Any] | None:
    """Tables 9 and 12 of the paper with this run below them; None where they are not comparable."""
    if not compares_with_paper(run):
        return None
    recipe = run.recipe
    arm = paper.arm_of(recipe.augmentation.offline_fill, recipe.augmentation.mixup_p + recipe.augmentation.cutmix_p)
    own = [{"text": metric_text(name, run.scores["metrics"][name]["value"]), "printed": None} for name in OURS]
    return {
        "heads": [PER_CLASS.get(name, "Accuracy") for name in paper.METRICS],
        "arms": [{"label": words, "cells": _cells(paper.augmentation_arm, name)} for name, words in paper.ARMS.items()],
        "networks": [{"label": name, "cells": _cells(paper.backbone, name)} for name in paper.TABLE_12],
        "own": own,
        "own_arm": paper.ARMS[arm],
        "own_network": recipe.model.name,
    }


def _cells(table: Any, row: str) -> list[dict[str, Any] | None]:
    return [_paper_cell(metric, table(row, metric)) for metric in paper.METRICS]


def confusion(run: RunContents) -> dict[str, Any]:
    """The confusion matrix: counts with their share of the row; malignant lesions called benign are marked."""
    matrix, css = np.asarray(run.scores["confusion"]), class_names(run.labels)
    malignant = run.labels.malignant
    rows: Rows = []
    for true, diagnosis in enumerate(run.labels.diagnoses):
        total = int(matrix[true].sum())
        cells = [
            {
                "count": int(n),
                "share": f"{100 * n / total:.0f}" if total else "",
                "weight": f"{n / total:.3f}" if total else "0",
                "right": true == called,
                "missed": malignant[true] and not malignant[called] and n > 0,
                "called": run.labels.names[called],
            }
            for called, n in enumerate(matrix[true])
        ]
        rows.append({"diagnosis": diagnosis, "css": css[diagnosis.code], "total": total, "cells": cells})
    malignant_rows, benign_rows = np.flatnonzero(malignant), np.flatnonzero(~np.array(malignant))
    return {
        "rows": rows,
        "called": matrix.sum(0).tolist(),
        "missed": int(matrix[np.ix_(malignant_rows, benign_rows)].sum()),
        "malignant": int(matrix[malignant_rows].sum()),
        "false_alarms": int(matrix[np.ix_(benign_rows, malignant_rows)].sum()),
        "benign": int(matrix[benign_rows].sum()),
    }


def curves(run: RunContents) -> Rows:
    """ROC and precision-recall panels, one pair for each diagnosis that has cases."""
    css, labels, probabilities = class_names(run.labels), run.predictions.labels, run.probabilities
    rows: Rows = []
    for place, diagnosis in enumerate(run.labels.diagnoses):
        truth = labels == place
        if not truth.any() or truth.all():
            continue
        metric = run.scores["per_class"][diagnosis.code]["auc"]
        scores = probabilities[:, place]
        roc, pr = roc_curve(truth, scores), precision_recall_curve(truth, scores)
        rows.append(
            {
                "diagnosis": diagnosis,
                "css": css[diagnosis.code],
                "n": int(truth.sum()),
                "auc": metric_text("auc", metric["value"]),
                "interval": interval_text("auc", metric) if has_interval(metric) else "",
                "average_precision": f"{average_precision(truth, scores):.3f}",
                "roc": plots.roc_panel(roc.false_positive_rate, roc.true_positive_rate, css[diagnosis.code], diagnosis.name),
                "pr": plots.precision_recall_panel(
                    pr.precision, pr.recall, float(truth.mean()), css[diagnosis.code], diagnosis.name
                ),
            }
        )
    return rows


def absent(run: RunContents) -> list[str]:
    """Names of diagnoses without cases in the scored split."""
    present = set(np.unique(run.predictions.labels).tolist())
    return [name for place, name in enumerate(run.labels.names) if place not in present]


def calibration(run: RunContents) -> dict[str, Any]:
    """Reliability diagram, histogram of confidence, and the three metrics of calibration."""
    bins = reliability_bins(run.probabilities, run.predictions.labels)
    confidence = run.probabilities.max(1)
    gap = float(confidence.mean() - (run.probabilities.argmax(1) == run.predictions.labels).mean())
    return {
        "diagram": plots.reliability_panel(bins),
        "histogram": plots.confidence_panel(bins),
        "metrics": [metric_row(name, OVERALL[name], run.scores["metrics"][name]) for name in ("ece", "brier", "nll")],
        "gap": f"{abs(100 * gap):.1f}",
        "leaning": "over-confident" if gap > 0 else "under-confident",
        "bins": len(bins),
        "test": "".join(calibration_note(run.scores)),
    }
