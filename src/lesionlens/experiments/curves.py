"""Training curves of the rows of a grid side by side, on common axes: figure 6 of the paper for its four arms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from lesionlens.reporting import svg
from lesionlens.reporting.svg import Axis, Panel
from lesionlens.training.history import Epoch, read_history

History = Sequence[Epoch]


def curve_panels(table: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Loss and accuracy over the epochs, for each row with a history.

    Args:
        table: its rows name the folders of their runs.
        folder: of the experiment.

    Returns:
        For each row `name`, `runs` (how many curves) and the drawings `loss` and `accuracy`, all rows on the same axes.
    """
    histories = {row["name"] or row["title"]: _histories(row, folder) for row in table["rows"]}
    histories = {name: runs for name, runs in histories.items() if runs}
    every = [history for runs in histories.values() for history in runs]
    if not every:
        return []
    epochs = _epoch_axis(max(len(history) for history in every))
    losses = [value for history in every for epoch in history for value in (epoch.training_loss, _validation(epoch, "loss"))]
    loss_axis = svg.axis_for(losses, "loss")
    return [
        {
            "name": name,
            "runs": len(runs),
            "loss": _panel(runs, epochs, loss_axis, "loss", f"Loss of {name}"),
            "accuracy": _panel(runs, epochs, svg.share_axis("accuracy, %"), "accuracy", f"Accuracy of {name}, in per cent"),
        }
        for name, runs in histories.items()
    ]


def _histories(row: dict[str, Any], folder: Path) -> list[History]:
    paths = [folder / run["folder"] / "train" / "history.jsonl" for run in row["runs"]]
    return [history for path in paths if path.is_file() and (history := read_history(path))]


def _panel(runs: Sequence[History], epochs: Axis, y: Axis, metric: str, label: str) -> Markup:
    panel = Panel(300, 210, epochs, y)
    parts = []
    for history in runs:
        numbers = [epoch.epoch for epoch in history]
        training = [getattr(epoch, f"training_{metric}") for epoch in history]
        validation = [_validation(epoch, metric) for epoch in history]
        for values, css in ((training, "training"), (validation, "validation")):
            parts.append(svg.path(panel, numbers, values, f"line {css}"))
            parts += (
                [svg.dot(panel, numbers[0], values[0], f"dot {css}")] if len(history) == 1 and math.isfinite(values[0]) else []
            )
    last = runs[0][-1]
    ends = f"{getattr(last, f'training_{metric}'):.3g} in training and {_validation(last, metric):.3g} in validation"
    return svg.drawing(panel, f"{label} over {len(runs[0])} epochs; the first run ends at {ends}", parts)


def _validation(epoch: Epoch, metric: str) -> float:
    value = epoch.validation.get(metric)
    return math.nan if value is None else value


def _epoch_axis(count: int) -> Axis:
    if count == 1:
        return Axis(0.5, 1.5, ((1, "1"),), "epoch")
    ticks = [tick for tick in svg.nice_ticks(1, count, 5) if float(tick).is_integer()]
    return Axis(1, count, tuple((tick, str(int(tick))) for tick in ticks), "epoch")
