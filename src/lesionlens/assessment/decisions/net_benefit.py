"""Decision curves: the net benefit of referring by a probability, over all thresholds (Vickers & Elkin 2006)."""

from __future__ import annotations

from typing import Any

import numpy as np

from lesionlens.assessment.decisions.cases import Cases, Target, missing, too_few
from lesionlens.assessment.decisions.operating_points import Resampling, without_bounds
from lesionlens.assessment.decisions.prior import weighted_means

THRESHOLDS = np.round(np.concatenate([np.arange(0.01, 0.1, 0.01), np.arange(0.1, 0.525, 0.025)]), 3)


def net_benefit(truth: np.ndarray, called: np.ndarray, threshold: np.ndarray | float) -> np.ndarray:
    """Net benefit of each image: 1 for a true positive, minus the odds of the threshold for a false positive.

    Its mean is equation 1 of Vickers & Elkin (2006).

    Args:
        truth: bool (N, 1).
        called: bool (N, T).
        threshold: probability at which one refers, (T,) or a number, in (0, 1).

    >>> net_benefit(np.array([[True], [False]]), np.array([[True], [True]]), 0.2).ravel().tolist()
    [1.0, -0.25]
    """
    odds = np.asarray(threshold) / (1 - np.asarray(threshold))
    return np.asarray(np.where(called, np.where(truth, 1.0, -odds), 0.0))


def decision_curve(target: Target, cases: Cases, weights: np.ndarray, resampling: Resampling) -> dict[str, Any]:
    """Net benefit of one question, JSON-ready.

    Args:
        target: the question.
        cases: calibrated (for the clinic, if `weights` are its), of the test split.
        weights: of the images, (N,): ones, or those of a clinic's prevalence.
        resampling: of the intervals.

    Returns:
        `thresholds`; at each of them `network` and `all` (refer everybody; nobody has 0) as net benefit per image with
        intervals, and `gain`: the network over the better of everybody and nobody, with an interval; `useful`: the ranges of
        thresholds where the interval of the gain lies above 0.
    """
    truth, scores = target.truth(cases), target.scores(cases)
    n_lesions = min(len(np.unique(cases.lesion_ids[side])) for side in (truth, ~truth))
    if not n_lesions:
        return missing(f"all images of the test split are of one side for {target.name}")
    called = scores[:, None] >= THRESHOLDS
    network = net_benefit(truth[:, None], called, THRESHOLDS)
    everybody = net_benefit(truth[:, None], np.ones_like(called), THRESHOLDS)
    better = np.average(everybody, axis=0, weights=weights) > 0
    gain = network - np.where(better, everybody, 0.0)
    reason = too_few(n_lesions, "of the rarer side")
    columns = [weighted_means(values, weights, cases, resampling) for values in (network, everybody, gain)]
    network_i, all_i, gain_i = ([without_bounds(each, reason).to_json() for each in column] for column in columns)
    return {
        "thresholds": THRESHOLDS.tolist(),
        "network": network_i,
        "all": all_i,
        "gain": gain_i,
        "useful": _useful([each["low"] for each in gain_i]),
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
