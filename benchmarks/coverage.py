"""Coverage of every interval that is printed, on simulated predictions whose truth is known.

    python benchmarks/coverage.py [--simulations 400] [--resamples 400] [--out benchmarks/results/coverage.json]

Lesions have HAM10000's shares of diagnoses and photographs per lesion; half of the variance of an image's features is its
lesion's. Scenarios: calibrated; overconfident with five lesions in a hundred that look like another diagnosis; each with 1,488
lesions (HAM10000's test split) and 300. The truth comes from a million lesions. A metric counts only where it is printed with
an interval. Set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lesionlens.core.labels import HAM10000
from lesionlens.evaluation.calibration import log_softmax
from lesionlens.evaluation.differences import differences
from lesionlens.evaluation.intervals import resample_metrics
from lesionlens.evaluation.metric_intervals import metric_intervals
from lesionlens.evaluation.weighted_metrics import OVERALL, PER_CLASS, WeightedMetrics
from output import write_or_print
from source_version import commit

LESIONS = np.array([228, 327, 727, 73, 614, 5403, 98])  # HAM10000, in the order of its label set
IMAGES = np.array([327, 514, 1099, 115, 1113, 6705, 142])
SKILL = 2.3 * np.array([0.85, 0.95, 0.75, 0.85, 0.8, 1.0, 1.1])  # distance of a diagnosis' mean from the origin
WITHIN_LESION = 0.5  # share of the variance that photographs of one lesion have in common
POPULATION = 1_000_000
AIM = (0.93, 0.97)


@dataclass(frozen=True)
class Scenario:
    """How predictions are drawn.

    Attributes:
        name: for the table.
        lesions: number of lesions.
        sharpness: the true logits are multiplied by it; above 1 the network is overconfident.
        odd: share of lesions that look like another diagnosis.
        noise: standard deviations of what two networks add to the features; one network if empty.
    """

    name: str
    lesions: int
    sharpness: float = 1.0
    odd: float = 0.0
    noise: tuple[float, ...] = ()


SCENARIOS = tuple(
    Scenario(f"{name}, {lesions} lesions", lesions, *settings)
    for name, settings in (
        ("calibrated", ()),
        ("overconfident, hard cases", (1.5, 0.05)),
        ("two networks", (1.0, 0.0, (0.4, 0.6))),
        ("a network and its near copy", (1.0, 0.0, (0.0, 0.05))),
    )
    for lesions in (1488, 300)
)


def draw(random: np.random.Generator, scenario: Scenario, n_lesions: int) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Logits (N, 7) of each network, labels (N,) and lesions (N,); calibrated where `sharpness` is 1 and `odd` 0."""
    truth = random.choice(7, n_lesions, p=LESIONS / LESIONS.sum())
    photographs = 1 + random.poisson((IMAGES / LESIONS - 1)[truth])
    lesions = np.repeat(np.arange(n_lesions), photographs)
    seen = np.where(random.random(n_lesions) < scenario.odd, random.choice(7, n_lesions, p=IMAGES / IMAGES.sum()), truth)
    means = np.diag(SKILL)
    shared = random.standard_normal((n_lesions, 7))[lesions]
    own = random.standard_normal((len(lesions), 7))
    features = means[seen[lesions]] + np.sqrt(WITHIN_LESION) * shared + np.sqrt(1 - WITHIN_LESION) * own
    logits = []
    for noise in scenario.noise or (0.0,):
        noisy = features + noise * random.standard_normal(features.shape) if noise else features
        evidence = (noisy @ means.T - np.square(SKILL) / 2) / (1 + noise**2)
        logits.append(log_softmax(scenario.sharpness * (np.log(IMAGES / IMAGES.sum()) + evidence)).astype(np.float32))
    return logits, truth[lesions], lesions


def truths(scenario: Scenario) -> list[dict[str, np.ndarray]]:
    """Metrics of the population, for each network; the calibration error of a calibrated one is 0 by construction."""
    logits, labels, _ = draw(np.random.default_rng(1), scenario, POPULATION // (4 if scenario.noise else 1))
    metrics = [{name: value[0] for name, value in WeightedMetrics.of(each, labels).metrics().items()} for each in logits]
    if scenario.sharpness == 1 and not scenario.odd:
        for each in metrics:
            each["ece"] = np.float64(0)
    return metrics


def simulate(scenario: Scenario, simulations: int, resamples: int) -> dict[str, dict[str, float]]:
    """Coverage of each metric, or of each paired difference where there are two networks."""
    true, random = truths(scenario), np.random.default_rng(2)
    names = [*(name for name in OVERALL if name != "macro_recall"), *PER_CLASS]
    counts: dict[str, np.ndarray] = {}
    for simulation in range(simulations):
        logits, labels, lesions = draw(random, scenario, scenario.lesions)
        cases = [WeightedMetrics.of(each, labels) for each in logits]
        found = [metric_intervals(each, lesions, resamples, seed=simulation) for each in cases]
        resampled = resample_metrics(cases, lesions, resamples, simulation) if scenario.noise else []
        for name in names:
            intervals, target = found[0][name], np.atleast_1d(true[0][name])
            if scenario.noise:
                intervals = differences((found[0], found[1]), (resampled[0], resampled[1]), name)
                target = target - np.atleast_1d(true[1][name])
            for place, (interval, truth) in enumerate(zip(intervals, target, strict=True)):
                if np.isnan(interval.low):
                    continue
                key = name if len(intervals) == 1 else f"{name} {HAM10000.codes[place]}"
                row = counts.setdefault(key, np.zeros(4))
                row += (1, interval.low <= truth <= interval.high, truth > interval.high, interval.high - interval.low)
    return {
        name: {"n": int(n), "coverage": covered / n, "truth_above": above / n, "mean_width": width / n}
        for name, (n, covered, above, width) in counts.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=400)
    parser.add_argument("--resamples", type=int, default=400)
    parser.add_argument("--scenario", help="part of a name; all scenarios if not given")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    start = time.perf_counter()
    results: dict[str, Any] = {}
    for scenario in SCENARIOS:
        if options.scenario is None or options.scenario in scenario.name:
            results[scenario.name] = simulate(scenario, options.simulations, options.resamples)
    content = {
        "simulations": options.simulations,
        "resamples": options.resamples,
        "confidence": 0.95,
        "aim": AIM,
        "seconds": round(time.perf_counter() - start),
        "scenarios": results,
        "command": f"python benchmarks/coverage.py --simulations {options.simulations} --resamples {options.resamples}",
        "commit": commit(),
    }
    write_or_print(content, options.out)


if __name__ == "__main__":
    main()
