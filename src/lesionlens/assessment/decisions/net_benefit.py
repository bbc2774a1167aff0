"""Decision curves: the net benefit of referring by a probability, over all thresholds (Vickers & Elkin 2006)."""

from __future__ import annotations

from typing import Any

import numpy as np

from lesionlens.assessment.decisions.cases import Cases, Target, missing
from lesionlens.assessment.decisions.error_rates import ErrorRates

THRESHOLDS = np.round(np.concatenate([np.arange(0.01, 0.1, 0.01), np.arange(0.1, 0.525, 0.025)]), 3)


def net_benefit(sensitivity: float, false_alarms: float, prevalence: float, threshold: float) -> float:
    """Net benefit per image: true positives minus false positives times the odds of the threshold.

    Vickers & Elkin 2006, equation 1.

    Args:
        sensitivity: in [0, 1].
        false_alarms: 1 - specificity, in [0, 1].
        prevalence: share of positives, in (0, 1).
        threshold: probability at which one refers, in (0, 1).

    >>> round(net_benefit(0.9, 0.2, 0.1, 0.1), 3)
    0.07
    """
    return prevalence * sensitivity - (1 - prevalence) * false_alarms * threshold / (1 - threshold)


def decision_curve(target: Target, cases: Cases, weights: np.ndarray, confidence: float = 0.95) -> dict[str, Any]:
    """Net benefit of one question, JSON-ready.

    Args:
        target: the question.
        cases: calibrated (for the clinic, if `weights` are its), of the test split.
        weights: of the images, (N,): ones, or those of a clinic's prevalence.
        confidence: level of the intervals, in (0, 1).

    Returns:
        `prevalence`, at which all is meant; `thresholds`; at each of them `network` with an interval and `all` (refer everybody;
        nobody has 0), as net benefit per image; `gain`: the network over the better of everybody and nobody, with an interval;
        `useful`: the ranges of thresholds where the interval of the gain lies above 0.
    """
    truth, scores = target.truth(cases), target.scores(cases)
    positive = float(weights @ truth)
    if not 0 < positive < weights.sum():
        return missing(f"all images of the test split are of one side for {target.name}")
    rates = ErrorRates.of(truth, scores[:, None] >= THRESHOLDS, weights, cases, confidence)
    share, odds = rates.prevalence, THRESHOLDS / (1 - THRESHOLDS)
    everybody = np.array([net_benefit(1, 1, share, threshold) for threshold in THRESHOLDS])
    of_rates = (np.full(len(odds), -share), -(1 - share) * odds)
    network = rates.combined(np.full(len(odds), share), *of_rates)
    gain = [each.to_json() for each in rates.combined(share - np.maximum(everybody, 0), *of_rates)]
    return {
        "prevalence": share,
        "thresholds": THRESHOLDS.tolist(),
        "network": [each.to_json() for each in network],
        "all": everybody.tolist(),
        "gain": gain,
        "useful": _useful([each["low"] for each in gain]),
    }


def _useful(lows: list[float | None]) -> list[list[float]]:
    """Ranges [first, last] of thresholds whose gain is above 0 beyond its uncertainty."""
    ranges: list[list[float]] = []
    inside = False
    for threshold, low in zip(THRESHOLDS.tolist(), lows, strict=True):
        is_useful = low is not None and low > 0
        if is_useful and inside:
            ranges[-1][1] = threshold
        elif is_useful:
            ranges.append([threshold, threshold])
        inside = is_useful
    return ranges
