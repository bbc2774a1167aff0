"""Coverage of the intervals that `lesionlens assess` prints, on simulated predictions whose truth is known.

    python benchmarks/decision_coverage.py [--simulations 400] [--resamples 400] [--out benchmarks/results/decision_coverage.json]

Predictions are drawn as by benchmarks/coverage.py, calibrated, for melanoma against the rest at fixed thresholds; the truth comes
from a large population. A number counts only where it is printed with an interval. Set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from coverage import SCENARIOS, Scenario, draw
from lesionlens.assessment.decisions.cases import Cases, Target, proportions
from lesionlens.assessment.decisions.conformal import fit_sets
from lesionlens.assessment.decisions.conformal_coverage import lesion_coverage
from lesionlens.assessment.decisions.error_rates import ErrorRates
from lesionlens.assessment.decisions.net_benefit import net_benefit
from lesionlens.assessment.decisions.operating_points import LEAST_SENSITIVITY, LEAST_SPECIFICITY
from lesionlens.assessment.decisions.predictive_values import predictive_values
from lesionlens.assessment.decisions.reliability import calibration_line
from lesionlens.assessment.decisions.roc import RocCurves, partial_auc, partial_auc_above
from lesionlens.core.labels import HAM10000
from lesionlens.evaluation.calibration import softmax
from lesionlens.evaluation.intervals import Interval
from output import write_or_print
from source_version import commit

MELANOMA, PREVALENCE, COSTS = Target("melanoma", ("mel",)), 0.05, (50.0, 1.0)
THRESHOLDS = (0.02, 0.1, 0.3)
POPULATION = 300_000
AREAS = {"partial AUC": partial_auc(LEAST_SPECIFICITY), "area of ISIC 2024": partial_auc_above(LEAST_SENSITIVITY)}
LIMITS = {"partial AUC": (1.0, 20), "area of ISIC 2024": (0.2, 100)}  # largest value, lesions that an interval needs
NAMES = ("calibrated, 1488 lesions", "calibrated, 300 lesions")


def cases_of(random: np.random.Generator, scenario: Scenario, n_lesions: int) -> Cases:
    (logits,), labels, lesions = draw(random, scenario, n_lesions)
    return Cases.of(softmax(logits), labels, lesions, HAM10000)


def intervals(cases: Cases, resamples: int, seed: int, sets: Any) -> Iterator[tuple[str, Interval]]:
    """Every number by name, with its interval."""
    truth, scores = MELANOMA.truth(cases), MELANOMA.scores(cases)
    n_positive = len(np.unique(cases.lesion_ids[truth]))
    curves = RocCurves.of(truth, scores).resampled(AREAS, cases.lesion_ids, resamples, seed)
    for (name, (scale, fewest)), resampled in zip(LIMITS.items(), curves.values(), strict=True):
        if n_positive >= fewest:
            yield name, resampled.logit_interval(n_positive, scale)
    line = calibration_line(truth, scores, cases.lesions)
    yield from ((f"calibration {name}", each) for name, each in line.items())
    for threshold in THRESHOLDS:
        called = scores >= threshold
        sides = (truth & called, truth), (~truth & ~called, ~truth)
        rates = [proportions(hits[:, None], side[:, None], cases.lesions, 0.95)[0] for hits, side in sides]
        for name, value in predictive_values(*rates, PREVALENCE).items():
            yield f"{name.upper()} at {threshold:g}", value
        weights = np.where(truth, PREVALENCE / truth.mean(), (1 - PREVALENCE) / (1 - truth.mean()))
        error = ErrorRates.of(truth, called[:, None], weights, cases, 0.95)
        odds, one = threshold / (1 - threshold), np.ones(1)
        (benefit,) = error.combined(PREVALENCE * one, -PREVALENCE * one, -(1 - PREVALENCE) * odds * one)
        (cost,) = error.combined(0 * one, COSTS[0] * PREVALENCE * one, COSTS[1] * (1 - PREVALENCE) * one)
        yield f"net benefit at {threshold:g}", benefit
        yield f"cost at {threshold:g}", cost
    covered = sets.sets(cases.probabilities)[np.arange(len(cases)), cases.labels]
    yield "coverage of sets", lesion_coverage(covered, cases.lesion_ids)


def truths(cases: Cases, sets: Any) -> dict[str, float]:
    """The same numbers of the population."""
    truth, scores = MELANOMA.truth(cases), MELANOMA.scores(cases)
    rates = RocCurves.of(truth, scores).rates()
    values = {name: float(statistic(*rates)[0]) for name, statistic in AREAS.items()}
    values |= {"calibration intercept": 0.0, "calibration slope": 1.0}  # calibrated by construction
    for threshold in THRESHOLDS:
        sensitivity, alarms = ((scores >= threshold)[side].mean() for side in (truth, ~truth))
        called = PREVALENCE * sensitivity + (1 - PREVALENCE) * alarms
        values[f"PPV at {threshold:g}"] = PREVALENCE * sensitivity / called
        values[f"NPV at {threshold:g}"] = (1 - PREVALENCE) * (1 - alarms) / (1 - called)
        values[f"net benefit at {threshold:g}"] = net_benefit(sensitivity, alarms, PREVALENCE, threshold)
        values[f"cost at {threshold:g}"] = COSTS[0] * PREVALENCE * (1 - sensitivity) + COSTS[1] * (1 - PREVALENCE) * alarms
    covered = sets.sets(cases.probabilities)[np.arange(len(cases)), cases.labels]
    return values | {"coverage of sets": lesion_coverage(covered, cases.lesion_ids).value}


def simulate(scenario: Scenario, simulations: int, resamples: int) -> dict[str, dict[str, float]]:
    """Share of simulations whose interval contains the truth, by name."""
    fitted = cases_of(np.random.default_rng(3), scenario, 1000)
    given = (fitted.probabilities, fitted.labels, fitted.lesion_ids.astype(str), HAM10000.codes)
    sets = fit_sets(*given, 0.9, "lac", "class")
    true, random = truths(cases_of(np.random.default_rng(1), scenario, POPULATION), sets), np.random.default_rng(2)
    counts: dict[str, np.ndarray] = {}
    for simulation in range(simulations):
        cases = cases_of(random, scenario, scenario.lesions)
        for name, interval in intervals(cases, resamples, simulation, sets):
            if not np.isnan(interval.low) and interval.low < interval.high:
                row = counts.setdefault(name, np.zeros(3))
                row += (1, interval.low <= true[name] <= interval.high, true[name] > interval.high)
    return {
        name: {"n": int(n), "coverage": covered / n, "truth_above": above / n} for name, (n, covered, above) in counts.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=400)
    parser.add_argument("--resamples", type=int, default=400)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    start = time.perf_counter()
    scenarios = {each.name: each for each in SCENARIOS if each.name in NAMES}
    content = {
        "simulations": options.simulations,
        "resamples": options.resamples,
        "confidence": 0.95,
        "scenarios": {name: simulate(each, options.simulations, options.resamples) for name, each in scenarios.items()},
        "seconds": round(time.perf_counter() - start),
        "command": f"python benchmarks/decision_coverage.py --simulations {options.simulations} --resamples {options.resamples}",
        "commit": commit(),
    }
    write_or_print(content, options.out)


if __name__ == "__main__":
    main()
