"""The table of a grid as Markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from lesionlens.core.percent import p_number
from lesionlens.evaluation.pooling import METRICS
from lesionlens.reporting import paper
from lesionlens.reporting.formats import ABSENT, OVERALL, interval_text, metric_text, plural

SHOWN = ("accuracy", "balanced_accuracy", "macro_f1", "macro_auc")
PAPER_HEADS = {
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "specificity": "specificity",
    "f1": "F1",
    "auc": "AUC",
}
COST_HEADS = ("parameters, M", "MACs, G", "CPU latency, ms", "peak memory, MB", "training, min", "energy, kWh")


def summary_text(table: dict[str, Any]) -> str:
    """The table for a terminal: title, scores and notes."""
    parts = [*table["notes"], caption(table), scores_table(table), conclusion(table), *_failures(table)]
    return "\n\n".join(part for part in parts if part)


def markdown(table: dict[str, Any]) -> str:
    """The whole table: scores, the paper's numbers where there are any, cost, failures and method."""
    parts = [f"# {table['title']}", *table["notes"], caption(table), scores_table(table), conclusion(table)]
    if any(row["paper"] for row in table["rows"]):
        parts += [
            "## Beside the paper",
            paper_table(table),
            paper.CITATION + f", doi:{paper.DOI}. In per cent; ours in brackets.",
        ]
    folds = fold_rows(table)
    if folds["rows"]:
        parts += ["## Single runs", _grid_text(folds["heads"], [[name, *cells] for name, cells in folds["rows"]])]
    parts += ["## Cost of one run", cost_table(table), cost_note(table), *_failures(table), f"Differences: {table['method']}."]
    return "\n\n".join(part for part in parts if part) + "\n"


def scores_table(table: dict[str, Any]) -> str:
    """Metrics with intervals, and the difference from the first row with Holm's p."""
    shown = metrics_shown(table)
    heads = [table["heading"], "runs", *(head(name) for name in shown), *difference_heads()]
    return _grid_text(
        heads,
        [
            [row_name(row), runs_text(row), *(_metric(row, name) for name in shown), *difference_cells(table, row)]
            for row in table["rows"]
        ],
    )


def head(name: str) -> str:
    """Head of the column of a metric."""
    return OVERALL.get(name, name).partition(" (")[0]


def conclusion(table: dict[str, Any]) -> str:
    """What is significant and what is not in the primary metric, in sentences; empty with one row."""
    primary, level = table["primary"], 1 - table["confidence"]
    p_values = {row_name(row): (row["holm"].get(primary), row["differences"].get(primary)) for row in table["rows"][1:]}
    differing = [f"{name} {signed(primary, gap)}" for name, (p, gap) in p_values.items() if p is not None and p < level]
    equal = [f"{name} {signed(primary, gap)}" for name, (p, gap) in p_values.items() if p is not None and p >= level]
    untested = [name for name, (p, _) in p_values.items() if p is None]
    first, sentences = row_name(table["rows"][0]), []
    if differing:
        sentences.append(
            f"{head(primary)} differs from that of {first} in {'; '.join(differing)} (Holm, {100 * level:g} % level)."
        )
    if equal:
        which = f"{head(primary)} does not differ significantly from that of {first} in {'; '.join(equal)}"
        sentences.append(f"{which}: the intervals show which differences these runs cannot exclude.")
    if untested:
        sentences.append(f"Not tested: {', '.join(untested)}.")
    return " ".join(sentences)


def metrics_shown(table: dict[str, Any]) -> tuple[str, ...]:
    """Metrics with a column: the primary one first."""
    return tuple(dict.fromkeys((table["primary"], *SHOWN, *table["family"])))


def difference_heads() -> list[str]:
    """Heads of the columns of the comparison, which is that of the primary metric."""
    return ["difference", "p (Holm)", "sd of training"]


def difference_cells(table: dict[str, Any], row: dict[str, Any]) -> list[str]:
    """Difference of the primary metric from the first row with its interval, its adjusted p, and the spread of training."""
    primary = table["primary"]
    spread = row["metrics"].get(primary, {}).get("training_sd")
    deviation = metric_text(primary, spread)
    if row is table["rows"][0]:
        return ["reference", "", deviation]
    difference = row["differences"].get(primary)
    if difference is None:
        return [ABSENT, ABSENT, deviation]
    return [signed(primary, difference), p_number(row["holm"].get(primary), ABSENT), deviation]


def signed(name: str, difference: dict[str, Any]) -> str:
    """A difference with its sign and interval: `+1.2 (−0.3–2.7)`, in points for shares."""
    value = metric_text(name, difference["difference"])
    sign = "" if value == ABSENT or value.startswith("-") else "+"
    ends = f" ({metric_text(name, difference['low'])} to {metric_text(name, difference['high'])})"
    return f"{sign}{value}" + (ends if difference["low"] is not None else "")


def row_name(row: dict[str, Any]) -> str:
    """Name and title of a row."""
    name = row["name"] or row["title"]
    return f"{name} ({row['title']})" if row["name"] and row["title"] else name


def runs_text(row: dict[str, Any]) -> str:
    """How many runs are done, of how many."""
    done = sum(run["state"] == "done" for run in row["runs"])
    return str(done) if done == len(row["runs"]) else f"{done} of {len(row['runs'])}"


def _metric(row: dict[str, Any], name: str) -> str:
    metric = row["metrics"].get(name)
    return ABSENT if metric is None else metric_with_interval(name, metric)


def metric_with_interval(name: str, metric: dict[str, Any]) -> str:
    """A metric with its interval in brackets, where it has one."""
    ends = interval_text(name, metric)
    return metric_text(name, metric["value"]) + (f" ({ends})" if ends != ABSENT else "")


