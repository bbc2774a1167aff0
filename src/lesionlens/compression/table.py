"""compression.json as text: one row for each variant and runtime, and the paper's own count as a footnote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

TITLES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "macro_auc": "macro AUC",
    "ece": "ECE",
}
COLUMNS = tuple(TITLES)
ABSENT = "-"


def text(content: dict[str, Any]) -> str:
    """The table of compression.json, its footnote and notes.

    Args:
        content: the content of compression.json, see docs/compression.md.
    """
    rows = [row for row in content["rows"] if row["available"]]
    level = f"{100 * content['confidence']:g} %"
    head = (
        f"{content['name']}: {content['split']} split, {content['n_images']} images of {content['n_lesions']} lesions, "
        f"protocol {content['protocol']}\nin brackets: difference to fp32 with its {level} interval "
        "by lesion, paired"
    )
    metrics = [("variant", "runs with", *(TITLES[name] for name in COLUMNS)), *(_metrics(row) for row in rows)]
    costs = [_cost_head(content), *(_costs(row) for row in rows)]
    missing = [f"{row['variant']} on {row['runtime']}: {row['reason']}" for row in content["rows"] if not row["available"]]
    verdicts = dict.fromkeys(row["non_inferiority"]["text"] for row in rows if row.get("non_inferiority"))
    return "\n\n".join(
        [
            head,
            _aligned(metrics),
            *verdicts,
            _aligned(costs),
            *missing,
            _default(content),
            footnote(content["paper_count"]),
            *content["notes"],
        ]
    )


def footnote(counts: dict[str, Any]) -> str:
    """The paper's count of "parameters" and "size", and why it is not a size.

    Args:
        counts: see `count.paper_count`.
    """
    before, after = counts["fp32"], counts["dynamic_int8"]
    smaller = 1 - after["parameters"] / before["parameters"] if before["parameters"] else 0.0
    return (
        f"The paper's own count (its table 11): {before['parameters']:,} parameters ({before['size_mib']:.2f} MB) in fp32, "
        f'{after["parameters"]:,} ({after["size_mib"]:.2f} MB) after dynamic int8, "{100 * smaller:.1f} % smaller". '
        f"It adds up parameters(), four bytes each; the {counts['linear']:,} numbers inside linear layers are then packed "
        "as int8, which parameters() does not list. They are still in the file and in memory; "
        "sizes in the table are bytes on disk."
    )


def _metrics(row: dict[str, Any]) -> tuple[str, ...]:
    return row["variant"], row["runtime"], *(_with_difference(row["metrics"][name], row["variant"] == "fp32") for name in COLUMNS)


def _with_difference(metric: dict[str, float | None], is_reference: bool) -> str:
    value = _number(metric["value"], ".4f")
    if is_reference:
        return value
    gap, low, high = (_number(metric[key], "+.4f") for key in ("difference", "difference_low", "difference_high"))
    return f"{value} ({gap})" if metric["difference_low"] is None else f"{value} ({gap}: {low} to {high})"


def _cost_head(content: dict[str, Any]) -> tuple[str, ...]:
    sizes = [f"ms at batch {size}" for size in content["batch_sizes"]]
    return ("variant", "runs with", "file MB", "parameters", "not zero", "million MACs", *sizes, "memory MB")


def _costs(row: dict[str, Any]) -> tuple[str, ...]:
    times = row["times"] or {}
    texts = (
        f"{time['median_ms']:.2f} (p95 {time['p95_ms']:.2f})" if (time := times.get(str(size))) else ABSENT
        for size in row["batch_sizes"]
    )
    peak = row["peak_memory_bytes"]
    return (
        row["variant"],
        row["runtime"],
        f"{row['size_bytes'] / 1e6:.2f}",
        f"{row['parameters']:,}",
        f"{row['nonzero_parameters']:,}",
        f"{row['macs'] / 1e6:.1f}",
        *texts,
        ABSENT if peak is None else f"{peak / 1e6:.0f}",
    )


def _default(content: dict[str, Any]) -> str:
    return f"The bundle runs {content['default']['variant']} by default: {content['default']['why']}"


def _number(value: float | None, spec: str) -> str:
    return ABSENT if value is None else format(value, spec)


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)
