"""CPU latency of the rows of a grid: torch in fp32, one image, all rows alternating in one process."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from lesionlens.bundle.benchmark import machine, measure, rounds_in_all
from lesionlens.core.artifact import read_json, write_json
from lesionlens.core.progress import Reporter
from lesionlens.experiments.folder import Experiment
from lesionlens.experiments.points import Point
from lesionlens.models.build import Normalise
from lesionlens.training.checkpoint import load_network

LATENCY = "latency.json"
ROUNDS = 20


def latencies(experiment: Experiment, points: Sequence[Point], reporter: Reporter) -> None:
    """Measure the network of the first finished run of each row, and write `latency.json`.

    Times are of one process on this machine, so all rows are measured again each time.
    """
    rows = {point.row: point for point in reversed(points)}
    if not rows:
        return
    calls = {row: _call(experiment, point) for row, point in rows.items()}
    images = {row: _images(point.recipe.input.size) for row, point in rows.items()}
    with reporter.bar("Measuring latency", rounds_in_all((1,), ROUNDS)) as advance:
        times = measure(calls, images, (1,), ROUNDS, advance)
    content = {"machine": machine(), "runtime": "torch fp32", "threads": torch.get_num_threads(), "batch": 1}
    write_json(experiment.folder / LATENCY, {**content, "rows": {row: times[row]["1"] for row in rows}})


def read_latency(experiment: Experiment, row: str) -> dict[str, float] | None:
    """Times of a row, see `bundle.benchmark.measure`; None if they were not measured."""
    path = experiment.folder / LATENCY
    times: dict[str, float] | None = read_json(path)["rows"].get(row) if path.is_file() else None
    return times


def _call(experiment: Experiment, point: Point) -> Callable[[np.ndarray], object]:
    network, info = load_network(experiment.run(point).best)
    normalise = Normalise(info.spec.mean, info.spec.std)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def call(images: np.ndarray) -> object:
        with torch.inference_mode():
            pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
            return network(normalise(pixels).contiguous(memory_format=torch.channels_last))

    return call


def _images(size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (4, size, size, 3), np.uint8)
