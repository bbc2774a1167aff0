"""The report's section on smaller and faster variants of the network."""

from __future__ import annotations

from typing import Any

from lesionlens.compression.table import footnote
from lesionlens.reporting.formats import ABSENT, metric_text, metric_unit, percent, size_text
from lesionlens.reporting.run_folder import RunContents

COLUMNS = {"balanced_accuracy": "Balanced accuracy", "macro_auc": "Macro AUC", "ece": "ECE"}
RUNTIMES = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime", "pytorch": "PyTorch"}


def variants(run: RunContents) -> dict[str, Any] | None:
    """The table of compression.json; None without one."""
    content = run.compression
    if content is None:
        return None
    return {
        "heads": list(COLUMNS.values()),
        "batch_sizes": content["batch_sizes"],
        "rows": [_row(row, content["batch_sizes"]) for row in content["rows"] if row["available"]],
        "missing": [f"{row['variant']}: {row['reason']}" for row in content["rows"] if not row["available"]],
        "verdicts": list(dict.fromkeys(row["non_inferiority"]["text"] for row in content["rows"] if row.get("non_inferiority"))),
        "images": content["n_images"],
        "confidence": percent(content["confidence"], 0),
        "default": content["default"],
        "footnote": footnote(content["paper_count"]),
        "notes": content["notes"],
        "processor": content["machine"].get("processor", ""),
    }


def _row(row: dict[str, Any], batch_sizes: list[int]) -> dict[str, Any]:
    times = row["times"] or {}
    return {
        "variant": row["variant"],
        "runtime": RUNTIMES.get(row["runtime"], row["runtime"]),
        "own": row["variant"] == "fp32",
        "cells": [_cell(name, row["metrics"][name], row["variant"] == "fp32") for name in COLUMNS],
        "size": size_text(row["size_bytes"]),
        "nonzero": f"{row['nonzero_parameters'] / 1e6:.2f}",
        "times": [_milliseconds(times.get(str(size))) for size in batch_sizes],
        "memory": ABSENT if row["peak_memory_bytes"] is None else size_text(row["peak_memory_bytes"]),
    }


def _cell(name: str, metric: dict[str, float | None], is_baseline: bool) -> dict[str, str]:
    value = metric_text(name, metric["value"])
    return {"value": value + metric_unit(name), "difference": "" if is_baseline else _difference(name, metric)}


def _difference(name: str, metric: dict[str, float | None]) -> str:
    gap, low, high = (metric[key] for key in ("difference", "difference_low", "difference_high"))
    scale, digits = (1, 3) if name == "macro_auc" else (100, 1)
    if gap is None:
        return ABSENT
    if low is None or high is None:
        return f"{scale * gap:+.{digits}f}"
    return f"{scale * gap:+.{digits}f} ({scale * low:+.{digits}f} to {scale * high:+.{digits}f})"


def _milliseconds(times: dict[str, float] | None) -> dict[str, str]:
    if times is None:
        return {"median": ABSENT, "p95": ""}
    median, p95 = (f"{value:.2f}" if value < 10 else f"{value:.1f}" for value in (times["median_ms"], times["p95_ms"]))
    return {"median": median, "p95": f"p95 {p95}"}
