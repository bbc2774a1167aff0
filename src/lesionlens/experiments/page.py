"""The table of a grid as one HTML file: scores with intervals, the paper beside, cost, and training curves of every row."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from lesionlens import __version__
from lesionlens.experiments import formats
from lesionlens.experiments.curves import curve_panels
from lesionlens.reporting import paper
from lesionlens.reporting.formats import interval_text, metric_text
from lesionlens.reporting.plots import IntervalRow, interval_plot
from lesionlens.reporting.style import TEMPLATES, page_environment


def page(table: dict[str, Any], folder: Path) -> str:
    """The HTML text of a table.

    Args:
        table: as `table.build_table` makes it.
        folder: of the experiment; the histories of its runs are read.
    """
    environment = page_environment("lesionlens.experiments")
    content = {
        "css": Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        "table": table,
        "caption": formats.caption(table),
        "scores": _scores(table),
        "conclusion": formats.conclusion(table),
        "plot": _plot(table),
        "folds": formats.fold_rows(table),
        "paper": _paper(table),
        "citation": f"{paper.CITATION}, doi:{paper.DOI}",
        "cost": {
            "heads": formats.COST_HEADS,
            "rows": [(formats.row_name(row), formats.cost_cells(row["cost"])) for row in table["rows"]],
        },
        "cost_note": formats.cost_note(table),
        "missing": [(formats.row_name(row), row["reason"]) for row in table["rows"] if row["reason"]],
        "curves": curve_panels(table, folder),
        "version": __version__,
        "date": datetime.now(UTC).strftime("%d %B %Y"),
    }
    return environment.get_template("table.html").render(**content)


def _scores(table: dict[str, Any]) -> dict[str, Any]:
    names = formats.metrics_shown(table)
    return {
        "heads": [formats.head(name) for name in names],
        "compared": formats.difference_heads(),
        "rows": [
            {
                "name": row["name"] or row["title"],
                "title": row["title"] if row["name"] else "",
                "runs": formats.runs_text(row),
                "metrics": [_metric(row, name) for name in names],
                "compared": formats.difference_cells(table, row),
            }
            for row in table["rows"]
        ],
    }


def _metric(row: dict[str, Any], name: str) -> tuple[str, str]:
    metric = row["metrics"].get(name, {"value": None, "low": None, "high": None})
    return metric_text(name, metric["value"]), interval_text(name, metric)


def _plot(table: dict[str, Any]) -> Markup:
    """The primary metric of every row with its interval; empty where it is no share or has no interval."""
    name = table["primary"]
    numbers = [(row, row["metrics"].get(name)) for row in table["rows"]]
    column = paper.OVERALL_NAMES.get(name, "")
    rows = [
        IntervalRow(
            row["name"] or row["title"], "", each["value"], each["low"], each["high"], row["paper"].get(column, {}).get("value")
        )
        for row, each in numbers
        if each is not None and each["low"] is not None
    ]
    return interval_plot(rows, f"{formats.head(name)}, %", "paper") if rows and name in paper.OVERALL_NAMES else Markup("")


def _paper(table: dict[str, Any]) -> list[tuple[str, list[str]]]:
    if not any(row["paper"] for row in table["rows"]):
        return []
    return formats.paper_lines(table)