def paper_table(table: dict[str, Any]) -> str:
    """The paper's numbers, ours in brackets where both exist."""
    rows = [[name, *cells] for name, cells in paper_lines(table)]
    text = _grid_text([table["heading"], *PAPER_HEADS.values()], rows)
    marked = any(cell["printed"] is not None for row in table["rows"] for cell in row["paper"].values())
    return text + ("\n\n† corrected; the paper prints another column's value." if marked else "")


def paper_lines(table: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Name and cells of every row, then of the paper's rows that the grid does not repeat."""
    others = [{**row, "metrics": {}} for row in table["paper_rows"]]
    return [*((row_name(row), paper_cells(row)) for row in table["rows"]), *((row["name"], paper_cells(row)) for row in others)]


def paper_cells(row: dict[str, Any]) -> list[str]:
    """The paper's metrics of a row, ours in brackets."""
    return [_beside(row, name) for name in paper.METRICS]


def fold_rows(table: dict[str, Any]) -> dict[str, Any]:
    """Heads and cells of single runs, for an experiment over folds or sources; no rows for another one."""
    shown = metrics_shown(table)
    runs = [run for row in table["rows"] for run in row["runs"] if run["fold"] and run["metrics"]]
    cells = [(run["label"], [metric_with_interval(name, run["metrics"][name]) for name in shown]) for run in runs]
    return {"heads": ["run", *(head(name) for name in shown)], "rows": cells}


def _beside(row: dict[str, Any], name: str) -> str:
    ours = next(
        (row["metrics"][own] for own, theirs in paper.OVERALL_NAMES.items() if theirs == name and own in row["metrics"]), None
    )
    cell = row["paper"].get(name)
    printed = ABSENT if cell is None else f"{100 * cell['value']:.2f}{'†' if cell['printed'] is not None else ''}"
    return printed if ours is None or ours["value"] is None else f"{printed} ({100 * ours['value']:.1f})"


def cost_table(table: dict[str, Any]) -> str:
    """What one run of each row costs."""
    return _grid_text([table["heading"], *COST_HEADS], [[row_name(row), *cost_cells(row["cost"])] for row in table["rows"]])


def cost_cells(cost: dict[str, Any]) -> list[str]:
    """Cost of a row in the units of `COST_HEADS`."""
    if not cost:
        return [ABSENT] * len(COST_HEADS)
    latency, memory = cost["latency"], cost["peak_gpu_bytes"] or cost["peak_memory_bytes"]
    return [
        f"{cost['parameters'] / 1e6:.2f}",
        f"{cost['macs'] / 1e9:.3f}",
        ABSENT if latency is None else f"{latency['median_ms']:.1f}",
        ABSENT if memory is None else f"{memory / 1e6:.0f}",
        f"{cost['training_s'] / 60:.1f}",
        ABSENT if cost["energy_kwh"] is None else f"{cost['energy_kwh']:.3f}",
    ]


def cost_note(table: dict[str, Any]) -> str:
    """Where the cost was measured, and what the energy is."""
    devices = sorted({row["cost"]["device"] for row in table["rows"] if row["cost"]})
    if not devices:
        return ""
    energy = (
        f"Energy is training time times {table['watts']:g} W, a stated power."
        if table["watts"]
        else "No power is stated, so there is no estimate of energy."
    )
    return f"Means over runs, with validation; memory is the highest of them. Trained on {'; '.join(devices)}. {energy}"


def caption(table: dict[str, Any]) -> str:
    """What the scores are of, and how rows are compared."""
    images = {row["n_images"] for row in table["rows"] if row["n_images"]}
    primary = table["primary"].replace("_", " ")
    counted = f"{plural(max(images), 'image')} of the {table['split']} split, " if images else ""
    return (
        f"{counted}protocol {table['protocol']}; {plural(len(table['seeds']), 'seed')}; "
        f"{100 * table['confidence']:g} % intervals by lesion, in brackets. Primary metric: {primary}; "
        "its difference from the first row is tested, and p is corrected by Holm over the rows."
    )


def _failures(table: dict[str, Any]) -> list[str]:
    reasons = [f"- {row_name(row)}: {row['reason']}" for row in table["rows"] if row["reason"]]
    return ["\n".join(["Missing:", *reasons])] if reasons else []


def _grid_text(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def csv_text(table: dict[str, Any]) -> str:
    """One line for each row of the grid, numbers in full: metrics, differences, the paper's values and cost."""
    metrics = [(name, part) for name in METRICS for part in ("value", "low", "high", "training_sd")]
    compared = [table["primary"], *table["family"]]
    heads = ["row", "runs", "done", *(f"{name}_{part}" for name, part in metrics)]
    heads += [f"{name}_difference{part}" for name in compared for part in ("", "_low", "_high", "_p", "_holm")]
    heads += [f"paper_{name}" for name in paper.METRICS]
    costs = ("parameters", "macs", "peak_memory_bytes", "peak_gpu_bytes", "training_s", "energy_kwh")
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*heads, *costs, "latency_ms", "reason"])
    for row in table["rows"]:
        cells: list[Any] = [row["name"], len(row["runs"]), sum(run["state"] == "done" for run in row["runs"])]
        cells += [row["metrics"].get(name, {}).get(part) for name, part in metrics]
        for name in compared:
            difference = row["differences"].get(name, {})
            cells += [*(difference.get(part) for part in ("difference", "low", "high", "p")), row["holm"].get(name)]
        cells += [row["paper"].get(name, {}).get("value") for name in paper.METRICS]
        cells += [row["cost"].get(name) for name in costs]
        latency = row["cost"].get("latency") or {}
        writer.writerow([*cells, latency.get("median_ms"), row["reason"]])
    return stream.getvalue()
