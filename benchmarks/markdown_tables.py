"""What the tables of the pages are made with: results of benchmarks, rows, intervals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"


def read(name: str) -> Any:
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


def table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))


def interval(metric: dict[str, Any]) -> str:
    """A value with its bounds; a dash where it has none."""
    return f"{metric['value']:.3f} ({metric['low']:.3f} to {metric['high']:.3f})" if metric.get("low") is not None else "-"
