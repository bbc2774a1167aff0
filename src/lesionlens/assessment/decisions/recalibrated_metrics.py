"""Calibration on the test split before and after recalibration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lesionlens.assessment.decisions.cases import too_few, without_bounds
from lesionlens.assessment.decisions.linear_map import LinearMap
from lesionlens.assessment.decisions.settings import Resampling
from lesionlens.evaluation.calibration_error import calibration_error
from lesionlens.evaluation.intervals import Interval, bootstrap_t
from lesionlens.evaluation.proportions import Lesions
from lesionlens.evaluation.weighted_metrics import WeightedMetrics

NONE = "none"


def recalibrated_metrics(
    log_probabilities: np.ndarray,
    labels: np.ndarray,
    lesion_ids: np.ndarray,
    maps: Mapping[str, LinearMap],
    resampling: Resampling,
) -> dict[str, dict[str, Any]]:
    """Likelihood, Brier score and calibration error of the test split, without recalibration (`none`) and with each map.

    Args:
        log_probabilities: of the network, (N, K).
        labels: true class indices, (N,).
        lesion_ids: text, (N,).
        maps: fitted to the validation split, by name.
        resampling: of the intervals.

    Returns:
        By name `nll`, `brier` and `ece`, each as in scores.json: the calibration error is debiased, with the `plain` one and
        `p` of the test of calibration.
    """
    lesions = Lesions.of(lesion_ids)
    recalibrated = {NONE: log_probabilities} | {name: each.log_probabilities(log_probabilities) for name, each in maps.items()}
    return {
        name: {metric: each.to_json() for metric, each in _metrics(logs, labels, lesions, resampling).items()}
        for name, logs in recalibrated.items()
    }


def _metrics(logs: np.ndarray, labels: np.ndarray, lesions: Lesions, how: Resampling) -> dict[str, Interval]:
    cases, reason = WeightedMetrics.of(logs, labels), too_few(len(lesions), "in all")
    error = calibration_error(cases, lesions, how.confidence, how.seed)
    details = {"plain": error.plain, "p": None if np.isnan(error.p) else error.p}
    ece = Interval(error.value, error.low, error.high, "normal-inversion", "", details)
    found = {"nll": _mean(cases.nll, lesions, how), "brier": _mean(cases.brier, lesions, how)}
    bare = {name: without_bounds(each, reason) for name, each in found.items()}
    return {**bare, "ece": Interval(ece.value, np.nan, np.nan, "", reason, details) if reason else ece}


def _mean(values: np.ndarray, lesions: Lesions, how: Resampling) -> Interval:
    return Interval(float(values.mean()), *bootstrap_t(values, lesions, how.resamples, how.confidence, how.seed), "bootstrap-t")
