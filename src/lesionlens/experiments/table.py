"""The table of a grid as JSON: each row pooled, compared with the first, beside the paper, with its cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lesionlens.core.artifact import read_json
from lesionlens.core.errors import DataError
from lesionlens.core.recipe import Recipe
from lesionlens.core.recipe_file import recipe_to_toml
from lesionlens.evaluation.pooling import repetitions_of
from lesionlens.evaluation.predictions import Predictions, read_predictions
from lesionlens.experiments.comparison import METHOD, adjusted, estimates, row_differences
from lesionlens.experiments.execution import DONE, State, state_of
from lesionlens.experiments.folder import Experiment
from lesionlens.experiments.grid import Grid, Row
from lesionlens.experiments.latency import read_latency
from lesionlens.experiments.points import Point
from lesionlens.reporting.paper_tables import label_of, paper_row, paper_rows

JOULES_PER_KWH = 3.6e6


def build_table(experiment: Experiment, grid: Grid, points: Sequence[Point]) -> dict[str, Any]:
    """Everything that the tables of a grid show, from what is on disk.

    Args:
        experiment: folder of the grid.
        grid: the grid.
        points: all its points.

    Returns:
        JSON-ready: `grid title heading paper paper_rows primary family confidence resamples protocol leaks split seeds
        watts method base notes` and `rows`: `name title settings runs seeds n_images metrics differences holm paper cost reason`.
    """
    states = [state_of(experiment, point) for point in points]
    loaded = {each.point.label: read_predictions(experiment.run(each.point).predictions) for each in states if each.state == DONE}
    rows = [_row(experiment, grid, row, [each for each in states if each.point.row == row.name], loaded) for row in grid.rows]
    _compare(grid, rows)
    for row in rows:
        del row["repetitions"]
    runs = list(loaded.values())
    notes = _notes(grid, rows, runs)
    if not experiment.run(points[0]).audit.is_file():
        notes.append("Near-duplicates were not looked for; only pairs that are listed for these images are kept together.")
    return {**_head(grid, runs), "rows": rows, "notes": notes}


def _head(grid: Grid, runs: Sequence[Predictions]) -> dict[str, Any]:
    recipe = grid.base.evaluation
    first = runs[0] if runs else None
    return {
        "format": 1,
        "grid": grid.name,
        "title": grid.title or grid.name,
        "heading": grid.heading,
        "paper": grid.paper,
        "primary": grid.hypotheses.primary,
        "family": list(grid.hypotheses.family),
        "confidence": recipe.confidence,
        "resamples": recipe.resamples,
        "protocol": first.origin.protocol if first else grid.base.split.protocol,
        "leaks": any(run.origin.leaks for run in runs),
        "split": first.split if first else "test",
        "seeds": list(grid.seeds),
        "watts": grid.watts,
        "method": METHOD,
        "base": _base(grid.base),
        "paper_rows": _other_paper_rows(grid),
    }


def _base(recipe: Recipe) -> str:
    """The base recipe as TOML; of a file of weights the name alone, so that a table that is published names no folder."""
    return recipe_to_toml(replace(recipe, model=replace(recipe.model, weights=Path(recipe.model.weights).name)))


def _other_paper_rows(grid: Grid) -> list[dict[str, Any]]:
    """Rows of the paper's table that the grid does not repeat."""
    repeated = {row.paper for row in grid.rows}
    names = [name for name in paper_rows(grid.paper) if name not in repeated]
    return [{"name": label_of(grid.paper, name), "paper": paper_row(grid.paper, name)} for name in names]


def _row(
    experiment: Experiment, grid: Grid, row: Row, states: Sequence[State], loaded: Mapping[str, Predictions]
) -> dict[str, Any]:
    complete, reason = _complete(grid, states)
    done = [each.point for each in states if each.state == DONE]
    runs = [loaded[point.label] for point in done if point.seed in complete]
    repetitions = dict(zip(complete, repetitions_of(runs) if len(runs) > 1 else runs, strict=True))
    return {
        "name": row.name,
        "title": row.title,
        "settings": dict(row.settings),
        "runs": [_run(experiment, each) for each in states],
        "seeds": list(complete),
        "n_images": len(next(iter(repetitions.values()))) if repetitions else None,
        "metrics": estimates(runs, grid.base.evaluation) if runs else {},
        "differences": {},
        "holm": {},
        "paper": paper_row(grid.paper, row.paper),
        "cost": _cost([experiment.cost(point) for point in done], grid.watts, read_latency(experiment, row.name)),
        "reason": reason,
        "repetitions": repetitions,
    }


