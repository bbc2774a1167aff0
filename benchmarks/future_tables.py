"""Tables of docs/future_work.md from `benchmarks/results/future/`."""

from __future__ import annotations

from functools import partial
from typing import Any

from lesionlens.core.percent import p_number
from markdown_tables import RESULTS, read, table

METRICS = {
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "macro_auc": "macro AUC",
    "nll": "negative log-likelihood",
}


def experiment(name: str) -> str:
    """Every arm with its parameters and time, its metrics and their differences from the first; and what is special to it."""
    if not (RESULTS / "future" / f"{name}.json").is_file():
        return f"Not measured yet: `python benchmarks/future.py {name}`"
    result = read(f"future/{name}.json")
    parts = [_scores(result), *MORE.get(name, _nothing)(result), _caption(result)]
    return "\n\n".join([*parts, f"`{result['command']}`"])


def _scores(result: dict[str, Any]) -> str:
    head = ["test images", "parameters, M", "best epoch", *METRICS.values(), "p (balanced accuracy)"]
    return table(head, [_row(name, arm, result["reference"]) for name, arm in result["arms"].items()])


def _row(name: str, arm: dict[str, Any], reference: str) -> list[str]:
    best = next(epoch["epoch"] for epoch in reversed(arm["epochs"]) if epoch["best"])
    cells = [f"{arm['parameters'] / 1e6:.2f}", f"{best} of {len(arm['epochs'])}"]
    metrics = [_metric(arm["compared"][metric], name == reference) for metric in METRICS]
    p = arm["compared"]["balanced_accuracy"]["p"]
    return [arm["title"], *cells, *metrics, p_number(None if name == reference else p)]


def _metric(row: dict[str, Any], alone: bool) -> str:
    if alone:
        return f"{row['first']:.3f}"
    return f"{row['first']:.3f}: {row['difference']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})"


def _caption(result: dict[str, Any]) -> str:
    images = result["images"]
    return (
        f"{images['test']} test images; trained on {images['train']}, chosen on {images['validation']}; one "
        "seed. In brackets: the 95 % interval of the difference from the first row, paired by lesion."
    )


def _pretraining(result: dict[str, Any]) -> list[str]:
    epochs = result["arms"]["simsiam"]["pretraining"]
    shown = [each for each in epochs if each["epoch"] in (1, len(epochs) // 2, len(epochs))]
    rows = [
        [str(each["epoch"]), f"{each['loss']:.3f}", f"{each['feature_std']:.3f}", f"{each['effective_rank']:.0f}"]
        for each in shown
    ]
    note = f"Pretraining: {len(epochs)} epochs with {', '.join(f'`{each}`' for each in result['settings'])}."
    return [note, table(["epoch of the pretraining", "loss", "standard deviation of 1", "effective rank"], rows)]


def _semi_supervised(result: dict[str, Any]) -> list[str]:
    arms = {name: arm for name, arm in result["arms"].items() if "pseudo_labels" in arm}
    codes = list(next(iter(arms.values()))["pseudo_labels"])
    rows = [["hidden images", *(str(next(iter(arms.values()))["pseudo_labels"][code]["images"]) for code in codes)]]
    rows += [[arm["title"], *(_share(arm["pseudo_labels"][code]) for code in codes)] for arm in arms.values()]
    recall = [
        [arm["title"], *(f"{arm['compared']['recall'][code]['first']:.2f}" for code in codes)] for arm in result["arms"].values()
    ]
    about = "Hidden images whose diagnosis the trained network is sure of (at the threshold), and the share that is right:"
    return [about, table(["", *codes], rows), "Sensitivity on the test images:", table(["", *codes], recall)]


def _share(row: dict[str, int]) -> str:
    return f"{row['sure']}, {row['right'] / row['sure']:.0%}" if row["sure"] else "0"


def _concepts(result: dict[str, Any]) -> list[str]:
    quality = result["arms"]["bottleneck"]["concepts"]
    rows = [[name, f"{each['value']:.2f} ({each['low']:.2f} to {each['high']:.2f})"] for name, each in quality.items()]
    return [table(["concept", "rank correlation of estimate and weak label, test images"], rows)]


def _nothing(result: dict[str, Any]) -> list[str]:
    return []


MORE = {"pretraining": _pretraining, "semi_supervised": _semi_supervised, "concepts": _concepts}
TABLES = {f"future-{name}": partial(experiment, name) for name in ("network", "pretraining", "semi_supervised", "concepts")}
