"""Rows of the paper's tables of experiments (9 and 12 to 17), by the names that grids give them."""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib.resources import files
from typing import Any

from lesionlens.reporting import paper

TABLES = ("table9", "table12", "table13", "table14", "table15", "table16", "table17")


@lru_cache(maxsize=1)
def _printed() -> dict[tuple[str, str], dict[str, str]]:
    text = (files("lesionlens.reporting") / "paper_tables.csv").read_text(encoding="utf-8")
    return {(row["table"], row["row"]): row for row in csv.DictReader(text.splitlines())}


def paper_value(table: str, row: str, metric: str) -> paper.PaperValue | None:
    """One value of a table of experiments; None where the paper prints none.

    >>> paper_value("table14", "sgd", "accuracy")
    PaperValue(value=0.8673, printed=None)

    Args:
        table: `table9` or `table12` to `table17`.
        row: name of the row: an arm, a network, a number of pixels, an optimizer, a batch size, or author and year.
        metric: a name of `paper.METRICS`.
    """
    if table == "table9":
        return paper.augmentation_arm(row, metric)
    if table == "table12":
        return paper.backbone(row, metric)
    printed = _printed().get((table, row), {}).get(metric)
    return paper.PaperValue(round(float(printed) / 100, 6)) if printed else None


def paper_rows(table: str) -> tuple[str, ...]:
    """Names of the rows of a table of experiments, in the paper's order."""
    known = {"table9": paper.TABLE_9, "table12": paper.TABLE_12}
    return tuple(known[table]) if table in known else tuple(row for of, row in _printed() if of == table)


def label_of(table: str, row: str) -> str:
    """A row's name as the paper prints it, with its source."""
    if table == "table9":
        return paper.ARMS[row]
    printed = _printed().get((table, row))
    return row if printed is None else ", ".join(text for text in (printed["label"], printed["source"]) if text)


def paper_row(table: str, row: str) -> dict[str, Any]:
    """Whatever the paper prints of a row, JSON-ready: value and misprint by metric; {} if it has no such row.

    Args:
        table: the table; empty has no rows.
        row: name of the row; `table12:convnext_tiny` is one of another table.
    """
    of, colon, name = row.partition(":")
    table, row = (of, name) if colon else (table, row)
    values = {metric: paper_value(table, row, metric) for metric in paper.METRICS} if table else {}
    return {metric: {"value": each.value, "printed": each.printed} for metric, each in values.items() if each is not None}
