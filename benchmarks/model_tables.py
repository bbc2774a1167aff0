"""Tables of docs/model.md: what the trained model reaches, what was tried, and another data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "model"
AIMS = {"balanced_accuracy": ">= 0.78", "macro_f1": ">= 0.76", "macro_auc": ">= 0.970", "ece": "<= 0.03", "accuracy": ""}
NAMES = {
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "macro_auc": "macro AUC",
    "ece": "ECE, debiased",
    "accuracy": "accuracy",
    "nll": "NLL",
}


def model_test() -> str:
    """The test split: float network with the bundle's temperature, and int8 on both runtimes."""
    content = _read(RESULTS / "compression.json")
    rows = {f"{row['variant']}, {row['runtime']}": row["metrics"] for row in content["rows"] if row["runtime"] != "pytorch"}
    head = ["metric", "aim", *rows]
    body = [[NAMES[name], aim, *(_interval(metrics[name]) for metrics in rows.values())] for name, aim in AIMS.items()]
    return _table(head, body)


def model_levers() -> str:
    """What was tried on the validation split."""
    content = _read(RESULTS / "levers.json")
    names = ("balanced_accuracy", "macro_f1", "macro_auc", "ece", "nll")
    rows = [[row["lever"], *("" if row[name] is None else f"{row[name]:.3f}" for name in names)] for row in content["rows"]]
    return _table([content["split"], *(NAMES[name] for name in names)], rows)


def model_sources() -> str:
    """The own test split beside ISIC 2017."""
    content = _read(RESULTS / "isic2017.json")
    sets = {"HAM10000, test split": content["internal"]["figures"], "ISIC 2017": content["key_figures"]["image"]["figures"]}
    names = [name for name in sets["ISIC 2017"] if name in sets["HAM10000, test split"]]
    rows = [[name.replace("_", " "), *(_interval(figures[name]) for figures in sets.values())] for name in names]
    conformal = [
        [
            f"conformal sets, {row['score']}, {row['group']}: coverage of {row['coverage']:.0%} promised",
            *(_interval(row[place]["coverage"]) for place in ("test", "external")),
        ]
        for row in content["conformal"]["sets"]
    ]
    flow = content["flow"]
    return (
        f"{_table(['95 % intervals by lesion', *sets], [*rows, *conformal])}\n\n"
        f"Of {flow['index']} images of ISIC 2017 the gate refuses {flow['refused']}, {flow['not_sure']} are not sure and "
        f"{flow['diagnosed']} get a diagnosis."
    )


TABLES = {"model-test": model_test, "model-levers": model_levers, "model-sources": model_sources}


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _interval(metric: dict[str, Any]) -> str:
    return f"{metric['value']:.3f} ({metric['low']:.3f} to {metric['high']:.3f})" if metric.get("low") is not None else "-"


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))