def _complete(grid: Grid, states: Sequence[State]) -> tuple[list[int], str]:
    """Seeds of which every fold is done, and what is missing of the others."""
    missing = [each for each in states if each.state != DONE]
    unfinished = {each.point.seed for each in missing}
    reason = "; ".join(f"{each.point.label}: {each.text}" for each in missing)
    return [seed for seed in sorted(grid.seeds) if seed not in unfinished], reason


def _run(experiment: Experiment, state: State) -> dict[str, Any]:
    run = experiment.run(state.point)
    scores = read_json(run.scores)["metrics"] if state.state == DONE else {}
    return {
        "label": state.point.label,
        "seed": state.point.seed,
        "fold": state.point.fold,
        "state": state.state,
        "text": state.text,
        "folder": str(run.folder.relative_to(experiment.folder)),
        "metrics": {name: {key: each[key] for key in ("value", "low", "high")} for name, each in scores.items()},
    }


def _cost(costs: Sequence[Mapping[str, Any]], watts: float, latency: dict[str, float] | None) -> dict[str, Any]:
    """Cost of one run of a row: means of time, highest memory."""
    costs = [cost for cost in costs if cost]
    if not costs:
        return {}
    seconds = sum(cost["training_s"] for cost in costs) / len(costs)
    return {
        **{key: costs[0][key] for key in ("parameters", "macs", "size", "device", "threads")},
        "epochs": sum(cost["epochs"] for cost in costs) / len(costs),
        "training_s": seconds,
        "images_per_second": max(cost["images_per_second"] for cost in costs),
        **{key: _highest(cost[key] for cost in costs) for key in ("peak_memory_bytes", "peak_gpu_bytes")},
        "energy_kwh": seconds * watts / JOULES_PER_KWH if watts else None,
        "latency": latency,
    }


def _highest(values: Any) -> int | None:
    return max((value for value in values if value is not None), default=None)


def _compare(grid: Grid, rows: Sequence[dict[str, Any]]) -> None:
    """Add the differences from the first row, and Holm's p, to all other rows."""
    first = rows[0]["repetitions"]
    for row in rows[1:]:
        row["differences"], problem = _differences(grid, row["repetitions"], first)
        row["reason"] = "; ".join(text for text in (row["reason"], problem) if text)
    for row, p_values in zip(rows[1:], adjusted([row["differences"] for row in rows[1:]], grid.hypotheses), strict=True):
        row["holm"] = p_values


def _differences(grid: Grid, row: Mapping[int, Predictions], first: Mapping[int, Predictions]) -> tuple[dict[str, Any], str]:
    if not row or not first:
        return {}, "" if first else "not compared: the first row has no complete run"
    if not row.keys() & first.keys():
        return {}, "not compared: no seed is complete in this row and in the first"
    try:
        return row_differences(row, first, grid.hypotheses, grid.base.evaluation), ""
    except DataError as error:
        return {}, f"not compared: {error}"


def _notes(grid: Grid, rows: Sequence[Mapping[str, Any]], runs: Sequence[Predictions]) -> list[str]:
    notes = []
    if any(run.origin.leaks for run in runs):
        protocols = sorted({run.origin.protocol for run in runs if run.origin.leaks})
        notes.append(
            f"LEAKING SPLIT (protocol {', '.join(protocols)}): test images show lesions that were also trained on. These metrics "
            "are too good; do not report them alone."
        )
    elif any(row["paper"] for row in rows):
        notes.append(
            "The paper split images, not lesions: 38.6 % of its test images show a lesion that is also in training. Its numbers "
            "are not comparable with these; they show what it reports."
        )
    if len(grid.seeds) == 1:
        notes.append("One seed: the intervals do not contain what training from another seed would change.")
    incomplete = [row["name"] for row in rows if 0 < len(row["seeds"]) < len(grid.seeds)]
    if incomplete:
        notes.append(f"Some runs are missing in {', '.join(incomplete)}; comparisons are over the seeds that both rows have.")
    return notes
